"""What of the calendar a symbol's bars cover: its sessions, and the gaps between its first and its last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from smabot.provider import MINUTE, Session
from smabot_exchange.data.sessions import regular_sessions

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes without a bar from ``start`` on, UTC."""

    start: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one symbol."""

    first: date
    last: date
    sessions: int
    """With a bar at least."""
    bars: int
    missing: tuple[date, ...]
    """Sessions from the first to the last one without any bar."""
    gaps: int
    """Minutes without a bar in the sessions that have some."""
    longest: Gap | None = None
    """The most minutes in a row without a bar between two bars of a session, where that is known."""


class CoverageCount:
    """Counts a symbol's bars of regular sessions, as they come by in their order."""

    def __init__(self) -> None:
        self._days: Counter[int] = Counter()
        self._last = 0
        self._longest = (0, 0)

    def add(self, stamp: int) -> None:
        """Count a bar by its start, seconds since 1970."""
        day = stamp // _DAY
        self._days[day] += 1
        if (
            stamp - self._last > self._longest[0] and day == self._last // _DAY
        ):  # a regular session lies within one UTC date
            self._longest = stamp - self._last, self._last
        self._last = stamp

    def coverage(self) -> Coverage:
        """Return what they cover. Raises as `coverage_of`."""
        days = {_utc(day * _DAY).date(): count for day, count in self._days.items()}
        seconds, before = self._longest
        gap = Gap(_utc(before) + MINUTE, seconds // 60 - 1) if seconds > 60 else None
        return replace(coverage_of(days), longest=gap)


def coverage_of(days: Mapping[date, int]) -> Coverage:
    """Return what bars cover, by how many of regular sessions there are on each trading date, one at least.

    Raises OutsideCalendar for dates beyond the calendar.
    """
    first, last = min(days), max(days)
    sessions = regular_sessions(first, last)
    played = [each for each in sessions if each.date in days]
    return Coverage(
        first,
        last,
        len(days),
        sum(days.values()),
        tuple(each.date for each in sessions if each.date not in days),
        max(sum(map(minutes_of, played)) - sum(days.values()), 0),
    )


def minutes_of(session: Session) -> int:
    """Return how many minutes a session has."""
    return int((session.close - session.open) / MINUTE)


def _utc(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
