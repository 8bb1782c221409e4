"""Times as data files write them, read as UTC. A time without a zone is read in one that was named, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from fractions import Fraction
from zoneinfo import ZoneInfo

from smabot.provider import ConfigError, suggest

DATE = "date"
"""The form of a time that is a mere date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("s", 1), ("ms", 10**3), ("µs", 10**6), ("ns", 10**9))
_FIRST_SECOND, _LAST_SECOND = 631_152_000, 4_102_444_800
"""1990 and 2100: within them an epoch's number says by its size which unit it has."""

_DATE = r"(?P<a>\d{1,4})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,4})|(?P<day>\d{8})"
_CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?|\d{3,6})(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
_ZONE = r"(?P<zone>[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z_+\-0-9]*(?:/[A-Za-z_+\-0-9]+)*)"
_STAMP = re.compile(rf"(?:{_DATE})(?:[T,\s]+{_CLOCK}(?:\s*{_ZONE})?)?")
_LETTERS: dict[str, tzinfo] = {
    "Z": UTC, "UTC": UTC, "GMT": UTC,
    "EST": timezone(timedelta(hours=-5)), "EDT": timezone(timedelta(hours=-4)),
    "ET": ZoneInfo("America/New_York"),
}  # fmt: skip
_FRACTION = re.compile(r"[.,]0*[1-9]")
"""Of a second, however small: Python cuts off what is finer than a microsecond."""
_NOON = 12
_LAST_MONTH = 12
_YEAR_DIGITS = 4


class BadTime(ValueError):
    """A time that can't be used; ``kind`` says in which way."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def _within_a_minute(text: str) -> BadTime:
    return BadTime(
        "seconds", f"timestamp {text} is not on the minute: give the start of a bar of 1 minute"
    )


def zone_named(name: str, origin: str = "data zone") -> tzinfo:
    """Return a zone by its name, as ``America/New_York`` or ``UTC``. Raises ConfigError, which names the
    ``origin``."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # as ZoneInfo says it of what is no name, or no zone's
        from zoneinfo import available_timezones

        hint = suggest(name, available_timezones())
        raise ConfigError(
            f"{origin} {name!r}: no such time zone{hint}; give one like America/New_York or UTC"
        ) from None


class TimeReader:
    """Reads the times of one file."""

    def __init__(self, zone: tzinfo | None, day_first: bool | None = None) -> None:
        self.forms: set[str] = set()
        """What was read: ``offset``, ``no zone``, ``date``, or ``epoch`` and its unit."""
        self._zone = zone
        self._day_first = day_first
        self._days: dict[str, date] = {}

    def read(self, value: object) -> datetime:
        """Return a time of a file, text or number, as UTC. Raises BadTime."""
        if isinstance(value, str):
            return self._in_utc(*self._parsed(value.strip()))
        if isinstance(value, datetime):
            return self._in_utc(value, "")
        if isinstance(value, date):
            return self._in_utc(datetime.combine(value, time()), DATE)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._in_utc(*_epoch(str(value)))
        raise BadTime("time", f"timestamp {value!r} is not a time: write 2026-03-02T14:30:00Z")

    def _in_utc(self, moment: datetime, form: str) -> datetime:
        self.forms.add(form or ("no zone" if moment.tzinfo is None else "offset"))
        if form == DATE:
            raise BadTime(
                "daily", f"{moment:%Y-%m-%d} has no time of day: smabot replays bars of 1 minute"
            )
        if moment.second or moment.microsecond:
            raise _within_a_minute(str(moment))
        if moment.tzinfo is None:
            if self._zone is None:
                raise BadTime(
                    "no zone",
                    f"timestamp {moment} has no time zone: say which one it is in, "
                    "with --data-zone America/New_York or --data-zone UTC",
                )
            moment = moment.replace(tzinfo=self._zone)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise BadTime("time", f"timestamp {moment} is out of range") from None

    def _parsed(self, text: str) -> tuple[datetime, str]:
        """Return the time that a text says, and its form where that is known."""
        if text.replace(".", "", 1).isdecimal() and text.isascii():
            return _of_digits(text)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return self._other(text)
        if _FRACTION.search(text):
            raise _within_a_minute(text)
        return moment, DATE if len(text) <= len("2026-03-02") else ""

    def _other(self, text: str) -> tuple[datetime, str]:
        found = _STAMP.fullmatch(text)
        if found is None:
            raise BadTime("time", f"timestamp {text!r} is not a time: write 2026-03-02T14:30:00Z")
        day = self._day(found, text)
        if found["clock"] is None:
            return datetime.combine(day, time()), DATE
        try:
            stamp = datetime.combine(day, _clock(found["clock"], found["half"]))
        except ValueError:
            raise BadTime("time", f"timestamp {text!r} is not a time of day") from None
        if _FRACTION.search(found["clock"]):
            raise _within_a_minute(text)
        return stamp.replace(tzinfo=_zone(found["zone"], text)), ""

    def _day(self, found: re.Match[str], text: str) -> date:
        written = found["day"] or f"{found['a']}/{found['b']}/{found['c']}"
        if written not in self._days:
            self._days[written] = self._new_day(found, text)
        return self._days[written]

    def _new_day(self, found: re.Match[str], text: str) -> date:
        try:
            if found["day"]:
                return datetime.strptime(found["day"], "%Y%m%d").date()  # noqa: DTZ007
            a, b, c = (int(found[name]) for name in "abc")
            if len(found["a"]) == _YEAR_DIGITS:
                return date(a, b, c)
            if len(found["c"]) != _YEAR_DIGITS:
                raise ValueError
            if self._day_first is None and a != b:
                raise BadTime(
                    "date order",
                    f"date {written_of(found)} may be month/day or day/month, and no date of the file tells: "
                    "write it as 2026-03-02",
                )
            month, day = (b, a) if self._day_first else (a, b)
            return date(c, month, day)
        except BadTime:
            raise
        except ValueError:
            raise BadTime("time", f"timestamp {text!r} is not a time") from None


def written_of(found: re.Match[str]) -> str:
    """Return the date of a stamp as it is written."""
    return found["mark"].join((found["a"], found["b"], found["c"]))


def is_ordered_by_file(text: str) -> bool:
    """Whether a text has a date like 03/02/2026, whose order only other dates of its file can tell."""
    found = _STAMP.fullmatch(text.strip())
    return bool(found and found["c"] and len(found["c"]) == _YEAR_DIGITS)


def find_day_first(texts: Iterable[str]) -> bool | None:
    """Tell by all dates of a file whether the day comes first; None where no date tells."""
    for text in texts:
        found = _STAMP.fullmatch(text.strip())
        if found and found["c"] and len(found["c"]) == _YEAR_DIGITS:
            if int(found["a"]) > _LAST_MONTH:
                return True
            if int(found["b"]) > _LAST_MONTH:
                return False
    return None


def _of_digits(text: str) -> tuple[datetime, str]:
    for digits, pattern in ((8, "%Y%m%d"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")):
        if len(text) == digits and text[:2] in ("19", "20"):
            try:
                return datetime.strptime(text, pattern), DATE if digits == 8 else ""  # noqa: DTZ007
            except ValueError:
                break
    return _epoch(text)


def _epoch(text: str) -> tuple[datetime, str]:
    number: int | Fraction
    try:
        number = int(text) if text.isdecimal() else Fraction(text)
    except ValueError:
        number = 0
    for unit, size in _UNITS:
        if _FIRST_SECOND * size <= number < _LAST_SECOND * size:
            micros, finer = divmod(number * 10**6, size)
            if finer:
                raise _within_a_minute(text)
            return _EPOCH + timedelta(microseconds=micros), f"epoch {unit}"
    raise BadTime("time", f"timestamp {text!r} is not a time: write 2026-03-02T14:30:00Z")


def _clock(text: str, half: str | None) -> time:
    """Return a time of day, of ``9:30``, ``09:30:00``, ``093000``, ``93000`` or ``930``."""
    if ":" in text:
        hour, minute, second = (*text.split(":"), "0")[:3]
    else:
        padded = text.zfill(4 if len(text) <= len("0930") else 6)
        hour, minute, second = padded[:2], padded[2:4], padded[4:] or "0"
    hours = int(hour)
    if half:
        hours = hours % _NOON + (_NOON if half in "pP" else 0)
    return time(hours, int(minute), int(second.partition(".")[0]))


def _zone(name: str | None, text: str) -> tzinfo | None:
    if name is None:
        return None
    if known := _LETTERS.get(name.upper()):
        return known
    try:
        if name[0] in "+-":
            return datetime.strptime(name.replace(":", ""), "%z").tzinfo
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise BadTime("time", f"timestamp {text!r} has an unknown time zone") from None
