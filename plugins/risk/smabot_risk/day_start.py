"""The equity that a trading date begins with."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from smabot.api import Book, EquityPoint
from smabot_risk.external_cash import external_cash_since

if TYPE_CHECKING:
    from smabot.provider import Account


class DayStart:
    """The session opening equity: the last known before the trading date's first event.

    So the gap between two sessions counts for the later one.
    """

    def __init__(self) -> None:
        self._told: EquityPoint | None = None
        self._account: Account | None = None

    def note_point(self, point: EquityPoint | None, account: Account | None) -> None:
        """Remember the newest point that was told, once all is done with it."""
        self._told = point
        self._account = account

    def equity(self, book: Book, present: EquityPoint | None = None) -> Decimal:
        """Return the equity in US dollars before the present event; ``present``: it is that point."""
        told = self._told
        if told is None:
            return book.point.equity if book.point is not None else book.equity()
        newest = book.point_before if present is not None else book.point
        if newest is None or newest.time < told.time:
            newest = told
        before = self._account.opening_cash if self._account is not None else None
        return newest.equity + external_cash_since(before, book)
