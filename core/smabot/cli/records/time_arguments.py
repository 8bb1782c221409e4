"""Times as operators type them: a trading date, a time, a time of today, or an age."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # not generic in older releases

FORMS = "give 2026-03-02, 2026-03-02T10:30, 10:30, today, or an age such as 2d, 3h or 30m"
DAY_FORMS = "give 2026-03-02 or today"

_AGE = re.compile(r"(\d{1,4})([mhdw])", re.IGNORECASE)
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([+-]\d{2}:\d{2})?", re.IGNORECASE
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_ZONE = re.compile(r"(.*[\d ])(UTC|GMT|ET|Z)", re.IGNORECASE)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TypedTime:
    """What was typed. One of the four is set, or none for today.

    A time has the zone that was typed, or none. ``span`` is the smallest unit of it: 10:30 names a minute.
    """

    text: str
    day: date | None = None
    moment: datetime | None = None
    clock: time | None = None
    age: timedelta | None = None
    span: timedelta = _INSTANT

    @property
    def is_day(self) -> bool:
        """Whether it is a trading date."""
        return self.age is None and self.moment is None and self.clock is None

    @property
    def relative(self) -> bool:
        """Whether it depends on what the time is."""
        return self.day is None and self.moment is None

    def begin(self, now: datetime, zone: Any) -> datetime:
        """Return where it begins, in UTC; ``zone`` is that of times without one."""
        from smabot.domain.calendar import end_of, new_york_date

        if self.age is not None:
            return now - self.age
        if self.moment is not None:
            moment = self.moment
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
        if self.clock is not None:
            here = self.clock.tzinfo or zone
            day = now.astimezone(here).date()
            return datetime.combine(day, self.clock.replace(tzinfo=here)).astimezone(UTC)
        day = self.day or new_york_date(now)
        return end_of(day - timedelta(days=1))

    def end(self, now: datetime, zone: Any) -> datetime:
        """Return its last moment, in UTC: of the day, the minute or the second that it names."""
        from smabot.domain.calendar import end_of, new_york_date

        if self.is_day:
            return end_of(self.day or new_york_date(now)) - _INSTANT
        return self.begin(now, zone) + self.span - _INSTANT


class TimeArgument(ParamType):
    """An option's time, as a `TypedTime`; or, with ``days``, a date only."""

    name = "time"

    def __init__(self, *, days: bool = False) -> None:
        self._days = days

    def convert(self, value: Any, param: Any, ctx: Any) -> TypedTime:
        if isinstance(value, TypedTime):
            return value
        typed = _read(value.strip())
        if typed is None or (self._days and not typed.is_day):
            forms = DAY_FORMS if self._days else FORMS
            what = "date" if self._days else "time"
            raise click.BadParameter(f"'{value}' is not a {what}: {forms}", ctx, param)
        return typed


def _read(text: str) -> TypedTime | None:
    """Return what a text means; None where it means no time that can be."""
    if text.lower() == "today":
        return TypedTime(text)
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return TypedTime(text, day=day) if 1 < day.year < 9999 else None
        if age := _AGE.fullmatch(text):
            return TypedTime(text, age=int(age[1]) * _UNITS[age[2].lower()])
        return _moment(text)
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> TypedTime | None:
    from smabot.domain.calendar import EXCHANGE_ZONE

    zone = None
    digits = text.upper()
    if named := _ZONE.fullmatch(digits):
        digits = named[1].strip()
        zone = EXCHANGE_ZONE if named[2] == "ET" else UTC
    if _CLOCK.fullmatch(digits):
        clock = time.fromisoformat(digits.rjust(8 if digits.count(":") == 2 else 5, "0"))
        return TypedTime(text, clock=clock.replace(tzinfo=zone), span=_span(digits))
    if not _MOMENT.fullmatch(digits):
        return None
    moment = datetime.fromisoformat(digits)
    if not 1 < moment.year < 9999 or (zone and moment.tzinfo):
        return None
    return TypedTime(text, moment=moment.replace(tzinfo=zone or moment.tzinfo), span=_span(digits))


def _span(digits: str) -> timedelta:
    if "." in digits:
        return _INSTANT
    clock = re.split(r"[+-]", digits.partition("T")[2] or digits.partition(" ")[2] or digits)[0]
    return timedelta(seconds=1) if clock.count(":") == 2 else timedelta(minutes=1)


DAYS_OPTIONS = (
    click.option(
        "--from", "since", type=TimeArgument(days=True), metavar="DATE", help="Begin with this day."
    ),
    click.option(
        "--to", "until", type=TimeArgument(days=True), metavar="DATE", help="End with this day."
    ),
)
"""The span of days of a command, for `smabot.cli.broker_options.with_options`."""
