"""What the breaker and the limits have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from smabot.book import Book
from smabot.config import Settings
from smabot.records import EquityPoint, Order


class RiskSettings(Settings):
    """Settings of a plugin that blocks orders."""

    block: Literal["entries", "all"] = "entries"
    """``entries`` lets orders pass that only make a holding smaller; ``all`` traps positions."""

    def lets_pass(self, order: Order) -> bool:
        """Whether an order is none of this plugin's business."""
        return order.reduces and self.block == "entries"


class DayStart:
    """Knows the equity that a trading date begins with: the last known before its first event.

    So the gap between two sessions counts for the later one.
    """

    def __init__(self) -> None:
        self._last: EquityPoint | None = None

    def see(self, point: EquityPoint | None) -> None:
        """Remember the newest point: when the next is told, it has replaced this one in the book."""
        self._last = point

    def equity(self, book: Book) -> Decimal:
        """Return the equity in US dollars before the event that is being told."""
        last = self._last or book.point
        return last.equity if last is not None else book.equity()
