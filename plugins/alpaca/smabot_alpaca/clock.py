"""The feed's clock: the wall's against Alpaca, the exchange's own on a loopback exchange."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from smabot.provider import MINUTE, Calendar

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MarketClock(Protocol):
    """A clock that may be told the time: by answers, bars and updates."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    def tell(self, time: datetime) -> None:
        """Take note that it is at least ``time``, UTC."""
        ...


class WallClock:
    """This machine's clock. What it is told, it ignores."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def tell(self, time: datetime) -> None:
        pass


class ToldClock:
    """The newest time that was told; it stands still in between and never goes back.

    Safe to use from several threads.
    """

    def __init__(self, time: datetime = EPOCH) -> None:
        self._now = time
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def tell(self, time: datetime) -> None:
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
