"""Asks for each wanted cancel, until the order has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from smabot.domain.book import Book
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.broker_connection import CANCEL, NO_NEWS, BrokerConnection, turn
from smabot.engine.dispatcher import Request
from smabot.engine.execution.next_action import ACKNOWLEDGED, PATIENCE
from smabot.errors import BrokerError, NotSent
from smabot.hooks.ports import BrokerOrder

GIVEN_UP_PATIENCE = timedelta(minutes=5)
"""How often the cancel of an order is asked for again that the bot has ended and the broker has not."""


class Cancels:
    """Asks for cancels, and again where they are not answered. What is wanted is in the book."""

    def __init__(self, connection: BrokerConnection, book: Book) -> None:
        self._connection = connection
        self._book = book
        self._asked: dict[str, datetime] = {}

    def request_due(self) -> None:
        """Ask for each wanted cancel that the broker can know of, again where it is not answered."""
        now, wanted = self._connection.clock.now(), self._wanted()
        for name in self._asked.keys() - wanted.keys():
            del self._asked[name]
        for name, order in wanted.items():
            asked = self._asked.get(name)
            if order.given_up_at is not None:
                due = now - (asked or order.given_up_at) >= GIVEN_UP_PATIENCE
            else:
                due = order.status in ACKNOWLEDGED and (asked is None or now - asked >= PATIENCE)
            if due:
                self._asked[name] = now
                self._connection.put(self._request(order))

    def _wanted(self) -> Mapping[str, Order]:
        """Return the orders to be canceled, also those that the bot has ended and the broker has not: they
        stand in the way of exits there."""
        given_up = {order.client_order_id: order for order in self._book.unconfirmed()}
        return {**given_up, **self._book.canceling} if given_up else self._book.canceling

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
