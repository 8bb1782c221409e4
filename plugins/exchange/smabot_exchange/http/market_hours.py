"""The hours of the US stock markets on any day that the calendar knows, as Alpaca names their phases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from smabot.provider import EXCHANGE_ZONE, Session
from smabot_exchange.data import sessions as regular
from smabot_exchange.exchange import Exchange

_PRE_OPEN = time(4)
AFTER_HOURS = timedelta(hours=4)
_FRIDAY = 4
_LOOK_AHEAD = timedelta(days=15)
"""Longer than any time without a session, but for closures that the calendar knows of."""


class Market(NamedTuple):
    """A market as Alpaca names it: acronym, full name and market identifier code."""

    acronym: str
    name: str
    mic: str


MARKETS = (
    Market("NYSE", "New York Stock Exchange", "XNYS"),
    Market("NASDAQ", "NASDAQ", "XNAS"),
    Market("IEX", "Investors Exchange", "IEXG"),
    Market("OTC", "Over-The-Counter", "OTCM"),
)
"""Those that share the hours of the New York Stock Exchange."""

_BY_CODE = {code: market for market in MARKETS for code in (market.acronym, market.mic)}


class Phase(NamedTuple):
    """What part of a day it is: ``closed``, ``pre``, ``core`` or ``post``, and until when."""

    name: str
    until: datetime


def market_of(code: str) -> Market | None:
    """Return the market of an acronym or a market identifier code."""
    return _BY_CODE.get(code.upper())


def sessions(exchange: Exchange, start: date, end: date) -> Sequence[Session]:
    """Return the sessions from ``start`` to ``end``, both included, as far as the calendar reaches.

    Where the data have sessions, only those: the exchange counts as closed on days without data.
    """
    return _sessions(exchange.calendar.sessions, start, end)


@lru_cache(maxsize=16)
def _sessions(own: tuple[Session, ...], start: date, end: date) -> tuple[Session, ...]:
    first, last = own[0].date, own[-1].date
    known_from, known_to = regular.span()
    start, end = max(start, known_from), min(end, known_to)
    found = [
        session
        for year in range(start.year, end.year + 1)
        for session in _year(year)
        if start <= session.date <= end and not first <= session.date <= last
    ]
    found += [session for session in own if start <= session.date <= end]
    return tuple(sorted(found, key=attrgetter("date")))


def next_sessions(exchange: Exchange, moment: datetime) -> list[Session]:
    """Return the session that is open at an instant, if one is, and some that follow it."""
    today = moment.astimezone(EXCHANGE_ZONE).date()
    ahead = sessions(exchange, today, today + _LOOK_AHEAD)
    return [session for session in ahead if session.close > moment]


def phase(exchange: Exchange, moment: datetime) -> Phase:
    """Return the phase of the day at an instant, UTC."""
    today = moment.astimezone(EXCHANGE_ZONE).date()
    for session in sessions(exchange, today, today + _LOOK_AHEAD):
        for name, begins in (
            ("closed", pre_open(session)),
            ("pre", session.open),
            ("core", session.close),
            ("post", post_close(session)),
        ):
            if moment < begins:
                return Phase(name, begins)
    return Phase("closed", moment)


def pre_open(session: Session) -> datetime:
    """Return when a session's trading before hours begins, UTC."""
    return datetime.combine(session.date, _PRE_OPEN, EXCHANGE_ZONE).astimezone(UTC)


def post_close(session: Session) -> datetime:
    """Return when a session's trading after hours ends, UTC."""
    return session.close + AFTER_HOURS


def settlement(exchange: Exchange, days: Sequence[Session]) -> list[date]:
    """Return when trades of some successive sessions settle: at the session after."""
    if not days:
        return []
    last = days[-1].date
    following = sessions(exchange, last + timedelta(1), last + _LOOK_AHEAD)
    after = following[0].date if following else _next_weekday(last)
    return [session.date for session in days[1:]] + [after]


def _next_weekday(day: date) -> date:
    return day + timedelta(7 - day.weekday() if day.weekday() >= _FRIDAY else 1)


@lru_cache(maxsize=64)
def _year(year: int) -> tuple[Session, ...]:
    first, last = regular.span()
    begin, end = max(date(year, 1, 1), first), min(date(year, 12, 31), last)
    return tuple(regular.regular_sessions(begin, end))
