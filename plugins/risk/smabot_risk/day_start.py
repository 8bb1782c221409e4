"""The equity that a trading date begins with."""

from __future__ import annotations

from decimal import Decimal

from smabot.api import Book, EquityPoint
from smabot_risk.external_cash import external_cash_since, opening_cash


class DayStart:
    """The session opening equity: the last known before the trading date's first event.

    So the gap between two sessions counts for the later one.
    """

    def __init__(self) -> None:
        self._last: Decimal | None = None
        self._opening: Decimal | None = None

    def note_point(self, point: EquityPoint | None, book: Book) -> None:
        """Remember the newest point: when the next one comes, it has replaced this one in the book."""
        self._last = point.equity if point is not None else None
        self._opening = opening_cash(book)

    def equity(self, book: Book) -> Decimal:
        """Return the equity in US dollars before the present event."""
        if self._last is None:
            return book.point.equity if book.point is not None else book.equity()
        return self._last + external_cash_since(self._opening, book)
