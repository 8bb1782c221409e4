"""Committed intents to the broker, each exactly once.

An intent is sent only after its commit. Whether an unanswered one arrived is found out by its id:
the id is deterministic, so sending it again can't make a second order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from smabot.errors import BrokerError, ConflictError
from smabot.ports import Broker, BrokerOrder, BulkBroker, Clock
from smabot.records import Order, OrderUpdate, Status


def same_payload(order: Order, seen: BrokerOrder) -> bool:
    """Whether the broker's order is the one that we wrote, not another one under our id."""
    return (
        order.symbol, order.side, order.qty, order.type, order.limit_price, order.time_in_force,
    ) == (
        seen.symbol, seen.side, seen.qty, seen.type, seen.limit_price, seen.time_in_force,
    )  # fmt: skip


class Outbox:
    """Sends orders and finds out what became of the unanswered ones."""

    def __init__(
        self, broker: Broker, clock: Clock, useful: timedelta, wanted: Callable[[Order], bool]
    ) -> None:
        self._broker = broker
        self._bulk = broker if isinstance(broker, BulkBroker) else None
        self._clock = clock
        self._useful = useful
        self._wanted = wanted
        self._waiting: list[Order] = []
        self._cancels: list[Order] = []
        self._unknown: dict[str, Order] = {}
        self._sent_at: dict[str, datetime] = {}
        self._begun = clock.now()

    def add(self, order: Order) -> None:
        """Queue a committed order."""
        if order.status is Status.PENDING:
            self._waiting.append(order)

    def take_up(self, orders: Iterable[Order]) -> None:
        """Take over an earlier process's orders: the last thing it did may have been to send them."""
        for order in orders:
            if order.status in (Status.PENDING, Status.UNKNOWN):
                self._unknown[order.client_order_id] = order

    def cancel(self, order: Order) -> None:
        """Queue a cancel. It is not durable: whoever wants it asks again at the next bar."""
        self._cancels.append(order)

    def flush(self) -> list[OrderUpdate]:
        """Send what is queued and return the answers: events of the next step.

        Cancels go first, so that no order meets one that it replaces; then exits, then entries,
        each in an order that a restart would find too. So are the answers: a restart hears first of
        what arrived, and only then sends the rest again.
        """
        if not (self._waiting or self._cancels or self._unknown):
            return []
        waiting, self._waiting = self._waiting, []
        cancels, self._cancels = self._cancels, []
        answers = [answer for order in cancels if (answer := self._cancel(order))]
        unknown = sorted(self._unknown.values(), key=_turn)
        answers += [answer for order in unknown if (answer := self._resolve(order))]
        answers += self._submit_all(sorted(waiting, key=_turn))
        return sorted(answers, key=_never_arrived)

    def _cancel(self, order: Order) -> OrderUpdate | None:
        try:
            self._broker.cancel(order)
            seen = self._broker.order(order.client_order_id)
        except BrokerError:
            return None
        return seen.update() if seen else None

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
        self._forget(order)
        return answer

    def _unanswered(self, order: Order, error: BrokerError) -> OrderUpdate:
        now = self._clock.now()
        self._unknown[order.client_order_id] = order
        self._sent_at[order.client_order_id] = now
        return OrderUpdate(order.client_order_id, Status.UNKNOWN, now, reason=str(error))

    def _resolve(self, order: Order) -> OrderUpdate | None:
        """Look an unanswered order up: adopt it, send it again under its id, or give it up.

        That it is not found proves nothing before the broker's delay has passed since it was last
        sent, or since this process began where an earlier one may have sent it.
        """
        try:
            seen = self._broker.order(order.client_order_id)
        except BrokerError:
            return None
        if seen is not None:
            if not same_payload(order, seen):
                raise ConflictError(
                    f"payload_mismatch: the broker has {order.client_order_id} as "
                    f"{seen.side} {seen.qty} {seen.symbol}; run `smabot reconcile`"
                )
            self._forget(order)
            return seen.update()
        now = self._clock.now()
        sent_at = self._sent_at.get(order.client_order_id)
        proven = now - (sent_at or self._begun) >= self._broker.visibility_delay
        useful = now - order.created_at < self._useful and self._wanted(order)
        if useful and (proven or sent_at is None):
            answer = self._submit(order)
            return None if answer.status is Status.UNKNOWN else answer  # no news
        if not proven:
            return None
        self._forget(order)
        return OrderUpdate(
            order.client_order_id, Status.ABANDONED, now, reason="never arrived, and not sent again"
        )

    def _forget(self, order: Order) -> None:
        self._unknown.pop(order.client_order_id, None)
        self._sent_at.pop(order.client_order_id, None)


def _turn(order: Order) -> tuple[bool, datetime, str]:
    return (not order.reduces, order.created_at, order.client_order_id)


def _never_arrived(answer: OrderUpdate) -> bool:
    return answer.status in (Status.REJECTED, Status.UNKNOWN)
