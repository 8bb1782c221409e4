"""The regular sessions of the New York Stock Exchange, with its holidays and half days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache

from smabot.provider import ConfigError, Session

_FIRST_YEAR = 1900


def session_on(day: date) -> Session | None:
    """Return the session of a date, or None when the exchange is closed that day.

    Raises ConfigError when the calendar does not reach that far.
    """
    return _year(day.year).get(day)


def regular_sessions(start: date, end: date) -> list[Session]:
    """Return the sessions from ``start`` to ``end``, both included, oldest first.

    Raises ConfigError when the calendar does not reach that far.
    """
    years = (_year(year) for year in range(start.year, end.year + 1))
    return [s for year in years for s in year.values() if start <= s.date <= end]


def first_sessions(start: date, count: int) -> list[Session]:
    """Return the first ``count`` sessions from ``start`` on."""
    reach = timedelta(days=count * 3 // 2 + 14)
    return regular_sessions(start, start + reach)[:count]


@cache
def _year(year: int) -> dict[date, Session]:
    from exchange_calendars import get_calendar

    if year < _FIRST_YEAR:
        raise ConfigError(f"no trading calendar for {year}: it begins in {_FIRST_YEAR}")
    try:
        calendar = get_calendar("XNYS", start=date(year, 1, 1), end=date(year, 12, 31))
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"no trading calendar for {year}: {error}") from error
    hours = calendar.schedule[["open", "close"]].itertuples(name=None)
    return {
        day.date(): Session(day.date(), _utc(opens), _utc(closes)) for day, opens, closes in hours
    }


def _utc(stamp: datetime) -> datetime:
    return datetime.fromtimestamp(int(stamp.timestamp()), UTC)
