"""When a running bot compares positions with the broker's, and what it makes of the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import Status
from smabot.domain.records import (
    Batch,
    OrderUpdate,
)
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import BrokerError
from smabot.hooks.recovery_answers import Conflict, Reconciliation

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
D = Decimal
LONG = 1


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


def test_it_compares_by_a_timer(running: Make) -> None:
    with running(reconcile_every_minutes=5) as bot:
        begun = len(bot.plugin.compared)
        bot.play(11)
        assert bot.plugin.compared[begun:] == [minute(5), minute(10)]


def test_it_compares_at_once_when_the_connection_is_back(running: Make) -> None:
    with running() as bot:
        bot.play(2)
        begun = len(bot.plugin.compared)
        bot.engine.take(Batch(minute(2), resync=True))
        bot.play(3)
        assert bot.plugin.compared[begun:] == [minute(2)]
        assert bot.engine.comparison.why_degraded == ""


def test_a_broker_that_does_not_answer_is_asked_again_and_entries_wait(running: Make) -> None:
    def fails() -> Reconciliation:
        raise BrokerError("503")

    with running({2: LONG}, max_bar_age_minutes=5) as bot:
        bot.play(2)
        bot.plugin.answer = fails
        bot.engine.take(Batch(minute(2), resync=True))
        assert "503" in bot.engine.comparison.why_degraded
        begun = len(bot.plugin.compared)
        for seconds in (9, 10, 19, 20):
            bot.at(seconds)
        times = [time - minute(2) for time in bot.plugin.compared[begun:]]
        assert times == [10 * SECOND, 20 * SECOND]
        bot.exchange.shift = timedelta(0)
        bot.play(1)
        assert bot.exchange.sent == []
        assert "503" in bot.order().reason
        bot.plugin.answer = Reconciliation
        bot.at(60)
        assert bot.engine.comparison.why_degraded == ""
        bot.at(61)
        assert len(bot.exchange.sent) == 1


def test_news_of_the_broker_are_applied(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        told = OrderUpdate(order.client_order_id, Status.CANCELED, minute(3), reason="by hand")
        bot.plugin.answer = lambda: Reconciliation(updates=(told,))
        bot.engine.take(Batch(minute(3), resync=True))
        assert (bot.order().status, bot.order().reason) == (Status.CANCELED, "by hand")


CONFLICTS = (
    Conflict("position_mismatch", "SPY", "10 shares", "4 shares", "mend it"),
    Conflict("unknown_locally", "x", "never written", "accepted", "mend it"),
)


def test_a_conflict_is_on_the_record_and_nothing_leaves_after_it(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(2)
        bot.plugin.answer = lambda: Reconciliation(conflicts=CONFLICTS)
        with pytest.raises(ReconciliationConflict) as caught:
            bot.engine.take(Batch(minute(2), resync=True))
        assert caught.value.conflicts == CONFLICTS
        found = {(e.kind, e.subject, e.text, e.grave) for e in bot.rows(Event)}
        assert found == {
            ("conflict", "SPY", "position_mismatch: 10 shares here, 4 shares at the broker", True),
            ("conflict", "x", "unknown_locally: never written here, accepted at the broker", True),
        }
        batch = bot.exchange.next(0)
        assert batch is not None
        bot.engine.process(batch)
        assert bot.exchange.sent == []
        assert (bot.order().status, bot.order().reason) == (
            Status.PENDING, "conflict: position_mismatch SPY",
        )  # fmt: skip


@pytest.mark.parametrize("meanwhile", ["nothing", "a fill", "a lost connection", "a stranger"])
def test_an_answer_that_is_outdated_when_it_comes_is_asked_for_again(
    running: Make, remote: Any, meanwhile: str
) -> None:
    with running({2: LONG}, exchange=remote, reconcile_every_minutes=99) as bot:
        engine, exchange = bot.engine, bot.exchange
        bot.play(3)
        (order,) = engine.book.open_orders()
        begun, asked = len(bot.plugin.compared), exchange.asked
        exchange.may_answer.clear()
        engine.take(Batch(minute(3), resync=True))
        assert engine.comparison.due
        assert "connection" in engine.comparison.why_degraded
        if meanwhile == "a fill":
            bot.update(
                order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(1)
            )
        elif meanwhile == "a lost connection":
            engine.take(Batch(minute(3), resync=True))
        elif meanwhile == "a stranger":
            bot.update("hand-1", Status.ACCEPTED)
        exchange.may_answer.set()
        until = time.monotonic() + 60
        while engine.comparison.due and time.monotonic() < until:
            bot.at(1)
            time.sleep(0.001)
        assert not engine.comparison.due
        assert engine.comparison.why_degraded == ""
        assert exchange.asked - asked == (1 if meanwhile == "nothing" else 2)
        assert len(bot.plugin.compared) - begun == 1
