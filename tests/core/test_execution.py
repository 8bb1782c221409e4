"""The table of `smabot.engine.execution.next_action`, a test a row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.engine.execution.next_action import (
    Cancel,
    Done,
    Enter,
    Exit,
    GiveUp,
    Situation,
    Wait,
    lost,
    needs_comparison,
    next_action,
)

D = Decimal
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMIT = OrderType.LIMIT


def order(side: Side = Side.BUY, qty: int = 10, name: str = "a", **changes: Any) -> Order:
    made = Order(
        name, "s", "SPY", side, D(qty), OrderType.MARKET, None, TimeInForce.DAY,
        NOW - MINUTE, 1, side is Side.SELL, NOW, Status.ACCEPTED,
    )  # fmt: skip
    return replace(made, **changes)


def sale(qty: int = 10, **changes: Any) -> Order:
    return order(Side.SELL, qty, **changes)


def after(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


NOTHING = Situation(
    now=NOW, target=None, decided_now=False, by_operator=False, at_once=False, held=D(0), orders=(),
    last_exit=None, opposing=(), free=D(0), split="", entries_blocked="", timeout=5 * MINUTE,
    compared_until=None, closes={}, next_open=None, in_doubt=False, agreed_at=NOW - 60 * MINUTE,
)  # fmt: skip


def long(**changes: Any) -> Situation:
    return replace(NOTHING, target=1, **changes)


def flat(held: int = 10, **changes: Any) -> Situation:
    return replace(NOTHING, **{"target": 0, "held": D(held), "free": D(abs(held)), **changes})


def failed(**changes: Any) -> Order:
    return sale(**{"status": Status.REJECTED, "updated_at": NOW, **changes})


CLOSED = {"a": NOW - 60 * MINUTE}
ASKED = {"cancel_requested_at": NOW, "cancel_reason": "?"}


def left_open(**changes: Any) -> Situation:
    """The broker leaves an order open though its time is over and its cancel was asked for."""
    situation = {"now": after(9), "agreed_at": after(0.1)}
    situation |= {
        name: changes.pop(name) for name in ("now", "agreed_at", "in_doubt") if name in changes
    }
    return long(orders=(order(**{**ASKED, **changes}),), closes=CLOSED, **situation)


@pytest.mark.parametrize(
    ("situation", "kind", "says"),
    [
        # what is open, whatever is wanted
        (long(orders=(order(),), closes=CLOSED), Cancel, "still open an hour after"),
        (flat(orders=(sale(),), closes=CLOSED), Cancel, "still open an hour after"),
        (replace(NOTHING, orders=(order(),), closes=CLOSED), Cancel, "still open an hour after"),
        (long(orders=(order(),), closes={"a": NOW - 59 * MINUTE}), Done, ""),
        (left_open(now=after(1)), GiveUp, ""),
        (left_open(now=after(0.9)), Done, ""),
        (left_open(in_doubt=True), Done, ""),
        (left_open(status=Status.UNKNOWN), Done, ""),
        (left_open(agreed_at=None), Done, ""),
        (left_open(agreed_at=after(-5)), Done, ""),
        (left_open(agreed_at=after(-0.1)), Done, ""),
        (left_open(agreed_at=NOW), GiveUp, ""),
        (left_open(cancel_requested_at=after(5), agreed_at=after(4)), Done, ""),
        (left_open(cancel_requested_at=after(5), agreed_at=after(5.1)), GiveUp, ""),
        (left_open(cancel_requested_at=after(-90), now=after(0.9)), Done, ""),
        (left_open(cancel_requested_at=after(-90), now=after(1)), GiveUp, ""),
        (left_open(cancel_requested_at=after(-90), agreed_at=after(-10)), Done, ""),
        (flat(0, orders=(order(),)), Cancel, "is now flat"),
        (flat(0, orders=(order(status=Status.UNKNOWN),)), Cancel, "is now flat"),
        (long(orders=(order(),), entries_blocked="halted"), Cancel, "halted"),
        (long(orders=(order(),), now=after(5)), Cancel, "not filled within 5 minutes"),
        (long(orders=(order(),), now=after(4.9)), Done, ""),
        (long(orders=(order(submitted_at=after(2)),), now=after(6.9)), Done, ""),
        (long(orders=(order(submitted_at=after(2)),), now=after(7)), Cancel, "within 5 minutes"),
        (long(orders=(order(status=Status.PENDING),), now=after(9)), Done, ""),
        (long(orders=(order(status=Status.UNKNOWN),), now=after(9)), Cancel, "within 5 minutes"),
        (long(orders=(order(updated_at=after(4)),), now=after(5)), Cancel, "within 5 minutes"),
        (long(orders=(order(), order(name="b"),), now=after(4.9)), Done, ""),
        (long(orders=(order(timeout_minutes=9),), now=after(8)), Done, ""),
        (long(orders=(order(timeout_minutes=0),), now=after(99)), Done, ""),
        (long(orders=(order(),), now=after(99), timeout=timedelta(0)), Done, ""),
        (long(orders=(order(type=LIMIT),), now=after(99)), Done, ""),
        (long(orders=(order(type=LIMIT, timeout_minutes=3),), now=after(3)), Cancel, "3 minutes"),
        (
            long(orders=(order(type=LIMIT, filled_qty=D(3), updated_at=after(9)),), now=after(13)),
            Done,
            "",
        ),
        (
            long(orders=(order(type=LIMIT, filled_qty=D(3), updated_at=after(9)),), now=after(14)),
            Cancel,
            "not filled",
        ),
        (flat(orders=(sale(type=LIMIT),), by_operator=True), Cancel, "operator"),
        (flat(orders=(sale(type=LIMIT),)), Done, ""),
        (flat(6, orders=(sale(),)), Cancel, "only 6 are held"),
        (flat(0, orders=(sale(),)), Cancel, "only 0 are held"),
        (long(held=D(4), orders=(sale(),)), Cancel, "only 4 are held"),
        (flat(0, orders=(order(**ASKED),)), Done, ""),
        (flat(6, orders=(sale(6), sale(4, name="b", **ASKED))), Done, ""),
        (flat(6, orders=(sale(10, filled_qty=D(4)),)), Done, ""),
        (long(orders=(sale(type=LIMIT),), held=D(10), by_operator=True), Done, ""),
        # long is wanted
        (long(decided_now=True), Enter, ""),
        (long(decided_now=True, orders=(sale(),), held=D(10)), Enter, ""),
        (long(), Done, ""),
        (long(decided_now=True, orders=(order(),)), Done, ""),
        # flat is wanted
        (flat(0), Done, ""),
        (flat(-10), Done, ""),
        (flat(-10, by_operator=True), Exit, 10),
        (flat(orders=(sale(),)), Done, ""),
        (flat(compared_until=after(0.1)), Wait, "compared"),
        (flat(compared_until=NOW), Exit, 10),
        (flat(opposing=(order(name="b", strategy="t"),)), Cancel, "takes priority"),
        (flat(opposing=(order(name="b", strategy="t", **ASKED),), now=after(0.9)), Wait, "not ended"),
        (flat(opposing=(order(name="b", strategy="t", **ASKED),), now=after(1)), Exit, 10),
        (flat(6, orders=(order(filled_qty=D(6), **ASKED),), now=after(0.9)), Wait, "not ended"),
        (flat(6, orders=(order(filled_qty=D(6), **ASKED),), now=after(1)), Exit, 6),
        (
            flat(
                opposing=(
                    order(name="b", strategy="t", cancel_requested_at=after(-3)),
                    order(name="c", strategy="t", **ASKED),
                ),
                now=after(0.9),
            ),
            Wait,
            "not ended",
        ),
        (flat(opposing=(sale(name="b", strategy="t", **ASKED),)), Exit, 10),
        (flat(last_exit=failed(updated_at=None, created_at=after(2)), now=after(2.9)), Wait, "rejected"),
        (flat(last_exit=failed(updated_at=None, created_at=after(2)), now=after(3)), Exit, 10),
        (flat(last_exit=failed(status=Status.EXPIRED, given_up_at=NOW)), Exit, 10),
        (flat(last_exit=failed(attempt=5), now=after(15.9)), Wait, "rejected"),
        (flat(last_exit=failed(attempt=5), now=after(16)), Exit, 10),
        (flat(last_exit=failed(), now=after(0.9), next_open=after(-60)), Wait, "rejected"),
        (flat(last_exit=failed(), now=after(1), next_open=after(-60)), Exit, 10),
        (flat(last_exit=failed(), now=after(60), next_open=after(60)), Exit, 10),
        (flat(last_exit=failed(), now=after(0.9)), Wait, "rejected"),
        (flat(last_exit=failed(), now=after(1)), Exit, 10),
        (flat(last_exit=failed(attempt=3), now=after(3.9)), Wait, "rejected"),
        (flat(last_exit=failed(attempt=9), now=after(15.9)), Wait, "rejected"),
        (flat(last_exit=failed(attempt=9), now=after(16)), Exit, 10),
        (flat(last_exit=failed(), now=after(1), next_open=after(60)), Wait, "rejected"),
        (flat(last_exit=failed(), by_operator=True, at_once=True), Exit, 10),
        (flat(last_exit=failed(status=Status.BLOCKED)), Wait, "blocked"),
        (flat(last_exit=failed(status=Status.CANCELED, **ASKED)), Exit, 10),
        (flat(last_exit=failed(cause=RefusalCause.POSITION)), Exit, 10),
        (flat(last_exit=failed(cause=RefusalCause.POSITION, attempt=2)), Wait, "rejected"),
        (flat(4, last_exit=sale(6, status=Status.FILLED)), Exit, 4),
        (flat(last_exit=failed(cause=RefusalCause.AVAILABLE, available=D(6))), Exit, 6),
        (flat(last_exit=failed(cause=RefusalCause.AVAILABLE, available=D(0))), Wait, "rejected"),
        (flat(last_exit=failed(cause=RefusalCause.AVAILABLE, available=D(10))), Wait, "rejected"),
        (flat(last_exit=failed(cause=RefusalCause.AVAILABLE)), Wait, "rejected"),
        (flat(last_exit=failed(cause=RefusalCause.OTHER, available=D(6))), Wait, "rejected"),
        (flat(free=D(4), last_exit=failed(cause=RefusalCause.AVAILABLE, available=D(6))), Exit, 4),
        (flat(free=D(4), orders=(sale(9, filled_qty=D(1)),)), Exit, 2),
        (flat(orders=(sale(status=Status.UNKNOWN, **ASKED),), now=after(0.9)), Done, ""),
        (flat(orders=(sale(status=Status.UNKNOWN, **ASKED),), now=after(1)), Exit, 10),
        (flat(orders=(sale(**ASKED),), now=after(9)), Done, ""),
        (flat(free=D(0)), Wait, "other orders hold the shares"),
        (flat(free=D(4)), Exit, 4),
        (flat(12, orders=(sale(4),), free=D(8)), Exit, 8),
        (flat(5, orders=(sale(**ASKED, status=Status.UNKNOWN),), now=after(1)), Exit, 5),
        (flat(5, orders=(sale(**ASKED, status=Status.UNKNOWN),), now=after(0.9)), Done, ""),
        (flat(5, orders=(sale(**ASKED),), now=after(1)), Done, ""),
        (flat(), Exit, 10),
        # nothing was ever wanted
        (NOTHING, Done, ""),
        (replace(NOTHING, held=D(10)), Done, ""),
    ],
)  # fmt: skip
def test_a_row(situation: Situation, kind: type, says: Any) -> None:
    action = next_action(situation)
    assert type(action) is kind, action
    if isinstance(action, Exit):
        assert action.qty == says
        last = situation.last_exit
        assert action.attempt == (last.attempt + 1 if last else 1)
    elif isinstance(action, (Cancel, Wait)):
        assert says in action.why


@pytest.mark.parametrize(
    ("situation", "needs"),
    [
        (left_open(agreed_at=None), True),
        (left_open(agreed_at=after(-5)), True),
        (left_open(agreed_at=after(-5), now=after(0.1)), True),
        (left_open(agreed_at=None, in_doubt=True), True),
        (left_open(cancel_requested_at=after(-90), agreed_at=after(-10)), True),
        (left_open(cancel_requested_at=after(-90), agreed_at=None, now=after(-1)), False),
        (left_open(agreed_at=None, cancel_requested_at=None), False),
        (left_open(agreed_at=None, status=Status.UNKNOWN), False),
        (left_open(), False),
        (left_open(now=after(0.5)), False),
        (long(orders=(order(**ASKED),), agreed_at=None, now=after(9)), False),
    ],
)
def test_an_order_is_not_given_up_before_a_comparison_that_is_asked_for(
    situation: Situation, needs: bool
) -> None:
    assert needs_comparison(situation) is needs


def test_of_exits_that_are_too_many_the_newest_is_canceled() -> None:
    action = next_action(flat(6, orders=(sale(6, name="old"), sale(4, name="new"))))
    assert isinstance(action, Cancel)
    assert action.order.client_order_id == "new"


ORDERS = st.builds(
    order,
    st.sampled_from(Side),
    st.integers(1, 20),
    st.sampled_from("abc"),
    status=st.sampled_from([Status.PENDING, Status.UNKNOWN, Status.ACCEPTED]),
    type=st.sampled_from(OrderType),
    cancel_requested_at=st.sampled_from([None, NOW]),
)
SITUATIONS = st.builds(
    replace,
    st.just(NOTHING),
    now=st.sampled_from([NOW, after(1), after(5), after(70)]),
    target=st.sampled_from([None, 0, 1]),
    decided_now=st.booleans(),
    by_operator=st.booleans(),
    held=st.integers(-20, 20).map(D),
    orders=st.lists(ORDERS, max_size=3, unique_by=lambda o: o.client_order_id).map(tuple),
    last_exit=st.sampled_from(
        [None, failed(), failed(cause=RefusalCause.AVAILABLE, available=D(3))]
    ),
    free=st.integers(0, 20).map(D),
    entries_blocked=st.sampled_from(["", "halted"]),
    closes=st.sampled_from([{}, CLOSED]),
    compared_until=st.sampled_from([None, after(1)]),
    agreed_at=st.sampled_from([None, after(-1), after(2)]),
)


@given(SITUATIONS)
def test_no_situation_makes_an_exit_that_crosses_zero_or_an_entry_nobody_decided(
    situation: Situation,
) -> None:
    action = next_action(situation)
    if isinstance(action, Exit):
        selling = sum(o.qty for o in situation.orders if o.reduces and not lost(o, situation.now))
        assert 0 < action.qty <= abs(situation.held) - selling
        assert action.qty <= situation.free
        assert situation.target == 0
        assert situation.held > 0 or situation.by_operator
    if isinstance(action, Enter):
        assert situation.decided_now
        assert situation.target == 1
    if isinstance(action, (Cancel, GiveUp)):
        assert action.order in (*situation.orders, *situation.opposing)
    if isinstance(action, Cancel):
        assert action.order.cancel_requested_at is None
    if isinstance(action, GiveUp):
        assert situation.agreed_at is not None
        assert situation.agreed_at >= max(NOW, action.order.cancel_requested_at or NOW)
