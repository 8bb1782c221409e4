"""The orders, fills and equity of a trading date so far, read from the database.

A start counts by them, so that what was traded while a risk plugin was off, or is in a restored database,
counts as if the plugin had seen it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from smabot.api import (
    ZERO,
    EquityPoint,
    Fill,
    Order,
    Recovery,
    Status,
    outside_changes,
    read_checks,
)

EARLIER = timedelta(days=10)
"""How long before the date its first known equity may be."""


@dataclass(frozen=True, slots=True)
class AdjustedEquity:
    """The account's equity at a time, with all external cash since added to it."""

    time: datetime
    equity: Decimal


class TradingDay:
    """The trading date of a start. Each method reads the database."""

    def __init__(self, recovery: Recovery) -> None:
        calendar = recovery.book.calendar
        self.date: date = recovery.book.trading_date
        self._trading_date = calendar.trading_date
        self.begin: datetime = calendar.begin_of(self.date)
        self._journal = recovery.journal

    def orders(self) -> list[Order]:
        """Return the orders made on the date that were not blocked when they were made."""
        since = ("created_at", self.begin)
        made = self._journal.rows(Order, since=since, newest_by="created_at")
        return [o for o in made if _admitted(o) and self._is_today(o.created_at)]

    def fills(self) -> list[Fill]:
        """Return the date's fills."""
        fills = self._journal.rows(Fill, since=("time", self.begin), newest_by="time")
        return [fill for fill in fills if self._is_today(fill.time)]

    def curve(self, since: datetime | None = None) -> list[AdjustedEquity]:
        """Return the adjusted equity curve of the date, or since a time, oldest first."""
        return self._curve(since or self.begin)

    def start_equity(self) -> Decimal | None:
        """Return the adjusted equity at the date's start; None without any point."""
        curve = self._curve(self.begin - EARLIER)
        index = bisect_left([worth.time for worth in curve], self.begin)
        return curve[max(index - 1, 0)].equity if curve else None

    def _curve(self, since: datetime) -> list[AdjustedEquity]:
        points = self._journal.rows(EquityPoint, since=("time", since), newest_by="time")
        moved = outside_changes(self._journal, since)
        found, later = [], ZERO
        for point in reversed(points):
            while moved and moved[-1].time > point.time:
                later += moved.pop().from_outside
            found.append(AdjustedEquity(point.time, point.equity + later))
        return found[::-1]

    def _is_today(self, time: datetime) -> bool:
        return self._trading_date(time) == self.date


def _admitted(order: Order) -> bool:
    """Whether an order passed all checks when it was made, whatever became of it."""
    if order.status is not Status.BLOCKED:
        return True
    answers = read_checks(order.checks)
    return bool(answers) and all(check.passed for check in answers)
