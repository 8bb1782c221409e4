"""What of the calendar a symbol's bars cover: its sessions, and the gaps between its first and its last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from smabot.provider import MINUTE, Session
from smabot_exchange.data.sessions import regular_sessions


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
