"""What happened while a risk plugin was off, or is in a restored database, counts at the next start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Event
from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.engine.start.offline_command import apply_command_offline
from smabot.hooks.plugins import Plugins
from smabot_risk.breaker_state import RESET_COMMAND, BreakerState
from smabot_risk.daily_counts import DayCounts, SymbolCounts

LONG, FLAT = 1, 0
MONDAY = date(2026, 3, 2)
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SIX_TRADES = {("SPY", minute): minute // 2 % 2 for minute in range(2, 14, 2)}
"""Long at minute 2, flat at 4, long at 6 and so on: an order each."""


def risk(breaker: dict[str, Any] | None = None, **daily: Any) -> dict[str, Any]:
    off = {"max_failures": 0, "max_session_drawdown": 0, "max_peak_drawdown": 0}
    tables = {"circuit_breaker": {**off, **(breaker or {})}, "daily_limits": daily}
    return {"plugins": ("risk",), "plugin": {"risk": tables}}


def day(world: Any) -> DayCounts:
    found: list[DayCounts] = [row for row in world.rows(DayCounts) if row.trading_date == MONDAY]
    return found[0]


def play_until(world: Any, time: datetime, **settings: Any) -> None:
    with world.started(**settings) as (session, engine):
        while session.feed.now() < time:
            world.go(engine, 1)


@pytest.fixture
def world(make_world: Callable[..., Any]) -> Any:
    """SPY that rises by a dollar every two minutes, and a strategy that makes an order as often."""
    closes = [100.0 + minute // 2 for minute in range(60)]
    made = make_world({"SPY": closes}, **risk())
    made.follow(s=SIX_TRADES)
    return made


def test_the_counts_are_those_of_a_bot_whose_limits_were_never_off(
    world: Any, make_world: Callable[..., Any]
) -> None:
    never = make_world({"SPY": [100.0 + minute // 2 for minute in range(60)]}, name="n", **risk())
    never.follow(s=SIX_TRADES)
    never.play(20)
    world.play(5)
    assert day(world).trade_count == 1
    world.play(5, plugins=())
    assert day(world).trade_count == 1
    world.play(10)
    assert day(world) == day(never)
    assert day(world).trade_count == day(world).order_count == 6
    assert day(world).realized_pnl == 3 * 10
    assert world.rows(SymbolCounts) == never.rows(SymbolCounts)


def test_a_limit_that_was_used_up_meanwhile_blocks(world: Any) -> None:
    world.play(3, plugins=())
    world.play(6, plugins=())
    world.settings |= risk(max_trades=4)
    world.play(10)
    orders = [(o.reduces, o.status) for o in world.rows(Order)]
    assert orders[-2:] == [(True, Status.FILLED), (False, Status.BLOCKED)]
    assert day(world).trade_count == 4


def test_off_since_the_morning_the_loss_is_measured_from_the_days_begin(
    make_world: Callable[..., Any], script: Any
) -> None:
    """10 shares fall from 100 to 95 over night, and to 90 in the morning."""
    evening, morning = OPEN + timedelta(minutes=370), OPEN + timedelta(days=1)
    closes: list[float | None] = [100.0] * 20 + [None] * 1050 + [95.0] * 5 + [90.0] * 20
    world = make_world({"SPY": closes}, start=evening, **risk(max_loss=90))
    world.strategies = {"s": script({("SPY", 2): LONG}, evening)}
    play_until(world, evening + timedelta(minutes=10))
    assert world.held() == {("s", "SPY"): 10}
    play_until(world, morning + timedelta(minutes=7), plugins=())
    world.play(3)
    (block,) = world.rows(Block)
    assert "max_loss 90.00: lost 100.00 of 100,000.00 on 2026-03-03" in block.reason


@pytest.mark.parametrize("scope", ["entries", "all"])
def test_a_loss_limit_reached_and_recovered_from_while_off_holds_for_its_date(
    make_world: Callable[..., Any], scope: str
) -> None:
    """10 shares: 100 of loss at 90, 5 once they are at 99.50."""
    closes = {"SPY": [100.0] * 5 + [90.0] * 4 + [99.5] * 30, "IBM": [50.0] * 39}
    world = make_world(closes, **risk(max_loss=90, block=scope))
    world.follow(s={("SPY", 2): LONG, ("IBM", 16): LONG})
    world.play(4)
    world.play(8, plugins=())
    assert world.rows(Block) == []
    world.play(8)
    (block,) = world.rows(Block)
    assert (block.plugin, block.scope) == ("risk.daily_limits", scope)
    assert block.until == datetime(2026, 3, 3, 5, tzinfo=UTC)
    assert "max_loss 90.00: lost 100.00 of 100,000.00 on 2026-03-02" in block.reason
    assert [order.status for order in world.rows(Order)] == [Status.FILLED, Status.BLOCKED]
    (event,) = [event for event in world.rows(Event) if event.kind == "limit_reached"]
    assert (event.subject, event.grave) == ("risk.daily_limits", True)
    world.play(1)
    assert world.rows(Block) == [block]


def test_refusals_while_the_breaker_was_off_trip_it_at_the_start(
    make_world: Callable[..., Any],
) -> None:
    poor = {"exchange": {"cash": 100, "multiplier": 1}}
    settings = risk({"max_failures": 2})
    settings["plugin"] |= poor
    world = make_world({"SPY": [100.0] * 60}, **settings)
    world.follow(s={("SPY", 2): LONG}, t={("SPY", 4): LONG}, u={("SPY", 20): LONG})
    world.play(8, plugins=(), plugin=poor)
    assert [order.status for order in world.rows(Order)] == [Status.REJECTED] * 2
    world.play(2)
    (state,) = world.rows(BreakerState)
    assert (state.failure_count, state.tripped) == (2, True)
    assert "2 submissions failed in a row" in state.reason
    config = world.config()
    apply_command_offline(config, Plugins.load(config), Command("1", RESET_COMMAND, "", OPEN))
    world.play(2)
    (state,) = world.rows(BreakerState)
    assert (state.failure_count, state.tripped) == (0, False)


def test_orders_that_a_restored_database_lacks_count_once_they_are_taken_over(world: Any) -> None:
    world.play(5)
    backup = world.folder / "backup.db"
    shutil.copy(world.db, backup)
    world.play(6)
    after = day(world)
    shutil.copy(backup, world.db)
    for log in world.folder.glob("trades.db-*"):
        log.unlink()
    assert day(world).trade_count == 1
    assert world.accept() == 0
    with world.started():
        pass
    assert (day(world).trade_count, day(world).order_count) == (
        after.trade_count,
        after.order_count,
    )
    assert day(world).realized_pnl == after.realized_pnl


@pytest.mark.parametrize("dollars", [0, 10_000, -10_000])
def test_a_peak_of_an_earlier_date_counts_though_the_breaker_was_off(
    make_world: Callable[..., Any], script: Any, dollars: int
) -> None:
    """500 shares: 100,000 in the evening, 120,000 at its end, 105,000 from the morning on."""
    evening, morning = OPEN + timedelta(minutes=370), OPEN + timedelta(days=1)
    closes: list[float | None] = [100.0] * 5 + [140.0] * 5 + [110.0] * 10 + [None] * 1050
    settings = risk({"max_peak_drawdown": "0.10"}, max_order_notional=0, max_exposure=0)
    settings["plugin"]["risk"]["daily_limits"]["max_exposure_per_symbol"] = 0
    sizing = {"method": "shares", "shares": 500}
    world = make_world({"SPY": closes + [110.0] * 20}, start=evening, sizing=sizing, **settings)
    world.strategies = {"s": script({("SPY", 2): LONG}, evening)}
    play_until(world, evening + timedelta(minutes=4))
    world.settings["plugins"] = ()
    play_until(world, evening + timedelta(minutes=15))
    if dollars:
        with world.opened() as session:
            session.broker._exchange.transfer(Decimal(dollars))
        assert world.accept() == 0
    play_until(world, morning + timedelta(minutes=4))
    world.settings["plugins"] = ("risk",)
    world.play(2)
    (state,) = world.rows(BreakerState)
    assert (state.peak_equity, state.tripped) == (120_000 + dollars, True)
    assert "from the peak" in state.reason


@pytest.mark.parametrize("dollars", [10_000, -10_000])
@pytest.mark.parametrize("running", [("risk",), ()], ids=["risk on", "risk off"])
def test_a_deposit_or_withdrawal_leaves_limits_and_breaker_as_they_were(
    make_world: Callable[..., Any], dollars: int, running: tuple[str, ...]
) -> None:
    """A loss of 60 before it and one of 60 after it are 120, and no fall of a tenth."""
    closes = [100.0] * 5 + [94.0] * 10 + [88.0] * 30
    settings = risk({"max_session_drawdown": "0.05", "max_peak_drawdown": "0.05"}, max_loss=100)
    world = make_world({"SPY": closes}, **settings)
    world.follow(s={("SPY", 2): LONG})
    world.play(8)
    with world.opened() as session:
        session.broker._exchange.transfer(Decimal(dollars))
    world.settings["plugins"] = running
    assert world.accept() == 0
    world.settings["plugins"] = ("risk",)
    world.play(2)
    assert world.rows(Block) == []
    assert day(world).start_equity == 100_000 + dollars
    world.play(10)
    (block,) = world.rows(Block)
    assert block.plugin == "risk.daily_limits"
    assert f"lost 120.00 of {100_000 + dollars:,.2f}" in block.reason
    (state,) = world.rows(BreakerState)
    assert (state.peak_equity, state.session_equity) == (100_000 + dollars,) * 2
