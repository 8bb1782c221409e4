"""Writes the exchange's calendar from exchange_calendars: what `smabot_exchange.data.sessions` reads.

    pip install 'exchange-calendars>=4.7,<5'
    python plugins/exchange/tools/make_sessions.py

Run it for a release: sessions that were called off since, and ten more years. Dates that the exchange has
not announced yet follow from its rules. It lies beside the package, not in it: a wheel needs the result alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from exchange_calendars import get_calendar

FIRST = date(1990, 1, 1)
LAST = date(2036, 12, 31)

TARGET = Path(__file__).parents[1] / "smabot_exchange" / "data" / "sessions.json"
NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE = time(9, 30), time(16)


def text() -> str:
    """Return the file's content."""
    hours = dict(_hours())
    early = sorted((close, day) for day, (_, close) in hours.items() if close != CLOSE)
    if unusual := [day for day, (opens, _) in hours.items() if opens != OPEN or day.weekday() > 4]:
        raise SystemExit(f"the file has no place for a late open or a weekend: {unusual}")
    closed = [day for day in _days() if day.weekday() < 5 and day not in hours]
    content = {
        "first": FIRST.isoformat(),
        "last": LAST.isoformat(),
        "open": f"{OPEN:%H:%M}",
        "close": f"{CLOSE:%H:%M}",
        "early_closes": {
            f"{close:%H:%M}": _lines([day for _, day in days])
            for close, days in groupby(early, lambda each: each[0])
        },
        "closed": _lines(closed),
    }
    return json.dumps(content, indent=1) + "\n"


def _hours() -> Iterator[tuple[date, tuple[time, time]]]:
    """Yield each session with its hours in New York."""
    schedule = get_calendar("XNYS", start=FIRST, end=LAST).schedule[["open", "close"]]
    for day, opens, closes in schedule.itertuples(name=None):
        yield day.date(), (_new_york(opens), _new_york(closes))


def _new_york(stamp: datetime) -> time:
    return datetime.fromtimestamp(int(stamp.timestamp()), UTC).astimezone(NEW_YORK).time()


def _days() -> Iterator[date]:
    for number in range((LAST - FIRST).days + 1):
        yield FIRST + timedelta(days=number)


def _lines(days: list[date]) -> list[str]:
    """Return a line a year: a change shows as one."""
    years = groupby(days, lambda day: day.year)
    return [" ".join(day.isoformat() for day in each) for _, each in years]


if __name__ == "__main__":
    TARGET.write_text(text())
