"""The day's profit or loss: the change of equity in the exchange's trading day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smabot.domain.book import Book


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
    from smabot.cli.records.equity_history import point_before
    from smabot.cli.records.record_filters import Span, rows_within
    from smabot.domain.records import ZERO, EquityPoint
    from smabot.domain.unearned_changes import outside_changes

    last = book.point
    if last is None:
        return None
    day = book.calendar.trading_date(last.time)
    begin = book.calendar.begin_of(day)
    opening = point_before(rows, Span(since=begin))
    if opening is None:
        points = rows_within(rows, EquityPoint, "time", Span(since=begin))
        if not points:
            return None
        opening = points[0]
    moved = outside_changes(rows, opening.time)
    external = sum((each.from_outside for each in moved if each.time > opening.time), ZERO)
    equity = opening.equity + external
    return DayChange(day, equity, last.equity - equity)
