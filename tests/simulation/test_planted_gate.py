"""What leaves is judged as it leaves: each fault lets something leave that must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from smabot.domain import last_prices
from smabot.domain.known_blocks import KnownBlocks
from smabot.domain.records import Order
from smabot.domain.risk_answers import Check
from smabot.engine.broker_access import Access
from smabot.engine.commit import Commit
from smabot.engine.dispatcher import Request
from smabot.engine.gate import GO, Answer, Gate, Verdict
from smabot.engine.loop import Engine
from smabot.engine.outbox import Outbox
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.sending_states import Sending, State
from smabot.engine.start import recovery
from smabot.hooks.plugins import Plugins

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


def judged_once(plant: Any) -> None:
    """An order is judged when it is made, and never again."""
    making: list[Order] = []

    def admit(original: Any) -> Any:
        def admitting(self: Gate, order: Order) -> Any:
            making.append(order)
            try:
                return original(self, order)
            finally:
                making.pop()

        return admitting

    def may_leave(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            return original(self, order, left=left) if making else GO

        return judging

    plant.instead(Gate, "admit", admit)
    plant.instead(Gate, "may_leave", may_leave)


def sent_again_unjudged(plant: Any) -> None:
    """What may have left is sent again whatever has happened since: a trip, a halt."""

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            return GO if left else original(self, order)

        return judging

    plant.instead(Gate, "may_leave", make)


def sent_again_while_entries_wait(plant: Any) -> None:
    """An unanswered entry is sent again though order updates are down."""

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            verdict = original(self, order, left=left)
            return GO if left and verdict.answer is Answer.WAIT else verdict

        return judging

    plant.instead(Gate, "may_leave", make)


def left_unjudged_after_a_wait(plant: Any) -> None:
    """An entry that waited leaves as soon as its cause is over, whatever was decided meanwhile."""
    waited: set[str] = set()

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            name, verdict = order.client_order_id, original(self, order, left=left)
            if verdict.answer is Answer.WAIT:
                waited.add(name)
                return verdict
            return GO if name in waited and not self.standing.degraded else verdict

        return judging

    plant.instead(Gate, "may_leave", make)


def no_epochs(plant: Any) -> None:
    """What was granted leaves, though it waited behind others."""
    plant.never(Outbox, "end_grants")
    plant.never(Outbox, "_end_grants_that_do_not_hold")


def retried_by_the_courier(plant: Any) -> None:
    """What found no room under the rate limit is sent after a pause, without another grant."""

    def make(original: Any) -> Any:
        def paused(self: Outbox, sending: Sending, error: Any) -> Any:
            ask = partial(self._connection.broker.submit, sending.order)
            request = Request((2,), ask, partial(self._sent, sending))
            sending.state = State.GRANTED
            self._connection.put(request, error.wait)
            return ()

        return paused

    plant.instead(Outbox, "_paused", make)


def sent_after_a_conflict(plant: Any) -> None:
    """A conflict is kept among the events, and the bot trades on."""

    def make(original: Any) -> Any:
        def comparing(self: Engine) -> None:
            try:
                original(self)
            except ReconciliationConflict:
                self.gate.standing.conflict = ""

        return comparing

    plant.instead(Engine, "compare", make)


def blocks_of_absent_plugins_ignored(plant: Any) -> None:
    """A block counts only where its plugin is part of the run."""
    plant.never(recovery, "require_blocking_plugins")
    begun: list[Plugins] = []

    def init(original: Any) -> Any:
        def making(
            self: Gate, config: Any, book: Any, plugins: Plugins, *more: Any, **kw: Any
        ) -> None:
            begun[:] = [plugins]
            original(self, config, book, plugins, *more, **kw)

        return making

    def holding(original: Any) -> Any:
        def held(self: KnownBlocks, now: datetime, *, reduces: bool) -> Any:
            names = {"core", *begun[0].names} if begun else {"core"}
            return [b for b in original(self, now, reduces=reduces) if b.plugin in names]

        return held

    plant.instead(Gate, "__init__", init)
    plant.instead(KnownBlocks, "holding", holding)


def no_price_collar(plant: Any) -> None:
    """A bad print is a price as any."""
    plant.never(last_prices.LastPrices, "jumped_from")


def stale_entries_leave(plant: Any) -> None:
    """An entry never gets too old."""

    def make(original: Any) -> Any:
        def judging(self: Gate, entry: Order) -> Verdict:
            verdict = original(self, entry)
            return GO if "too long" in verdict.why else verdict

        return judging

    plant.instead(Gate, "_entry", make)


def entered_in_the_last_minute(plant: Any) -> None:
    """An entry is made that can only fill in a later session."""
    plant.never(Gate, "_last_minutes", Check("last_entry_minutes", True))


def entered_beside_an_unknown_order(plant: Any) -> None:
    """A symbol is entered though nobody knows what became of another order in it."""
    plant.never(Gate, "_unknown", Check("unknown_order", True))


def entries_while_updates_are_missing(plant: Any) -> None:
    """Entries go on while the stream of order updates is down."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
            self._feed_trouble = ""
            original(self)

        return committing

    plant.instead(Commit, "commit", make)


def entries_in_a_blocked_account(plant: Any) -> None:
    """Entries go on though an order was refused because of the account."""
    plant.never(Access, "request_refused")


def unblocked_by_an_order(plant: Any) -> None:
    """Where one order is taken, as an exit is or one that had arrived before, the account may trade again."""

    def make(original: Any) -> Any:
        def accepting(self: Access) -> None:
            self._tell("", "")

        return accepting

    plant.instead(Access, "request_accepted", make)


def not_compared_after_a_reconnect(plant: Any) -> None:
    """When the stream is back the bot goes on as if nothing was missed."""

    def make(original: Any) -> Any:
        return lambda self, batch: original(self, replace(batch, resync=False))

    plant.instead(Engine, "take", make)


def symbols_entered_that_were_dropped(plant: Any) -> None:
    """Whatever has bars may be entered, though the settings leave it out."""

    def make(original: Any) -> Any:
        def making(self: Gate, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **{**kwargs, "enterable": ("AAA", "BBB")})

        return making

    plant.instead(Gate, "__init__", make)


FAULTS: dict[Any, tuple[str, ...]] = {
    judged_once: ("stream down",),
    sent_again_unjudged: ("submit lost", "submit unanswered", "submit late"),
    sent_again_while_entries_wait: ("submit lost", "submit full", "stream down"),
    left_unjudged_after_a_wait: ("stream down",),
    no_epochs: ("dispatcher busy",),
    retried_by_the_courier: ("submit full", "stream down"),
    sent_after_a_conflict: ("bought by hand", "bar repeated"),
    blocks_of_absent_plugins_ignored: ("plugins changed", "bar repeated", "bar revised"),
    no_price_collar: ("bar bad print",),
    stale_entries_leave: ("stream down",),
    entered_in_the_last_minute: ("bar repeated",),
    entered_beside_an_unknown_order: ("submit lost", "submit unanswered", "submit late"),
    entries_while_updates_are_missing: ("stream down",),
    entries_in_a_blocked_account: ("account refused",),
    unblocked_by_an_order: ("account refused",),
    not_compared_after_a_reconnect: ("stream down",),
    symbols_entered_that_were_dropped: ("symbols changed",),
}
"""Each planted fault, and the kinds of faults of the world that it shows up under."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    plant.is_found(FAULTS[fault])
