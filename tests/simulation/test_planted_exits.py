"""Exits are made, and entries canceled, whatever is in the way: each fault forgets one thing in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from smabot.domain.known_blocks import KnownBlocks
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.cancels import Cancels
from smabot.engine.execution import next_action
from smabot.engine.execution.executor import Executor
from smabot.engine.outbox import Outbox
from smabot.engine.reconciling.running_comparison import Comparison
from smabot.engine.sending_states import Sending
from smabot.errors import BrokerError

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def sold_unasked(plant: Any) -> None:
    """An exit sells what the bot believes to hold, whatever was sold by hand."""
    plant.never(Comparison, "external_activity_seen")
    plant.setattr("smabot_exchange.in_process._intent", lambda order: None)


def own_entries_in_the_way(plant: Any) -> None:
    """An exit does not cancel what rests in its way."""
    plant.instead(
        Executor,
        "_situation",
        lambda original: lambda *args: replace(original(*args), opposing=()),
    )


def resting_entries_stay(plant: Any) -> None:
    """A halt, a trip or a limit leaves the entries that rest at the broker."""
    plant.never(Executor, "_entries_blocked", "")


def entries_live_for_ever(plant: Any) -> None:
    """A market entry that does not fill is never canceled."""
    plant.never(next_action, "timeout_of", timedelta(0))


def an_unanswered_cancel_is_waited_for(plant: Any) -> None:
    """An exit waits until a canceled entry has ended, however long that takes."""

    def make(original: Any) -> Any:
        def clearing(s: Any) -> Any:
            asked = [o for o in (*s.orders, *s.opposing) if not o.reduces]
            return next_action.Wait(None, "a cancel") if asked else original(s)

        return clearing

    plant.instead(next_action, "_clear_the_way", make)


def yesterday_s_exit_counts(plant: Any) -> None:
    """An order that is left open at its session's close stays open."""
    plant.never(next_action, "_overdue")
    plant.never(next_action, "needs_comparison", answer=False)


def a_cancel_s_answer_ends_an_order(plant: Any) -> None:
    """A cancel that was accepted counts as the order's end."""

    def make(original: Any) -> Any:
        def requesting(self: Cancels, order: Order, tries: int = 0) -> Any:
            request = original(self, order, tries)

            def take(outcome: Any) -> Any:
                if isinstance(outcome, BrokerError):
                    return request.take(outcome)
                now = self._connection.clock.now()
                return [OrderUpdate(order.client_order_id, Status.CANCELED, now)]

            return replace(request, take=take)

        return requesting

    plant.instead(Cancels, "_request", make)


def cancels_forgotten_by_a_restart(plant: Any) -> None:
    """That a cancel was asked for is known to the process alone, and not asked for again."""
    plant.never(Cancels, "start_over")

    def make(original: Any) -> Any:
        def dropping(self: Cancels) -> None:
            if not hasattr(self, "_known"):
                self._known = set(self._book.canceling)  # type: ignore[attr-defined]
            now = self._connection.clock.now()
            self._asked.update(dict.fromkeys(self._known & self._book.canceling.keys(), now))  # type: ignore[attr-defined]
            original(self)

        return dropping

    plant.instead(Cancels, "request_due", make)


def a_halt_stops_exits(plant: Any) -> None:
    """A block of entries holds exits, too."""

    def make(original: Any) -> Any:
        return lambda self, now, *, reduces: original(self, now, reduces=False)

    plant.instead(KnownBlocks, "holding", make)


def a_revoked_key_refuses_orders(plant: Any) -> None:
    """A refused key is taken as the refusal of the order."""

    def make(original: Any) -> Any:
        def taking(self: Outbox, sending: Sending, error: Any) -> Any:
            self._forget(sending)
            return [self._connection.update(sending.order, Status.REJECTED, str(error))]

        return taking

    plant.instead(Outbox, "_turned_away", make)


FAULTS: dict[Any, tuple[str, ...]] = {
    sold_unasked: ("sold by hand",),
    own_entries_in_the_way: ("bar repeated",),
    resting_entries_stay: ("bar repeated",),
    entries_live_for_ever: ("exchange halt", "exchange stuck_pending"),
    an_unanswered_cancel_is_waited_for: ("exchange frozen_cancel",),
    yesterday_s_exit_counts: ("exchange left_at_close", "exchange halt"),
    a_cancel_s_answer_ends_an_order: ("exchange frozen_cancel",),
    cancels_forgotten_by_a_restart: ("cancel lost",),
    a_halt_stops_exits: ("bar repeated",),
    a_revoked_key_refuses_orders: ("key refused",),
}
"""Each planted fault, and the kinds of faults of the world that it shows up under."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    plant.is_found(FAULTS[fault])
