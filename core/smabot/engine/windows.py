"""Shows the strategies the newest bars again, with orders off: at a start, and when prices are in other shares."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from smabot.domain.bar_checks import is_valid_bar
from smabot.domain.book import Book
from smabot.domain.records import Bar
from smabot.engine.pulse import Pulse
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Journal


def show_windows(
    book: Book,
    plugins: Plugins,
    journal: Journal,
    symbols: Collection[str],
    pulse: Pulse,
    until: datetime | None = None,
) -> int:
    """Show the strategies the journal's newest bars up to a time; returns how many.

    ``pulse`` beats at each minute.

    They decided on these bars before: what they write now is what they wrote then. What the book has
    changed must have been committed.
    """
    count = 0
    book.forget_bars()
    with book.replaying():
        for minute in journal.windows(max(plugins.lookback(), 2), symbols):
            if until is not None and minute[0].end > until:
                break
            pulse.beat()
            count += len(minute)
            show_minute(book, plugins, minute)
            book.drain()
    return count


def show_minute(book: Book, plugins: Plugins, minute: Sequence[Bar]) -> None:
    """Let strategies see a minute that nothing is decided on."""
    book.apply_bars(minute)
    today = map(book.splits.bar_today, minute) if book.splits else minute
    plugins.on_bar([bar for bar in today if is_valid_bar(bar)], book)


def newest_bar_end(book: Book) -> datetime | None:
    """Return the end of the newest bar that the book has, UTC; None before the first."""
    return max((bar.end for bar in book.last.values()), default=None)
