"""Compares what REST tells of our orders with what the trade stream says, to notice a mute stream."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from smabot.provider import OrderUpdate
from smabot_alpaca.clock import EPOCH

REMEMBERED = 2000
ASK_AGAIN = 60.0
"""Seconds until an open order of which nothing was heard is asked for again."""


@dataclass(slots=True)
class _Order:
    told: OrderUpdate
    told_at: float
    """When REST came to know more than the stream had said."""
    news_at: float
    asked: bool = False


class OrderTracker:
    """The orders that REST has told of and the stream has not ended. Times in seconds of any clock
    that never goes back. Not safe to share between threads."""

    def __init__(self) -> None:
        self._orders: dict[str, _Order] = {}
        self._heard: OrderedDict[str, OrderUpdate] = OrderedDict()
        self._since = EPOCH

    def told(self, update: OrderUpdate, at: float) -> bool:
        """Take in what REST answered; tell whether it knows of fills, or of the end, that is news."""
        name = update.client_order_id
        heard = self._heard.get(name)
        if update.broker_order_id is None or (heard is not None and heard.status.terminal):
            return False
        order = self._orders.get(name)
        news = knows_more(update, order.told if order is not None else heard)
        if update.time <= self._since:
            self.heard(update, at)  # it happened while nobody listened
        elif order is None:
            self._orders[name] = _Order(update, at, at)
        elif news:
            order.told, order.told_at, order.news_at = update, at, at
        return news

    def heard(self, update: OrderUpdate, at: float) -> None:
        """Take in what the stream said."""
        name = update.client_order_id
        known = self._heard.get(name)
        if known is None or not knows_more(known, update):
            self._heard[name] = update
        self._heard.move_to_end(name)
        if len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)
        order = self._orders.get(name)
        if order is None:
            if not update.status.terminal:
                self._orders[name] = _Order(update, at, at)
        elif update.status.terminal:
            del self._orders[name]
        else:
            order.news_at = at
            if not knows_more(order.told, update):
                order.told, order.told_at = update, at

    def open(self, at: float, patience: float) -> list[OrderUpdate]:
        """Return open orders of which there was no news for ``patience`` seconds, each at most once in
        a while; with a patience of 0 all of them."""
        found = []
        for order in self._orders.values():
            wait = ASK_AGAIN if order.asked and patience else patience
            if not order.told.status.terminal and at - order.news_at >= wait:
                order.asked, order.news_at = True, at
                found.append(order.told)
        return found

    def unheard(self, at: float, patience: float) -> list[str]:
        """Return orders that REST told to have been filled or ended ``patience`` seconds ago or more,
        though the stream has said nothing of it."""
        return [
            name
            for name, order in self._orders.items()
            if at - order.told_at >= patience and knows_more(order.told, self._heard.get(name))
        ]

    def trust(self, since: datetime) -> None:
        """The stream begins anew: what REST tells of the time before ``since`` counts as heard."""
        self._since = since
        for name, order in list(self._orders.items()):
            self._heard[name] = order.told
            if order.told.status.terminal:
                del self._orders[name]


def knows_more(update: OrderUpdate, other: OrderUpdate | None) -> bool:
    """Whether an update knows of fills, or of the end, that the other does not."""
    if other is None:
        return bool(update.filled_qty) or update.status.terminal
    if update.filled_qty != other.filled_qty:
        return update.filled_qty > other.filled_qty
    return update.status.terminal and not other.status.terminal
