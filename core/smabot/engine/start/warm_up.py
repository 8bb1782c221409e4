"""Warms the strategies up: the journal's newest bars pass through them, with trading off."""

from __future__ import annotations

from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.followed_symbols import symbols_with_prices
from smabot.engine.windows import newest_bar_end, show_windows
from smabot.errors import counted


def warm_up(session: BotSession) -> None:
    """Show the strategies the newest bars of the journal, then move the feed on to the last of them."""
    journal, _, feed = session.opened()
    book = session.book
    with session.report.step("warm") as found:
        pulse = session.surroundings.pulse
        count = show_windows(book, session.plugins, journal, symbols_with_prices(session), pulse)
        if newest := newest_bar_end(book):
            feed.catch_up(newest)
        found.append(f"{counted(count, 'bar')} of {counted(len(book.last), 'symbol')}")
