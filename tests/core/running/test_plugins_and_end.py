"""What plugins of a running bot are told, and how a run ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Command
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Bar,
    Batch,
    EquityPoint,
    Order,
    Signal,
    SignalState,
)
from smabot.errors import PluginError

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
D = Decimal
LONG = 1


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


# -- what plugins are told -------------------------------------------------------------------------


def test_plugins_see_each_status_once_and_each_fill(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(4)
        (order,) = bot.rows(Order)
        bot.update(order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(102))
        assert bot.plugin.of("order") == [Status.PENDING, Status.ACCEPTED, Status.FILLED]
        assert bot.plugin.of("fill") == [10]


def test_time_never_goes_back(running: Make) -> None:
    with running() as bot:
        bot.play(3)
        bot.engine.take(Batch(minute(1)))
        assert bot.book.now == minute(3)


def test_who_watches_is_told_what_was_committed(running: Make) -> None:
    told: list[tuple[list[Any], list[Bar]]] = []
    with running({1: LONG}) as bot:
        bot.engine._commit._transaction._watch = lambda rows, bars: told.append((rows, bars))
        bot.play(2)
        bot.engine.take(Batch(minute(2)))
        assert [len(bars) for _, bars in told] == [1, 1, 0]
        kinds = {type(row) for row in told[1][0]}
        assert {Signal, SignalState, Order, EquityPoint} <= kinds
        assert [type(row) for row in told[2][0]] == [Order]


# -- how it ends -----------------------------------------------------------------------------------


def test_a_plugin_that_fails_at_a_bar_ends_the_run_and_the_step_is_not_kept(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        bot.plugin.fails = "on_bar"
        with pytest.raises(PluginError, match="'s' raised in on_bar"):
            bot.engine.run()
        assert bot.rows(Order) == []
        assert [p.time for p in bot.rows(EquityPoint)] == [minute(1)]


def test_a_plugin_that_fails_at_an_order_blocks_it_and_ends_the_run(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        bot.plugin.fails = "before_submit"
        with pytest.raises(PluginError, match="'s' raised in before_submit"):
            bot.engine.run()
        assert bot.order().status is Status.BLOCKED
        assert "before_submit" in bot.order().reason
        assert bot.exchange.sent == []


def test_a_plugin_that_fails_at_a_command_ends_the_run_with_the_answer_kept(running: Make) -> None:
    with running() as bot:
        bot.play(1)
        bot.engine._commit._journal.send(Command("1", "count", "", OPEN))
        with pytest.raises(PluginError, match="'s' raised in on_command"):
            bot.engine.run()
        (command,) = bot.rows(Command)
        assert command.applied_at == minute(2)
        assert "on_command" in command.answer


def test_after_a_failure_nothing_that_was_granted_leaves(running: Make) -> None:
    with running({1: LONG}) as bot:
        bot.play(1)
        outbox = bot.engine._outbox
        bot.plugin.fails = "on_bar"
        with pytest.raises(PluginError):
            bot.engine.run()
        late = Order(
            "late", "s", "SPY", Side.BUY, D(1), OrderType.MARKET, None, TimeInForce.DAY,
            minute(1), 1, False, minute(2),
        )  # fmt: skip
        bot.book.apply(late)
        outbox.add(late)
        outbox.flush()
        assert bot.exchange.sent == []


@pytest.mark.parametrize("stop", [False, True])
def test_a_run_ends_with_the_data_or_when_it_is_told_to(running: Make, stop: bool) -> None:
    with running(count=5) as bot:
        if stop:
            bot.engine.stopping.set()
        assert bot.engine.run() == ("stopped" if stop else "ended")
        assert len(bot.rows(EquityPoint)) == (0 if stop else 5)


@pytest.mark.parametrize("until", [3, 5])
def test_it_ends_when_its_time_has_come(running: Make, until: int) -> None:
    with running(until=minute(until)) as bot:
        assert bot.engine.run() == "until"
        assert bot.exchange.now() == minute(until)
