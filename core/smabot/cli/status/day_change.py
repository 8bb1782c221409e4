"""The day's profit or loss: the change of equity in the exchange's trading day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smabot.domain.book import Book

EARLIER = timedelta(days=10)
"""How long before the day its opening equity may have been valued."""


@dataclass(frozen=True, slots=True)
class DayChange:
    """What a trading day changed, in US dollars, without deposits and withdrawals."""

    trading_date: date
    opening_equity: Decimal
    """The session opening equity: the last one before the day, with what came from outside since."""
    change: Decimal

    @property
    def fraction(self) -> Decimal | None:
        """The change as a part of the opening equity; None where that is not positive."""
        return self.change / self.opening_equity if self.opening_equity > 0 else None


def day_change(book: Book, rows: Any) -> DayChange | None:
    """Return what the trading day of the newest point of the equity curve changed; None without any.

    A first day begins with its first point.
    """
    from smabot.domain.records import ZERO, Adjustment, EquityPoint

    last = book.point
    if last is None:
        return None
    day = book.calendar.trading_date(last.time)
    begin = book.calendar.begin_of(day)
    points = rows.rows(EquityPoint, since=("time", begin - EARLIER), newest_by="time")
    if not points:
        return None
    opening = next((each for each in reversed(points) if each.time < begin), points[0])
    moved = rows.rows(Adjustment, since=("time", opening.time), newest_by="time")
    external = sum((each.from_outside for each in moved if each.time > opening.time), ZERO)
    equity = opening.equity + external
    return DayChange(day, equity, last.equity - equity)
