"""The regular sessions of the New York Stock Exchange, with its holidays and half days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from smabot.calendar import Session
from smabot.errors import ConfigError

_MARGIN = timedelta(days=14)
"""Longer than any closure in reach, so that a calendar asked for is never an empty one."""


def regular_sessions(start: date, end: date) -> list[Session]:
    """Return the sessions from ``start`` to ``end``, both included, oldest first.

    Raises ConfigError when the calendar does not reach that far.
    """
    from exchange_calendars import get_calendar

    try:
        schedule = get_calendar("XNYS", start=start - _MARGIN, end=end + _MARGIN).schedule
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"no trading calendar from {start} to {end}: {error}") from error
    return [
        Session(day.date(), _utc(opens), _utc(closes))
        for day, opens, closes in zip(
            schedule.index, schedule["open"], schedule["close"], strict=True
        )
        if start <= day.date() <= end
    ]


def first_sessions(start: date, count: int) -> list[Session]:
    """Return the first ``count`` sessions from ``start`` on."""
    reach = timedelta(days=count * 3 // 2 + 14)
    return regular_sessions(start, start + reach)[:count]


class RegularHours:
    """The session of any day; the calendar is loaded a year at a time, as days are asked for."""

    def __init__(self) -> None:
        self._years: dict[int, dict[date, Session]] = {}

    def session(self, day: date) -> Session | None:
        """Return the session of a date, or None when the exchange is closed that day."""
        if day.year not in self._years:
            year = regular_sessions(date(day.year, 1, 1), date(day.year, 12, 31))
            self._years[day.year] = {session.date: session for session in year}
        return self._years[day.year].get(day)


def _utc(stamp: datetime) -> datetime:
    return datetime.fromtimestamp(int(stamp.timestamp()), UTC)
