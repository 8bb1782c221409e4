"""That each committed point of equity is right (rule 3): computed anew from the exchange's own fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from operator import attrgetter

from smabot.domain.book import Book
from smabot.domain.cash_movements import CashMovement
from smabot.domain.records import (
    ZERO,
    Account,
    Adjustment,
    Bar,
    EquityPoint,
    Fill,
    Order,
    Position,
)
from smabot.hooks.simulated_exchange import SimulatedExchange

CENT = Decimal("0.01")
Sums = tuple[Decimal, dict[str, Decimal]]
"""Cash, and shares by symbol."""


class EquityRules:
    """Cash and positions of a point are those of all fills that the bot has counted, at the exchange's prices.

    What is counted is known by the rows of each commit. Cash that the bot can't know of is not expected.
    """

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._opening: Decimal | None = None
        """The cash that the bot began with."""
        self._counted: dict[str, Decimal] = {}
        """Shares that have filled, by order."""
        self._changes: list[Adjustment] = []
        self._moved = ZERO
        """Cash of the broker's activities."""
        self._paid: dict[str, list[Decimal]] = {}
        """The prices of each symbol's fills in the last commit that had some."""
        self._average: dict[tuple[str, str], Decimal] = {}
        """What a holding's shares were bought for."""
        self._expected: Sums | None = None

    def note(self, rows: Sequence[object]) -> None:
        """Note what a commit has kept."""
        paid: dict[str, list[Decimal]] = {}
        for row in rows:
            match row:
                case Account() if self._opening is None:
                    self._opening = row.opening_cash
                case Order() if row.filled_qty != self._counted.get(row.client_order_id, ZERO):
                    self._counted[row.client_order_id] = row.filled_qty
                    self._expected = None
                case CashMovement():
                    self._moved += row.amount if row.counted else ZERO
                    self._expected = None
                case Adjustment():
                    self._changes.append(row)
                    self._expected = None
                case Fill():
                    paid.setdefault(row.symbol, []).append(row.price)
                case Position():
                    self._average[row.strategy, row.symbol] = row.avg_price
        self._paid |= paid

    def broken_by(self, rows: Sequence[object], bars: Sequence[Bar], book: Book) -> Iterator[str]:
        """Yield what is wrong with a commit's newest point. ``book``: has the prices of its process."""
        points = (row for row in rows if isinstance(row, EquityPoint))
        point = max(points, key=attrgetter("time"), default=None)
        if point is None or self._opening is None:
            return
        self._expected = self._expected or self._sums(self._opening)
        cash, held = self._expected
        if abs(point.cash - cash) >= CENT:
            yield f"cash at {point.time} is {point.cash}, and {cash} by the exchange's fills"
        if point.equity != point.cash + point.positions_value:
            yield f"equity at {point.time} is {point.equity}, and its parts make something else"
        came_later = any(bar.end > point.time for bar in bars) or any(
            isinstance(row, Adjustment) and row.time > point.time for row in rows
        )
        if not came_later and all(
            abs(point.positions_value - value) >= CENT for value in self._values(held, book)
        ):
            shares = ", ".join(f"{qty} {symbol}" for symbol, qty in held.items()) or "nothing"
            yield f"positions at {point.time} are worth {point.positions_value}, and held is {shares}"

    def _sums(self, cash: Decimal) -> Sums:
        """Return cash and shares after all that the bot has counted."""
        held: dict[str, Decimal] = {}
        for fill in self._exchange.fills():
            if fill.cumulative_qty <= self._counted.get(fill.client_order_id, ZERO):
                qty = fill.qty * fill.side.sign
                cash -= qty * fill.price + fill.fees
                held[fill.symbol] = held.get(fill.symbol, ZERO) + qty
        cash += self._moved
        for change in self._changes:
            cash += change.cash
            held[change.symbol] = held.get(change.symbol, ZERO) + change.qty
        return cash, {symbol: qty for symbol, qty in held.items() if qty}

    def _values(self, held: dict[str, Decimal], book: Book) -> Iterator[Decimal]:
        """Yield what these shares may be worth: by a symbol's last price, its newest fill's, or what was paid."""
        for prices in product(*(self._prices(symbol, book) for symbol in held)):
            pairs = zip(held.values(), prices, strict=True)
            yield sum((qty * price for qty, price in pairs), ZERO)

    def _prices(self, symbol: str, book: Book) -> list[Decimal]:
        averages = (price for (_, each), price in self._average.items() if each == symbol)
        known = (book.price(symbol), *self._paid.get(symbol, ()), *averages)
        return [price for price in known if price]
