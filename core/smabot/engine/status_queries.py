"""Finds out by its id what became of an order that was not answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from smabot.domain.records import OrderUpdate
from smabot.engine.broker_connection import CANCEL, NO_NEWS, QUERY, BrokerConnection, turn
from smabot.engine.dispatcher import Request
from smabot.engine.gate import Gate
from smabot.engine.sending_states import Sending, State
from smabot.errors import BrokerError, ConflictError, NotSent
from smabot.hooks.ports import BrokerOrder


class StatusQueries:
    """Asks for unanswered orders, at the broker's own pauses."""

    def __init__(
        self, connection: BrokerConnection, gate: Gate, forget: Callable[[Sending], None]
    ) -> None:
        """``forget``: is given a sending that the broker is found to have."""
        self._connection = connection
        self._gate = gate
        self._forget = forget

    def begin(self, sending: Sending) -> None:
        """Look an order up as soon as it is its turn."""
        self._ask(sending, None)

    def begin_after_pause(self, sending: Sending) -> None:
        """Look an order up after the pause that follows the last time."""
        self._ask(sending, self._pause(sending))

    def is_absence_proven(self, sending: Sending) -> bool:
        """Whether that it is not found proves that it did not arrive, or can't fill any more.

        Not before the broker's delay has passed since it was last sent, or since this process began
        where an earlier one may have sent it. Where a miss never is a proof, its day has to have been over
        when the broker was asked: what it says of an earlier time may be outdated.
        """
        connection = self._connection
        delay = connection.broker.visibility_delay
        if delay is None:
            return sending.was_over
        return connection.clock.now() - (sending.sent_at or connection.begun) >= delay

    def _ask(self, sending: Sending, pause: float | None) -> None:
        sending.state, sending.was_over = State.QUERIED, self._gate.is_over(sending.order)
        request = Request(
            (QUERY if self._connection.remote else CANCEL, turn(sending.order)),
            partial(self._connection.broker.order, sending.order.client_order_id),
            partial(self._answered, sending),
            awaited=sending.waits > 0,
        )
        self._connection.put(request, pause)

    def _answered(self, sending: Sending, outcome: Any) -> Sequence[OrderUpdate]:
        if isinstance(outcome, NotSent):
            self._ask(sending, outcome.wait)
            return NO_NEWS
        sending.queries += 1
        sending.waits -= 1
        if isinstance(outcome, BrokerError):
            self._connection.note_failure(outcome)
            self.begin_after_pause(sending)
            return NO_NEWS
        self._connection.access.request_accepted()
        if outcome is not None:
            return [self._found(sending, outcome)]
        if sending.sent_at is None or not self._may_still_show(sending):
            sending.state = State.TO_JUDGE
        else:
            self.begin_after_pause(sending)
        return NO_NEWS

    def _found(self, sending: Sending, seen: BrokerOrder) -> OrderUpdate:
        order = sending.order
        if not seen.is_for(order):
            raise ConflictError(
                f"payload_mismatch: the broker has {order.client_order_id} as "
                f"{seen.side} {seen.qty} {seen.symbol}; run `smabot reconcile`"
            )
        self._forget(sending)
        return seen.update()

    def _may_still_show(self, sending: Sending) -> bool:
        """Whether that an order is not found says nothing yet."""
        if self._connection.broker.visibility_delay is None:
            return sending.queries < len(self._connection.pauses)
        return not self.is_absence_proven(sending)

    def _pause(self, sending: Sending) -> float:
        pauses = self._connection.pauses
        return pauses[min(sending.queries, len(pauses) - 1)] if pauses else 0.0
