"""An exit that is still open after its session's close."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot_exchange.faults.market_kinds import FrozenCancel, LeftAtClose

LONG, FLAT = 1, 0


EVENING = datetime(2026, 3, 2, 20, 40, tzinfo=UTC)
CLOSE = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
MORNING = datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
LEFT = ["done_for_day", "calculated", "stopped", "suspended"]


@pytest.fixture
def evening(make_world: Any, limits: Any, script: Any) -> Any:
    """Two shares a minute: of an exit in the last minutes six are sold before the close."""
    bars: list[float | None] = [100.0] * 20 + [None] * 1050 + [100.0] * 120
    world = make_world({"SPY": bars}, volume=20, start=EVENING, **limits())
    world.strategies = {"s": script({("SPY", 2): LONG, ("SPY", 16): FLAT}, EVENING)}
    return world


def left_at_close(bot: Any, value: str) -> None:
    bot.exchange.faults.add([LeftAtClose(value=value)])
    bot.live_until(CLOSE)
    assert bot.session.book.net("SPY") == 4
    assert [o.filled_qty for o in bot.session.book.open_orders()] == [6]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("value", LEFT)
def test_an_exit_left_at_its_close_is_canceled_an_hour_later_and_made_anew(
    evening: Any, alive: Any, value: str, killed: bool, exits: Any, sizes: Any
) -> None:
    with alive(evening) as bot:
        left_at_close(bot, value)
        if not killed:
            bot.pass_to(CLOSE + timedelta(minutes=59))
            assert [o.filled_qty for o in bot.session.book.open_orders()] == [6]
            bot.pass_to(CLOSE + timedelta(minutes=60))
            assert [(o.qty, o.status) for o in bot.session.book.open_orders()] == [
                (4, Status.ACCEPTED)
            ]
            bot.live_until(MORNING + timedelta(minutes=5))
    if killed:
        with alive(evening) as bot:
            bot.live_until(MORNING + timedelta(minutes=5))
    assert sizes(evening) == [(10, "canceled"), (4, "filled")]
    first, second = exits(evening)
    assert (first.filled_qty, first.given_up_at) == (6, None)
    assert first.cancel_reason == "still open an hour after its session's close"
    assert MORNING < second.updated_at < MORNING + timedelta(minutes=5)
    assert evening.held() == {}


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("value", LEFT)
def test_an_exit_left_at_its_close_that_nothing_ends_there_ends_here(
    evening: Any, alive: Any, value: str, killed: bool, exits: Any, the_event: Any
) -> None:
    """The broker still holds its shares back, so that the new exit waits until it lets go of them."""
    with alive(evening) as bot:
        bot.freeze_cancels(18 * 60)
        left_at_close(bot, value)
        bot.pass_to(CLOSE + timedelta(minutes=60))
        (order,) = bot.session.book.open_orders()
        assert order.cancel_requested_at == CLOSE + timedelta(minutes=60)
        if not killed:
            bot.pass_to(CLOSE + timedelta(minutes=61))
            assert bot.session.book.open_orders() == []
            bot.live_until(MORNING + timedelta(minutes=60))
    if killed:
        with alive(evening) as bot:
            bot.live_until(MORNING + timedelta(minutes=60))
    first, *others, last = exits(evening)
    assert (first.status, first.filled_qty) == (Status.CANCELED, 6)
    assert first.given_up_at is None  # the broker has confirmed its end since, as a cancel
    assert {(o.qty, o.status, o.available) for o in others} == {(4, Status.REJECTED, 0)}
    assert len(others) <= 6
    assert (last.qty, last.status) == (4, Status.FILLED)
    assert last.updated_at > CLOSE + timedelta(hours=18)
    event = the_event(evening, "given_up")
    assert (event.subject, event.grave) == (first.client_order_id, True)
    assert evening.held() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["partly", "wholly"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_fill_of_an_exit_that_was_given_up_is_a_conflict_that_accept_resolves(
    evening: Any, alive: Any, whole: bool, killed: bool, exits: Any, ends_in_conflict: Any
) -> None:
    with alive(evening) as bot:
        bot.freeze_cancels()
        left_at_close(bot, "stopped")
        bot.pass_to(CLOSE + timedelta(minutes=60))
        bot.pass_to(CLOSE + timedelta(minutes=61))
        bot.live_until(MORNING + timedelta(minutes=2))
        wake(bot, exits(bot)[0])
        if killed:
            bot.session.feed.next(0)
            if whole:
                bot.session.feed.next(0)
        else:
            with ends_in_conflict() as caught:
                bot.live()
            assert caught.value.conflicts[0].kind == "filled_after_its_end"
            if whole:
                bot.session.feed.next(0)
    with pytest.raises(ReconciliationConflict) as found, alive(evening):
        pass
    assert [each.kind for each in found.value.conflicts] == ["filled_after_its_end"]
    assert evening.accept() == 0
    assert evening.held() == ({} if whole else {("s", "SPY"): 2})
    assert exits(evening)[0].filled_qty == (10 if whole else 8)
    with alive(evening) as bot:
        bot.live_until(MORNING + timedelta(minutes=60))
        assert bot.account_holds() == bot.session.book.net("SPY") == 0


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_entry_that_was_given_up_and_filled_while_the_bot_was_down_is_ours(
    evening: Any, alive: Any, script: Any, foreign: str, resting: Any
) -> None:
    """Shares of it are not taken for somebody else's, which might be ignored."""
    evening.strategies = {"s": script({("SPY", 5): LONG}, EVENING), "rests": resting("s")}
    with alive(evening, foreign=foreign) as bot:
        bot.exchange.faults.add([LeftAtClose(), FrozenCancel(partial=False)])
        bot.live_until(CLOSE)
        bot.pass_to(CLOSE + timedelta(minutes=60))
        bot.pass_to(CLOSE + timedelta(minutes=61))
        (entry,) = bot.rows(Order)
        assert (entry.status, entry.filled_qty) == (Status.EXPIRED, 0)
        bot.live_until(MORNING + timedelta(minutes=2))
        wake(bot, entry, limit_price=Decimal(100))
        for _ in range(5):
            bot.session.feed.next(0)
        assert bot.account_holds() == 10
    evening.settings["foreign"] = foreign
    with pytest.raises(ReconciliationConflict) as found, alive(evening):
        pass
    assert [each.kind for each in found.value.conflicts] == ["filled_after_its_end"]
    assert evening.accept() == 0
    assert evening.held() == {("s", "SPY"): 10}


def wake(bot: Any, exit_: Order, **changes: Any) -> None:
    """An order that the broker was done with trades again."""
    desk = bot.exchange._engine
    found = bot.exchange.order_by_client_id(exit_.client_order_id)
    day = timedelta(days=1)
    desk.open_orders.put(
        replace(
            found, stall=None, stalled_until=None, status="new", expires_at=CLOSE + day, **changes
        )
    )
