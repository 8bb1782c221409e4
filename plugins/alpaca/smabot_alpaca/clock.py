"""The feed's clock: the wall's against Alpaca, the exchange's own on a loopback exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from smabot.provider import MINUTE, Calendar
from smabot_alpaca.machine import REAL, Machine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarketClock(Protocol):
    """A clock that may follow the times of answers, bars and updates.

    The deciding thread alone advances it; any thread reads it.
    """

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    def advance_to(self, time: datetime) -> None:
        """Move to ``time``, UTC, unless it is later already."""
        ...


class WallClock:
    """The machine's clock, which nothing else moves."""

    def __init__(self, machine: Machine = REAL) -> None:
        self._machine = machine

    def now(self) -> datetime:
        return self._machine.wall()

    def advance_to(self, time: datetime) -> None:
        pass


class ExchangeClock:
    """An exchange's own clock: the newest time it gave; it stands still in between and never goes back.

    The deciding thread advances it, any thread reads it.
    """

    def __init__(self, time: datetime = EPOCH) -> None:
        self._now = time
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def advance_to(self, time: datetime) -> None:
        with self._lock:
            self._now = max(self._now, time)


def minute_of(time: datetime) -> datetime:
    """Return the start of the minute that an instant lies in."""
    return time.replace(second=0, microsecond=0)


def last_closed(time: datetime) -> datetime:
    """Return the start of the newest minute that has ended at an instant."""
    return minute_of(time) - MINUTE


def session_spans(
    calendar: Calendar, first: datetime, last: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield, of each regular session, the first and the last minute that starts from ``first`` to
    ``last``, both included."""
    session = calendar.next_session(first)
    while session is not None and session.open <= last:
        yield max(first, session.open), min(last, session.close - MINUTE)
        session = calendar.next_session(session.close)
