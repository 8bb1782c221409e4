"""What REST and the trade stream each say of our orders: the measure of a stale trade stream."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from smabot.provider import OrderUpdate
from smabot_alpaca.clock import EPOCH
from smabot_alpaca.streams.stream_health import OrderSeen, knows_more

REMEMBERED = 2000
ASK_AGAIN = 60.0
"""Seconds until an open order without news is asked for again."""


@dataclass(slots=True)
class _TrackedOrder:
    by_rest: OrderUpdate
    by_rest_at: float
    """When REST came to know more than the stream had said."""
    news_at: float
    asked: bool = False


class OrderTracker:
    """The orders that REST knows of and the stream has not ended. Times in seconds of any clock that
    never goes back. Used by the deciding thread alone."""

    def __init__(self) -> None:
        self._orders: dict[str, _TrackedOrder] = {}
        self._by_stream: OrderedDict[str, OrderUpdate] = OrderedDict()
        self._since = EPOCH

    def note_answer(self, update: OrderUpdate, at: float) -> bool:
        """Take in what REST answered; return whether it has news: of fills, or of the end."""
        name = update.client_order_id
        streamed = self._by_stream.get(name)
        if update.broker_order_id is None or (streamed is not None and streamed.status.terminal):
            return False
        order = self._orders.get(name)
        news = knows_more(update, order.by_rest if order is not None else streamed)
        if update.time <= self._since:
            self.note_update(update, at)  # it happened while no stream was connected
        elif order is None:
            self._orders[name] = _TrackedOrder(update, at, at)
        elif news:
            order.by_rest, order.by_rest_at, order.news_at = update, at, at
        return news

    def note_update(self, update: OrderUpdate, at: float) -> None:
        """Take in what the stream said."""
        name = update.client_order_id
        known = self._by_stream.get(name)
        if known is None or not knows_more(known, update):
            self._by_stream[name] = update
        self._by_stream.move_to_end(name)
        if len(self._by_stream) > REMEMBERED:
            self._by_stream.popitem(last=False)
        order = self._orders.get(name)
        if order is None:
            if not update.status.terminal:
                self._orders[name] = _TrackedOrder(update, at, at)
        elif update.status.terminal:
            del self._orders[name]
        else:
            order.news_at = at
            if not knows_more(order.by_rest, update):
                order.by_rest, order.by_rest_at = update, at

    def take_overdue(self, at: float, patience: float) -> list[OrderUpdate]:
        """Return open orders without news for ``patience`` seconds, each at most once in a while; with
        a patience of 0 all of them."""
        found = []
        for order in self._orders.values():
            wait = ASK_AGAIN if order.asked and patience else patience
            if not order.by_rest.status.terminal and at - order.news_at >= wait:
                order.asked, order.news_at = True, at
                found.append(order.by_rest)
        return found

    def seen(self) -> Iterator[OrderSeen]:
        """Yield what each side knows of each tracked order, for `trade_stream_health`."""
        for name, order in self._orders.items():
            yield OrderSeen(order.by_rest, order.by_rest_at, self._by_stream.get(name))

    def start_over(self, since: datetime) -> None:
        """The stream reconnects: what REST says of the time before ``since`` counts as streamed."""
        self._since = since
        for name, order in list(self._orders.items()):
            self._by_stream[name] = order.by_rest
            if order.by_rest.status.terminal:
                del self._orders[name]

    @property
    def remembered(self) -> int:
        """How many orders' streamed updates are kept."""
        return len(self._by_stream)
