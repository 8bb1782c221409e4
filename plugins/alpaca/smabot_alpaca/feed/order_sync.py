"""REST sync of orders: asks for what the trade stream did not bring, and reconnects it when stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from smabot.provider import BrokerError, BrokerOrder, OrderUpdate, PartlyUnreadable
from smabot_alpaca.clock import EPOCH
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.event_handling import FeedState
from smabot_alpaca.streams.event_queue import TRADE
from smabot_alpaca.streams.stream_health import knows_more, trade_stream_health

STATUS_QUERIES = 5
"""Up to so many orders are asked for one by one, more of them as a list."""


class Reconnects(Protocol):
    """What can reconnect a stream."""

    def reconnect(self, name: str, why: str) -> None: ...


class Orders(Protocol):
    """What can be asked for orders, in another thread."""

    def order(self, client_order_id: str) -> BrokerOrder | None: ...

    def orders(self, since: datetime | None = None) -> Sequence[BrokerOrder]: ...


class OrderSync:
    """Asks for open orders without news. Used by the deciding thread alone."""

    def __init__(
        self,
        state: FeedState,
        streams: Reconnects,
        orders: Orders,
        requests: BackgroundRequests,
        patience: float,
    ) -> None:
        """``patience``: seconds that the trade stream may lag behind REST."""
        self._state = state
        self._streams = streams
        self._orders = orders
        self._requests = requests
        self._patience = patience
        self._answered_at = 0.0  # when the newest request began that was answered

    def ask_for_overdue_orders(self, at: float) -> None:
        """Ask for what is overdue at ``at`` seconds."""
        self._check_orders(at, self._patience)

    def ask_for_all_orders(self, at: float) -> None:
        """Ask for every open order: all messages that were sent have come by now."""
        self._check_orders(at, 0.0)

    def confirm_last_orders(self, at: float, since: float) -> bool:
        """Whether REST was asked for all open orders after ``since`` seconds; asks where it was not."""
        orders = self._state.orders.take_overdue(at, 0.0)
        if not orders or self._answered_at >= since:
            return True
        self._ask_for(orders)
        return False

    def _check_orders(self, at: float, patience: float) -> None:
        tracker = self._state.orders
        if orders := tracker.take_overdue(at, patience):
            self._ask_for(orders)
        if not self._state.streams.is_up(TRADE):
            return
        health = trade_stream_health(tracker.seen(), at, patience)
        if health.stale:
            tracker.start_over(self._state.clock.now())
            self._streams.reconnect(TRADE, health.why)

    def _ask_for(self, orders: list[OrderUpdate]) -> None:
        begun = self._state.machine.seconds()
        known = {order.client_order_id: order for order in orders}

        def finish(result: list[BrokerOrder] | BrokerError) -> None:
            if isinstance(result, BrokerError):
                return  # they are asked for again, and reconciliation asks too
            self._answered_at = begun
            at = self._state.machine.seconds()
            for update in (order.update() for order in result):
                news = self._state.orders.note_answer(update, at)
                before = known.get(update.client_order_id)
                # this very answer may have come by the queue of answers before
                if news or (before is not None and knows_more(update, before)):
                    self._state.batch.updates.append(update)

        self._requests.run("orders", self._query(orders), finish)

    def _query(self, orders: list[OrderUpdate]) -> Callable[[], list[BrokerOrder]]:
        def query() -> list[BrokerOrder]:
            if len(orders) <= STATUS_QUERIES:
                found = [self._orders.order(order.client_order_id) for order in orders]
                return [order for order in found if order is not None]
            try:
                return list(self._orders.orders(min(o.submitted_at or EPOCH for o in orders)))
            except PartlyUnreadable as error:
                return error.readable  # of the others there is no news

        return query
