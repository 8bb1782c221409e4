"""An account that may not trade, and bars that can't be, at a broker in the same process."""

from __future__ import annotations

from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.engine.start.recovery import recover
from smabot.errors import AccountBlocked

TARGETS = {("SPY", 1): 1, ("SPY", 4): 0, ("IBM", 4): 1, ("IBM", 12): 1}


@pytest.fixture
def world(make_world: Any) -> Any:
    world = make_world({"SPY": [100.0] * 20, "IBM": [50.0] * 20})
    world.follow(script=TARGETS)
    return world


def exchange_of(session: Any) -> Any:
    return session.broker._exchange


def test_exits_are_kept_and_entries_dropped_while_the_account_may_not_trade(world: Any) -> None:
    with world.started() as (session, engine):
        world.go(engine, 4)
        exchange_of(session).flag("trading_blocked")
        world.go(engine, 4)
        assert engine.access.refusal.endswith("(trading_blocked)")
        exchange_of(session).flag("trading_blocked", False)
        assert engine.run() == "ended"
    bought, dropped, sold = world.rows(Order)[:3]
    by_symbol = {order.symbol: order for order in (dropped, sold)}
    assert bought.status is Status.FILLED
    assert by_symbol["SPY"].status is Status.FILLED
    assert by_symbol["SPY"].attempt == 1
    assert by_symbol["IBM"].status is Status.BLOCKED
    assert "trading_blocked" in by_symbol["IBM"].reason
    kinds = world.ask("SELECT kind FROM events ORDER BY time")
    assert kinds == [("account_blocked",), ("account_unblocked",)]


def test_a_blocked_account_stops_a_start(world: Any) -> None:
    with world.opened() as session:
        exchange_of(session).flag("account_blocked")
    with world.opened() as session, pytest.raises(AccountBlocked, match="account_blocked"):
        recover(session)


@pytest.mark.parametrize("value", [0.0, -5.0, float("nan"), 1000.0])
def test_a_bar_that_cant_be_is_an_event_and_nothing_else(world: Any, value: float) -> None:
    pytest.importorskip("smabot_exchange")
    from smabot_exchange.faults.market_kinds import BarWrong

    with world.started() as (session, engine):
        exchange_of(session).faults.add([BarWrong(symbol="SPY", value=value, times=1)])
        world.go(engine, 3)
        assert engine.book.last["SPY"].close == 100.0
    assert world.ask("SELECT symbol, COUNT(*) FROM bars GROUP BY symbol") == [
        ("IBM", 3),
        ("SPY", 2),
    ]
    ((symbol, text),) = world.ask("SELECT subject, text FROM events WHERE kind = 'bad_bar'")
    assert symbol == "SPY"
    assert "14:30Z is left out: close" in text
