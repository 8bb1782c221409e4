"""The open orders: by id, symbol and group, with what they hold and what of them has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from smabot.provider import ZERO, Bar
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import ExchangeOrder, OrderClass
from smabot_exchange.matching.symbol_orders import SymbolOrders


class ChangedOrders(NamedTuple):
    """Orders that are new, and ones that are not and have changed."""

    added: list[ExchangeOrder]
    changed: list[ExchangeOrder]


class OpenOrders:
    """Open orders, in the order they came in. ``held`` is what they take of the buying power.

    ``opposite_allowed`` names the new orders that are accepted beside one of the other side, against the
    rule: see `wash_trades.opposite_pair`.
    """

    def __init__(self, orders: Iterable[ExchangeOrder] = ()) -> None:
        self.held = ZERO
        self.opposite_allowed: frozenset[str] = frozenset()
        self._orders: dict[UUID, ExchangeOrder] = {}
        self._of_symbol: dict[str, SymbolOrders] = {}
        self._of_group: dict[UUID, dict[UUID, ExchangeOrder]] = {}
        self._added: dict[UUID, ExchangeOrder] = {}
        self._changed: dict[UUID, ExchangeOrder] = {}
        for order in sorted(orders, key=lambda order: order.seq):
            self.put(order)
        self._added.clear()

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[ExchangeOrder]:
        return iter(list(self._orders.values()))

    def get(self, order_id: UUID) -> ExchangeOrder | None:
        return self._orders.get(order_id)

    def put(self, order: ExchangeOrder) -> None:
        """Have an order as it is now; one that has ended is let go."""
        before = self._orders.get(order.id)
        if before is None or order.id in self._added:
            self._added[order.id] = order
        else:
            self._changed[order.id] = order
        self.held -= buying_power_of(before)
        if before is not None and before.group != order.group:
            self._leave(before)
        if order.open:
            self.held += buying_power_of(order)
            self._orders[order.id] = order
            of_symbol = self._of_symbol.setdefault(order.symbol, SymbolOrders())
            of_symbol.put(order, counted=not self.awaits_entry(order))
            if order.order_class is not OrderClass.SIMPLE:
                self._of_group.setdefault(order.group, {})[order.id] = order
        elif before is not None:
            del self._orders[order.id]
            self._of_symbol[order.symbol].remove(order.id)
            self._leave(order)
        if order.order_class is not OrderClass.SIMPLE:
            self._recount(order)

    def of_symbol(self, symbol: str) -> SymbolOrders:
        """Return the open orders of a symbol, to be read only."""
        return self._of_symbol.get(symbol) or SymbolOrders()

    def bars_wanted(self, bars: Iterable[Bar]) -> dict[str, Bar]:
        """Return of a minute's bars, by symbol, those that some order waits for."""
        wanted = {symbol for symbol, orders in self._of_symbol.items() if len(orders)}
        return {bar.symbol: bar for bar in bars if bar.symbol in wanted}

    def others_of(self, order: ExchangeOrder) -> list[ExchangeOrder]:
        """Return the rest of an order's group: parent and legs."""
        group = self._of_group.get(order.group, {})
        return [other for other in group.values() if other.id != order.id]

    def awaits_entry(self, order: ExchangeOrder) -> bool:
        """Whether it is an exit whose entry has not filled yet."""
        if order.status is not OrderStatus.HELD or order.parent_id is None:
            return False
        parent = self._orders.get(order.parent_id)
        return parent is not None and parent.order_class is not OrderClass.OCO

    def closing(self, symbol: str) -> Decimal:
        """Return the shares that open orders are about to close; exits of a group share theirs."""
        return self.of_symbol(symbol).closing

    def take_changes(self) -> ChangedOrders:
        """Return what was put since the last call, each order once, as it is now."""
        news = ChangedOrders(list(self._added.values()), list(self._changed.values()))
        self._added.clear()
        self._changed.clear()
        return news

    def _recount(self, order: ExchangeOrder) -> None:
        """Count the rest of a group anew: an order that changed may have been what they wait for."""
        for other in self.others_of(order):
            of_symbol = self._of_symbol[other.symbol]
            of_symbol.put(other, counted=not self.awaits_entry(other))

    def _leave(self, order: ExchangeOrder) -> None:
        group = self._of_group.get(order.group)
        if group is not None:
            group.pop(order.id, None)
            if not group:
                del self._of_group[order.group]


def buying_power_of(order: ExchangeOrder | None) -> Decimal:
    """Return the dollars of buying power that an open order takes."""
    if order is None or order.closes:
        return ZERO
    if order.notional is not None:
        return order.notional - order.filled_value
    return order.remaining * order.hold_price
