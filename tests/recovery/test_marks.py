"""What the account is worth at every moment, as the circuit breaker sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import EquityPoint, Order

LONG = 1
NO_EXPOSURE_LIMITS = {
    "max_exposure_per_symbol": 0, "max_exposure": 0, "max_loss": 0, "max_order_notional": 0,
}  # fmt: skip


@pytest.mark.parametrize("price", [120.0, 80.0], ids=["up", "down"])
def test_a_fill_after_a_gap_is_marked_at_its_own_price(
    make_world: Any, script: Any, price: float
) -> None:
    """Marked at yesterday's close it would be a gain or a loss that nobody made."""
    end = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = make_world(
        {"SPY": [100.0] * 5 + [None] * 1050 + [price] * 10},
        volume=1_000_000,
        start=end,
        last_entry_minutes=0,
        plugins=("risk",),
        sizing={"method": "notional", "notional": 40_000},
        plugin={"risk": {"daily_limits": NO_EXPOSURE_LIMITS}},
    )
    world.strategies = {"s": script({("SPY", 4): LONG}, end)}
    world.play()
    (order,) = world.rows(Order)
    assert (order.status, order.filled_avg_price) == (Status.FILLED, price)
    assert {point.equity for point in world.rows(EquityPoint)} == {100_000}
    assert world.ask("SELECT tripped, peak_equity FROM circuit_breaker") == [(0, "100000")]


@pytest.mark.parametrize("every", [1, 60])
def test_the_breaker_sees_each_minute_however_thin_the_curve(make_world: Any, every: int) -> None:
    world = make_world(
        {"SPY": [100.0] * 10 + [80.0] * 40, "IBM": [50.0] * 50},
        plugins=("risk",),
        equity_every_minutes=every,
        sizing={"method": "notional", "notional": 50_000},
        plugin={"risk": {"daily_limits": NO_EXPOSURE_LIMITS}},
    )
    world.follow(s={("SPY", 2): LONG, ("IBM", 15): LONG})
    world.play(40)
    assert [(o.symbol, o.status) for o in world.rows(Order)] == [
        ("SPY", Status.FILLED), ("IBM", Status.BLOCKED),
    ]  # fmt: skip


def test_a_start_tells_what_this_day_used_of_its_limits(make_world: Any, script: Any) -> None:
    end = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = make_world(
        {"SPY": [100.0] * 5 + [None] * 1050 + [100.0] * 10}, start=end, plugins=("risk",),
        last_entry_minutes=0,
    )  # fmt: skip
    world.strategies = {"s": script({("SPY", 4): LONG}, end)}
    world.play()
    with world.started() as (session, _):
        (told,) = [step.found for step in session.report.steps if step.name == "plugins"]
    assert "1 of 200 orders filled today" in told
