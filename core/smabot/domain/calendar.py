"""Trading sessions and the trading date, on the exchange's own calendar.

Core holds no list of holidays: the broker's plugin gives the sessions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from functools import lru_cache
from operator import attrgetter
from zoneinfo import ZoneInfo

from smabot.domain.frozen_classes import frozen

EXCHANGE_ZONE = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
NEVER = datetime.max.replace(tzinfo=UTC)
"""Later than all times: when something falls due that does not come."""
_NO_DAY = (NEVER, NEVER, date.max)
"""A trading date that holds no time."""


@frozen
class Session:
    """A regular session: its trading date, and its open and close in UTC."""

    date: date
    open: datetime
    close: datetime


def new_york_date(time: datetime) -> date:
    """Return the date that an instant has in New York, whether the exchange is open on it or not."""
    return time.astimezone(EXCHANGE_ZONE).date()


@lru_cache(maxsize=64)
def end_of(day: date) -> datetime:
    """Return when a trading date ends: the midnight after it in New York, as UTC."""
    midnight = datetime.combine(day + timedelta(days=1), clock_time(), EXCHANGE_ZONE)
    return midnight.astimezone(UTC)


class Calendar:
    """The regular sessions of an exchange over a span of dates."""

    def __init__(self, sessions: Iterable[Session] = ()) -> None:
        self.sessions: tuple[Session, ...] = tuple(sorted(sessions, key=attrgetter("date")))
        self._dates = [session.date for session in self.sessions]
        self._opens = [session.open for session in self.sessions]
        self._day = _NO_DAY

    @property
    def end(self) -> datetime | None:
        """The close of the last known session, UTC; None where none is known."""
        return self.sessions[-1].close if self.sessions else None

    def extend(self, other: Calendar) -> None:
        """Add the sessions after the last known one. Safe while other threads read."""
        last = self._dates[-1] if self._dates else date.min
        later = tuple(session for session in other.sessions if session.date > last)
        self.sessions += later  # first: an index of the lists below must find its session
        self._dates += [session.date for session in later]
        self._opens += [session.open for session in later]
        self._day = _NO_DAY

    def trading_date(self, time: datetime) -> date:
        """Return the trading date that an instant belongs to.

        It is the New York date if that is a session, otherwise the next session's (a Saturday's
        order counts for Monday). Past the last known session it is the New York date.
        """
        begin, end, day = self._day
        if not begin <= time < end:
            local = time.astimezone(EXCHANGE_ZONE)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
            following = midnight + timedelta(days=1)
            index = bisect_left(self._dates, local.date())
            day = self._dates[index] if index < len(self._dates) else local.date()
            self._day = (midnight.astimezone(UTC), following.astimezone(UTC), day)
        return day

    def begin_of(self, day: date) -> datetime:
        """Return when a trading date begins: where the one before it ended."""
        index = bisect_left(self._dates, day)
        return end_of(self._dates[index - 1] if index else day - timedelta(days=1))

    def session(self, day: date) -> Session | None:
        """Return the session of a date, or None when the exchange is closed that day."""
        index = bisect_left(self._dates, day)
        return self.sessions[index] if self._dates[index : index + 1] == [day] else None

    def last_before(self, day: date) -> Session | None:
        """Return the last session before a date, or None before the first known one."""
        index = bisect_left(self._dates, day)
        return self.sessions[index - 1] if index else None

    def session_at(self, time: datetime) -> Session | None:
        """Return the session that is open at an instant (open included, close not), or None."""
        index = bisect_right(self._opens, time) - 1
        return self.sessions[index] if index >= 0 and time < self.sessions[index].close else None

    def next_session(self, time: datetime) -> Session | None:
        """Return the first session that closes after an instant, or None past the last one."""
        index = max(bisect_right(self._opens, time) - 1, 0)
        return next((s for s in self.sessions[index : index + 2] if s.close > time), None)
