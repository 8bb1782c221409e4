"""What is held and wanted of each symbol, valued at its last price: sums that cost no history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from smabot.domain.corporate_actions import plain_shares
from smabot.domain.records import ZERO, Order


@dataclass(slots=True)
class Shares:
    """What all strategies together hold and want of one symbol, and what that is worth."""

    held: Decimal = ZERO
    orders: dict[str, Order] = field(default_factory=dict)
    value: Decimal = ZERO
    exposure: Decimal = ZERO

    def opening(self) -> Decimal:
        """Signed shares that open orders may add, those that only reduce left out."""
        return sum((o.open_qty for o in self.orders.values() if not o.reduces), ZERO)


class Valuation:
    """Value and exposure of all symbols together. Money in US dollars."""

    def __init__(
        self,
        price: Callable[[str], Decimal],
        jumped_from: Callable[[str], Decimal | None] = lambda symbol: None,
    ) -> None:
        """``jumped_from``: the price before a jump, which counts for what is at risk if it is higher."""
        self._price = price
        self._jumped_from = jumped_from
        self._symbols: dict[str, Shares] = {}
        self._alive: dict[str, None] = {}
        self._value = ZERO
        self._exposure = ZERO
        self._values_stale = False
        self._unexposed: dict[str, None] = {}
        """Symbols whose exposure is to be computed again; only entries and screens ask for it."""

    def note_new_prices(self) -> None:
        """Note that prices changed: the next query values the positions again, once."""
        self._values_stale = True
        self._unexposed.update(self._alive)

    def add(self, symbol: str, qty: Decimal) -> None:
        """Add signed shares to what is held of a symbol."""
        shares = self._symbols.setdefault(symbol, Shares())
        shares.held = plain_shares(shares.held + qty)
        self._weigh(symbol, shares)

    def put_order(self, order: Order) -> None:
        """Take an order in as it is now; an ended one wants nothing any more."""
        shares = self._symbols.setdefault(order.symbol, Shares())
        if order.status.terminal:
            shares.orders.pop(order.client_order_id, None)
        else:
            shares.orders[order.client_order_id] = order
        self._weigh(order.symbol, shares)

    def held(self, symbol: str) -> Decimal:
        """Return the signed shares held of a symbol."""
        shares = self._symbols.get(symbol)
        return shares.held if shares else ZERO

    def orders(self, symbol: str) -> Iterable[Order]:
        """Return the open orders of a symbol."""
        shares = self._symbols.get(symbol)
        return shares.orders.values() if shares else ()

    def symbols(self) -> list[str]:
        """Return the symbols with a position or an open order, sorted."""
        return sorted(self._alive)

    def value(self) -> Decimal:
        """Return the worth of all that is held."""
        if self._values_stale:
            self._values_stale = False
            for symbol in self._alive:
                self._revalue(symbol, self._symbols[symbol])
        return self._value

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return what is at risk in a symbol, or in all: holdings and open entries."""
        if self._unexposed:
            for each in self._unexposed:
                self._expose(each, self._symbols[each])
            self._unexposed = {}
        if symbol is None:
            return self._exposure
        shares = self._symbols.get(symbol)
        return shares.exposure if shares else ZERO

    def _weigh(self, symbol: str, shares: Shares) -> None:
        self._revalue(symbol, shares)
        self._unexposed[symbol] = None
        if shares.held or shares.orders:
            self._alive[symbol] = None
        else:
            self._alive.pop(symbol, None)

    def _revalue(self, symbol: str, shares: Shares) -> None:
        value = shares.held * self._price(symbol)
        self._value += value - shares.value
        shares.value = value

    def _expose(self, symbol: str, shares: Shares) -> None:
        price, before = self._price(symbol), self._jumped_from(symbol)
        exposure = abs(shares.held * price)
        if shares.orders or before is not None:
            at_risk = price if before is None else max(price, before)
            exposure = abs(shares.held + shares.opening()) * at_risk
        self._exposure += exposure - shares.exposure
        shares.exposure = exposure
