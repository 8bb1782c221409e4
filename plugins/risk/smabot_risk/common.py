"""What the breaker and the limits have in common."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from smabot.api import ZERO, Book, EquityPoint, Order, Settings


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
        self._last: Decimal | None = None
        self._opening: Decimal | None = None

    def see(self, point: EquityPoint | None, book: Book) -> None:
        """Remember the newest point: when the next is told, it has replaced this one in the book."""
        self._last = point.equity if point is not None else None
        self._opening = opening_cash(book)

    def equity(self, book: Book) -> Decimal:
        """Return the equity in US dollars before the event that is being told."""
        if self._last is None:
            return book.point.equity if book.point is not None else book.equity()
        return self._last + from_outside(self._opening, book)


def opening_cash(book: Book) -> Decimal | None:
    """Return the account's opening cash, with what came or went from outside since; None: unbound."""
    return book.account.opening_cash if book.account is not None else None


def from_outside(before: Decimal | None, book: Book) -> Decimal:
    """Return what came to the account since its opening cash was ``before``, negative: what went.

    It is no profit or loss, so that a baseline moves along by it. None: nobody knows, and nothing did.
    """
    now = opening_cash(book)
    return now - before if now is not None and before is not None else ZERO
