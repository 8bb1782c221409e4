"""Which symbols a run follows: those it may enter, and those it holds or has open orders in."""

from __future__ import annotations

from collections.abc import Sequence

from smabot.engine.start.bot_session import BotSession
from smabot.errors import ConfigError
from smabot.hooks.ports import Feed


def followed_symbols(session: BotSession) -> tuple[str, ...]:
    """Return what has to be followed, whatever may be entered: held symbols come first."""
    feed = session.opened().feed
    held = session.book.at_risk()
    try:
        followed: Sequence[str] = feed.tradable(held) if held else ()
    except ConfigError:
        followed = [symbol for symbol in held if _can_follow(session, feed, symbol)]
    return tuple(dict.fromkeys((*followed, *session.enterable)))


def symbols_with_prices(session: BotSession) -> set[str]:
    """Return the symbols whose last prices count: the followed ones, and all that is held."""
    held = {position.symbol for position in session.book.positions.values() if position.qty}
    return {*session.symbols, *held}


def _can_follow(session: BotSession, feed: Feed, symbol: str) -> bool:
    try:
        feed.tradable([symbol])
    except ConfigError as error:
        session.report.notes.append(f"{symbol} is held and no bars come for it: {error}")
        return False
    return True
