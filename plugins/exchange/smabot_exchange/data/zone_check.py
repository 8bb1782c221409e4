"""Whether a file's times seem to be of another time zone than the one they are read in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from datetime import time as clock

from smabot.provider import EXCHANGE_ZONE, MINUTE, Session
from smabot_exchange.data.sessions import OutsideCalendar, session_on
from smabot_exchange.data.time_stamps import zone_named

ZONES = (
    "America/New_York", "UTC", "EST", "America/Chicago", "America/Los_Angeles", "Europe/London",
    "Europe/Berlin", "Europe/Athens", "Asia/Kolkata", "Asia/Hong_Kong", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
"""Those that data are given in; ``EST`` is New York's without summer time."""

_HALF_HOUR = 1800
"""Seconds: sessions begin and end on half hours."""
_HALVES_A_DAY = 48
_DAYS = 250
_COMPLETE = 0.97
"""The share of the sessions' minutes from which on no other zone can have many more."""
_MORE, _FEW = 1.02, 5
"""How many times as many minutes, and how many more, are no chance."""
_ENOUGH, _NEARLY_ALL, _TWICE, _TENTH_MORE = 300, 0.99, 2, 1.1
"""Of so many minutes it is proof where another zone has nearly all in sessions, twice as many, or complete
sessions where the given one lacks a tenth."""


@dataclass(frozen=True, slots=True)
class OtherZone:
    """A zone in which more of a file's minutes lie in regular sessions; shares as fractions of the minutes."""

    zone: str
    outside: float
    """Outside the sessions, as the times are read."""
    inside: float
    """Within the sessions, in the other zone."""
    in_file: bool
    """Whether the times say their zone themselves."""
    is_proven: bool
    """Whether the fit leaves no doubt that times are read in a wrong zone."""

    def __str__(self) -> str:
        remedy = f"as {self.zone}: --data-zone {self.zone} reads the times so"
        if self.in_file:
            remedy = (
                "in another time zone: the one that the times themselves say seems wrong; write them without "
                "it, and name the right one with --data-zone"
            )
        return (
            f"{self.outside:.0%} of the minutes lie outside the regular sessions, and {self.inside:.0%} would "
            f"lie within them {remedy}"
        )


@dataclass(frozen=True, slots=True)
class ZoneDoubt:
    """Why the zone that a file's times were read in may be wrong; false where nothing says so."""

    other: OtherZone | None = None
    without_summer_time: str = ""
    """The zone in which times were read that may be New York's, where that has no summer time."""

    def __bool__(self) -> bool:
        return self.other is not None or bool(self.without_summer_time)

    def __str__(self) -> str:
        if self.other is not None:
            return str(self.other)
        return (
            f"the data span summer time, which {self.without_summer_time} does not have: if the times are New "
            "York's, give --data-zone America/New_York"
        )


def zone_doubt(stamps: Collection[int], read_as: str | None) -> ZoneDoubt:
    """Return what makes a zone doubtful; ``stamps`` and ``read_as``: as for `other_zone`."""
    if (other := other_zone(stamps, read_as)) is not None:
        return ZoneDoubt(other)
    if read_as is not None and lacks_summer_time(stamps, read_as):
        return ZoneDoubt(without_summer_time=read_as)
    return ZoneDoubt()


def other_zone(stamps: Collection[int], read_as: str | None) -> OtherZone | None:
    """Return the zone that fits a file's minutes better; None where none does.

    ``stamps``: when they start, seconds since 1970; ``read_as``: the zone that they were read in; None: the
    times say it themselves.
    """
    halves = _sample(Counter(stamp // _HALF_HOUR for stamp in stamps))
    total = sum(halves.values())
    hours = _Hours()
    own = zone_named(read_as or "UTC")
    written = [(datetime.fromtimestamp(half * _HALF_HOUR, own), n) for half, n in halves.items()]
    inside = sum(n for time, n in written if hours.contain(time))
    if inside == total or inside > _COMPLETE * hours.minutes:
        return None
    counts = {zone: hours.count(written, zone_named(zone)) for zone in ZONES}
    best = max(counts, key=lambda zone: counts[zone])
    if counts[best] <= inside * _MORE + _FEW:
        return None
    most, hours = counts[best], _Hours()
    hours.count(written, zone_named(best))
    fits = most >= _NEARLY_ALL * total or most >= _TWICE * inside
    fits |= most >= max(_TENTH_MORE * inside, _COMPLETE * hours.minutes)
    proven = total >= _ENOUGH and fits
    return OtherZone(best, 1 - inside / total, most / total, read_as is None, proven)


def lacks_summer_time(stamps: Collection[int], read_as: str) -> bool:
    """Whether times may be New York's though the zone that they were read in has its winter's offset all year.

    Not where all lie in regular sessions, or where days begin and end in summer as they do in winter, by
    New York's clock: then the zone fits. ``stamps`` and ``read_as``: as for `other_zone`.
    """
    if not _is_always_winter(zone_named(read_as)):
        return False
    halves = sorted({stamp // _HALF_HOUR for stamp in stamps})
    times = [datetime.fromtimestamp(half * _HALF_HOUR, EXCHANGE_ZONE) for half in halves]
    days: dict[date, list[datetime]] = defaultdict(list)
    for time in times:
        days[time.date()].append(time)
    hours: dict[bool, Counter[tuple[clock, clock]]] = {True: Counter(), False: Counter()}
    for found in days.values():
        hours[bool(found[0].dst())][found[0].time(), found[-1].time()] += 1
    summer, winter = hours[True], hours[False]
    regular = _Hours()
    if not summer or all(regular.contain(time) for time in times):
        return False
    return summer.most_common(1)[0][0] not in {each for each, _ in winter.most_common(1)}


def _is_always_winter(zone: tzinfo) -> bool:
    """Whether a zone is New York's without summer time."""
    months = (datetime(2026, month, 1, tzinfo=zone) for month in (1, 7))
    winter = datetime(2026, 1, 1, tzinfo=EXCHANGE_ZONE).utcoffset()
    return {month.utcoffset() for month in months} == {winter}


def _sample(halves: Counter[int]) -> dict[int, int]:
    """Return the half hours of some of the days, where there are many: they tell as much in less time."""
    days = {half // _HALVES_A_DAY for half in halves}
    every = len(days) // _DAYS + 1
    kept = set(sorted(days)[::every])
    return {half: n for half, n in halves.items() if half // _HALVES_A_DAY in kept}


class _Hours:
    """The regular sessions of the days that were asked about."""

    def __init__(self) -> None:
        self._days: dict[date, Session | None] = {}

    def contain(self, time: datetime) -> bool:
        day = time.astimezone(EXCHANGE_ZONE).date()
        if day not in self._days:
            self._days[day] = _session_on(day)
        session = self._days[day]
        return session is not None and session.open <= time < session.close

    def count(self, written: Collection[tuple[datetime, int]], zone: tzinfo) -> int:
        """Return how many minutes lie in a session, were their times of another zone."""
        return sum(n for time, n in written if self.contain(time.replace(tzinfo=zone)))

    @property
    def minutes(self) -> float:
        """How many minutes the sessions have."""
        sessions = filter(None, self._days.values())
        return sum((each.close - each.open) / MINUTE for each in sessions)


def _session_on(day: date) -> Session | None:
    try:
        return session_on(day)
    except OutsideCalendar:
        return None
