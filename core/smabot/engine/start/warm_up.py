"""Warms the strategies up: the journal's newest bars pass through them, with trading off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smabot.domain.bar_checks import is_valid_bar
from smabot.domain.book import Book
from smabot.domain.records import Bar
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.followed_symbols import symbols_with_prices
from smabot.errors import counted


def warm_up(session: BotSession) -> None:
    """Show the strategies the newest bars of the journal, then move the feed on to the last of them.

    They decided on these bars before: what they write now is what they wrote then.
    """
    journal, _, feed = session.opened()
    book, count = session.book, 0
    with session.report.step("warm") as found:
        book.forget_bars()
        with book.replaying():
            for minute in journal.windows(
                max(session.plugins.lookback(), 2), symbols_with_prices(session)
            ):
                count += len(minute)
                show_to_strategies(minute, session)
                book.drain()
        if newest := newest_bar_end(book):
            feed.catch_up(newest)
        found.append(f"{counted(count, 'bar')} of {counted(len(book.last), 'symbol')}")


def show_to_strategies(minute: Sequence[Bar], session: BotSession) -> None:
    """Let strategies see a minute that nothing is decided on."""
    session.surroundings.pulse.beat()
    session.book.apply_bars(minute)
    session.plugins.on_bar([bar for bar in minute if is_valid_bar(bar)], session.book)


def newest_bar_end(book: Book) -> datetime | None:
    """Return the end of the newest bar that the journal has."""
    return max((bar.end for bar in book.last.values()), default=None)
