"""The book restored from the database, for commands that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.hooks.plugins import Plugins


def restored_book(app: App, rows: Any, plugins: Plugins | None = None) -> Book:
    """Return the book with all state that the database has, and the last prices."""
    from smabot.domain.book import Book
    from smabot.domain.calendar import MINUTE
    from smabot.engine.start.book_restore import restore_book

    book = Book()
    restore_book(book, rows, plugins or app.plugins())
    symbols = {p.symbol for p in book.positions.values()} | {
        s.symbol for s in book.signals.values()
    }
    for minute in rows.windows(1, symbols | set(app.config().symbols)):
        book.restore(minute)
    newest = rows.newest_bar()
    times = [newest + MINUTE] if newest is not None else []
    times += [book.point.time] if book.point is not None else []
    book.now = max(times, default=book.now)
    return book
