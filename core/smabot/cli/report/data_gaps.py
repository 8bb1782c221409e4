"""Spans of a report without data, which its charts mark: each day is as wide there as each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from smabot.cli.records.equity_history import EquityDay

FEWEST_WEEKDAYS = 3
"""So many weekdays without a session in a row are no holidays."""
MOST_NAMED = 5


def data_gaps(days: Sequence[EquityDay]) -> list[tuple[date, date]]:
    """Return the trading dates around each span without data: the last before it, the first after it."""
    pairs = pairwise(each.day for each in days)
    return [(last, first) for last, first in pairs if _weekdays(last, first) >= FEWEST_WEEKDAYS]


def gap_words(gaps: Sequence[tuple[date, date]]) -> str:
    """Return what the dashed lines of the charts mean; empty where there are none."""
    if not gaps:
        return ""
    named = ", ".join(f"from {last} to {first}" for last, first in gaps[:MOST_NAMED])
    more = f", and {len(gaps) - MOST_NAMED:,} more" if len(gaps) > MOST_NAMED else ""
    return f"┆ no data {named}{more}"


def _weekdays(last: date, first: date) -> int:
    """Return how many weekdays lie between two dates."""
    return sum(day.weekday() < 5 for day in _between(last, first))


def _between(last: date, first: date) -> Iterator[date]:
    for number in range(1, (first - last).days):
        yield last + timedelta(days=number)
