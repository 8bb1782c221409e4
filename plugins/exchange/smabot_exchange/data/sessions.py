"""The regular sessions of the New York Stock Exchange, with its holidays and half days.

They are read from ``sessions.json``, which `tools/make_sessions.py` writes: the dates on which a weekday is
no session or a session ends early. Hours are New York's, so that summer time is the time zone's matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from pathlib import Path

from smabot.provider import EXCHANGE_ZONE, ConfigError, Session

_SATURDAY = 5


class OutsideCalendar(ConfigError):
    """A date before or after those that the calendar knows."""


@dataclass(frozen=True, slots=True)
class _Table:
    first: date
    last: date
    open: time
    close: time
    closed: frozenset[str]
    """Weekdays without a session, as ISO dates."""
    early: dict[str, time]


def span() -> tuple[date, date]:
    """Return the first and the last date that the calendar knows."""
    table = _table()
    return table.first, table.last


def session_on(day: date) -> Session | None:
    """Return the session of a date, or None when the exchange is closed that day.

    Raises OutsideCalendar when the calendar does not reach that far.
    """
    table = _table()
    if not table.first <= day <= table.last:
        remedy = "; upgrade smabot-exchange" if day > table.last else ""
        raise OutsideCalendar(
            f"no trading calendar for {day}: it covers {table.first} to {table.last}{remedy}"
        )
    name = day.isoformat()
    if day.weekday() >= _SATURDAY or name in table.closed:
        return None
    close = table.early.get(name, table.close)
    return Session(day, _utc(day, table.open), _utc(day, close))


def regular_sessions(start: date, end: date) -> list[Session]:
    """Return the sessions from ``start`` to ``end``, both included, oldest first.

    Raises OutsideCalendar when the calendar does not reach that far.
    """
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return [session for day in days if (session := session_on(day))]


class RegularHours:
    """Finds the session of a minute, quickly where many are of one day."""

    def __init__(self) -> None:
        self._days: dict[date, Session | None] = {}

    def session_at(self, moment: datetime) -> Session | None:
        """Return the session that is open at a time in UTC, or None. Raises OutsideCalendar."""
        day = moment.date()  # a regular session lies within one UTC date, which is New York's, too
        if day not in self._days:
            self._days[day] = session_on(day)
        session = self._days[day]
        return session if session is not None and session.open <= moment < session.close else None


def first_sessions(start: date, count: int) -> list[Session]:
    """Return the first ``count`` sessions from ``start`` on. Raises as `regular_sessions`."""
    return list(islice(_from(start), count))


def sessions_before(day: date, count: int) -> date:
    """Return the date of the session that is ``count`` sessions before the first one from ``day`` on.

    Raises as `regular_sessions`.
    """
    found = first_sessions(day, 1)[0].date
    while count:
        found -= timedelta(days=1)
        count -= session_on(found) is not None
    return found


def _from(day: date) -> Iterator[Session]:
    while True:
        if session := session_on(day):
            yield session
        day += timedelta(days=1)


@cache
def _table() -> _Table:
    stored = json.loads(Path(__file__).with_name("sessions.json").read_text())
    early = {
        day: time.fromisoformat(close)
        for close, years in stored["early_closes"].items()
        for day in _words(years)
    }
    return _Table(
        date.fromisoformat(stored["first"]), date.fromisoformat(stored["last"]),
        time.fromisoformat(stored["open"]), time.fromisoformat(stored["close"]),
        frozenset(_words(stored["closed"])), early,
    )  # fmt: skip


def _words(years: list[str]) -> list[str]:
    return " ".join(years).split()


def _utc(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, EXCHANGE_ZONE).astimezone(UTC)
