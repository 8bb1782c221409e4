"""Asks for each wanted cancel, until the order has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smabot.domain.book import Book
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.broker_connection import CANCEL, NO_NEWS, BrokerConnection, turn
from smabot.engine.dispatcher import Request
from smabot.engine.execution.next_action import ACKNOWLEDGED, PATIENCE
from smabot.errors import BrokerError, NotSent
from smabot.hooks.ports import BrokerOrder


class Cancels:
    """Asks for cancels, and again where they are not answered. What is wanted is in the book."""

    def __init__(self, connection: BrokerConnection, book: Book) -> None:
        self._connection = connection
        self._book = book
        self._asked: dict[str, datetime] = {}

    def request_due(self) -> None:
        """Ask for each wanted cancel that the broker can know of, again where it is not answered."""
        now, wanted = self._connection.clock.now(), self._book.canceling
        for name in self._asked.keys() - wanted.keys():
            del self._asked[name]
        for name, order in wanted.items():
            asked = self._asked.get(name)
            if order.status in ACKNOWLEDGED and (asked is None or now - asked >= PATIENCE):
                self._asked[name] = now
                self._connection.put(self._request(order))

    def start_over(self) -> None:
        """Ask for all that are wanted in the next step: the broker may have heard of none."""
        self._asked.clear()

    def _request(self, order: Order, tries: int = 0) -> Request:
        connection = self._connection

        def ask() -> BrokerOrder | None:
            connection.broker.cancel(order)
            return connection.broker.order(order.client_order_id)

        def take(outcome: Any) -> Sequence[OrderUpdate]:
            if isinstance(outcome, BrokerError):
                connection.note_failure(outcome)
                if tries < len(connection.pauses) and order.client_order_id in self._asked:
                    wait = (
                        outcome.wait if isinstance(outcome, NotSent) else connection.pauses[tries]
                    )
                    connection.put(self._request(order, tries + 1), wait)
                return NO_NEWS
            connection.access.request_accepted()
            return [outcome.update()] if outcome is not None else NO_NEWS

        return Request((CANCEL, turn(order)), ask, take)
