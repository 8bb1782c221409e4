"""Committed intents to the broker, each exactly once.

An intent is sent only after its commit. Whether an unanswered one arrived is found out by its id:
the id is deterministic, so sending it again can't make a second order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from smabot.errors import BrokerError, ConflictError
from smabot.ports import Broker, BrokerOrder, BulkBroker, Clock
from smabot.records import Order, OrderUpdate, Status


def same_payload(order: Order, seen: BrokerOrder) -> bool:
    """Whether the broker's order is the one that we wrote, not another one under our id."""
    return (order.symbol, order.side, order.qty, order.type, order.limit_price) == (
        seen.symbol, seen.side, seen.qty, seen.type, seen.limit_price,
    )  # fmt: skip


class Outbox:
    """Sends orders and finds out what became of the unanswered ones."""

    def __init__(self, broker: Broker, clock: Clock, useful: timedelta) -> None:
        self._broker = broker
        self._bulk = broker if isinstance(broker, BulkBroker) else None
        self._clock = clock
        self._useful = useful
        self._waiting: list[Order] = []
        self._cancels: list[Order] = []
        self._unknown: dict[str, Order] = {}

    def add(self, orders: Iterable[Order]) -> None:
        """Queue committed orders that nobody has answered yet."""
        for order in orders:
            if order.status is Status.PENDING:
                self._waiting.append(order)
            elif order.status is Status.UNKNOWN:
                self._unknown[order.client_order_id] = order

    def cancel(self, order: Order) -> None:
        """Queue a cancel. It is not durable: whoever wants it asks again at the next bar."""
        self._cancels.append(order)

    def flush(self) -> list[OrderUpdate]:
        """Send what is queued, exits first, and return the answers: events of the next step."""
        if not (self._waiting or self._cancels or self._unknown):
            return []
        waiting, self._waiting = self._waiting, []
        cancels, self._cancels = self._cancels, []
        answers = [a for order in list(self._unknown.values()) if (a := self._resolve(order))]
        answers += self._submit_all(sorted(waiting, key=lambda order: not order.reduces))
        for order in cancels:
            try:
                self._broker.cancel(order)
            except BrokerError:
                continue
            if seen := self._look_up(order):
                answers.append(seen.update())
        return answers

    def _submit_all(self, orders: list[Order]) -> list[OrderUpdate]:
        if self._bulk is None or len(orders) < 2:
            return [self._submit(order) for order in orders]
        try:
            return self._bulk.submit_many(orders)
        except BrokerError as error:
            return [self._unanswered(order, error) for order in orders]

    def _submit(self, order: Order) -> OrderUpdate:
        try:
            answer = self._broker.submit(order)
        except BrokerError as error:
            return self._unanswered(order, error)
        self._unknown.pop(order.client_order_id, None)
        return answer

    def _unanswered(self, order: Order, error: BrokerError) -> OrderUpdate:
        self._unknown[order.client_order_id] = order
        return OrderUpdate(
            order.client_order_id, Status.UNKNOWN, self._clock.now(), reason=str(error)
        )

    def _resolve(self, order: Order) -> OrderUpdate | None:
        """Look an unanswered order up: adopt it, send it again under its id, or give it up."""
        try:
            seen = self._broker.order(order.client_order_id)
        except BrokerError:
            return None
        now = self._clock.now()
        if seen is not None:
            if not same_payload(order, seen):
                raise ConflictError(
                    f"payload_mismatch: the broker has {order.client_order_id} as "
                    f"{seen.side} {seen.qty} {seen.symbol}; run `smabot reconcile`"
                )
            del self._unknown[order.client_order_id]
            return seen.update()
        if now - order.created_at < self._broker.visibility_delay:
            return None
        if now - order.created_at < self._useful:
            answer = self._submit(order)
            return None if answer.status is Status.UNKNOWN else answer  # no news
        del self._unknown[order.client_order_id]
        return abandoned(order, now)

    def _look_up(self, order: Order) -> BrokerOrder | None:
        try:
            return self._broker.order(order.client_order_id)
        except BrokerError:
            return None


def abandoned(order: Order, now: datetime) -> OrderUpdate:
    """Return the update that gives up an order which never arrived."""
    return OrderUpdate(
        order.client_order_id, Status.ABANDONED, now, reason="never arrived, and too late to send"
    )
