"""The orders that the book keeps in memory: open ones, and the newest of each holding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from smabot.domain.records import Holding, Order


class KnownOrders:
    """Orders by id, and which of them are open, are to be canceled, or were given up."""

    def __init__(self, find: Callable[[str], Order | None] | None) -> None:
        """``find``: finds an order that ended long ago, in the journal."""
        self.find = find
        self.all: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.canceling: dict[str, Order] = {}
        self.changes = 0
        self._given_up: dict[str, Order] = {}
        self._latest: dict[Holding, str] = {}

    def get(self, client_order_id: str) -> Order | None:
        """Return an order, from the journal if it ended long ago, or None."""
        order = self.all.get(client_order_id)
        if order is None and self.find is not None:
            order = self.find(client_order_id)
        return order

    def put(self, order: Order) -> None:
        """Keep an order as it is now."""
        name = order.client_order_id
        self.changes += 1
        self.all[name] = order
        if order.given_up_at is not None:
            self._given_up[name] = order
        else:
            self._given_up.pop(name, None)
        if order.status.terminal:
            self.open.pop(name, None)
            self.canceling.pop(name, None)
        else:
            self.open[name] = order
            if order.cancel_requested_at is not None:
                self.canceling[name] = order

    def put_latest(self, order: Order) -> None:
        """Keep a whole order, and note it as its holding's newest where it is."""
        self.put(order)
        holding = (order.strategy, order.symbol)
        latest = self.latest(holding)
        over = order.status.terminal and not order.reduces
        hidden = over and latest is not None and not latest.status.terminal
        if latest is None or (
            not hidden and (latest.bar_time, latest.attempt) <= (order.bar_time, order.attempt)
        ):
            self._latest[holding] = order.client_order_id
            if latest is not None and latest.status.terminal and latest is not order:
                self.all.pop(latest.client_order_id, None)

    def latest(self, holding: Holding) -> Order | None:
        """Return a holding's newest order: one that is open before an entry that was blocked since."""
        return self.all.get(self._latest.get(holding, ""))

    def given_up_since(self, since: datetime) -> list[Order]:
        """Return the orders that were ended here, and not yet by the broker's word."""
        given_up = self._given_up.values()
        return [o for o in given_up if o.given_up_at is not None and o.given_up_at >= since]

    def forget(self, order: Order) -> None:
        """Forget an ended order unless it is its holding's newest: the journal has it."""
        newest = self._latest.get((order.strategy, order.symbol)) == order.client_order_id
        if order.status.terminal and not newest:
            self.all.pop(order.client_order_id, None)
