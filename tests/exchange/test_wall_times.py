"""Orders at an exchange that follows a wall clock, which shows more than its minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot_exchange.matching.orders import OrderChange

MONDAY, TUESDAY = "2026-03-02", "2026-03-03"


class Wall:
    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time

    def go(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def wall(lab: Any) -> Wall:
    return Wall(lab.time(f"{MONDAY} 09:30") + timedelta(seconds=40.5))


@pytest.fixture
def exchange(lab: Any, wall: Wall) -> Any:
    lines = lab.rows("SPY", f"{MONDAY} 09:30", [10, 11, 12, 13])
    exchange = lab.open(lab.tape(lines, "first.csv"), "ledger.db")
    exchange.follow(wall)
    return exchange


def test_nothing_happens_to_an_order_before_its_submission(
    exchange: Any, client: Any, lab: Any
) -> None:
    submitted = lab.time(f"{MONDAY} 09:30") + timedelta(seconds=40)
    trader = client(exchange)
    told: list[datetime] = []
    exchange.listen(lambda events: told.extend(event.time for event in events))
    bought = trader.buy(10)
    canceled = trader.buy(10, limit="1")
    exchange.cancel(canceled.id)
    replaced = trader.buy(10, limit="1")
    exchange.replace(replaced.id, OrderChange(limit_price=Decimal(2)))
    trader.buy(10, limit="1", tif="ioc")
    trader.buy(10, bracket=("20", "1"))
    exchange.advance()
    assert exchange.order(bought.id).filled_avg_price == 10
    assert {o.filled_at for o in exchange.orders("all")} == {submitted, None}
    assert {o.updated_at for o in exchange.orders("all")} == {submitted}
    assert set(told) == {submitted}
    assert [e.time for e in exchange.executions(since=submitted)] == [submitted] * 2


def test_activities_since_the_submission_have_the_fill(exchange: Any, client: Any) -> None:
    order = client(exchange).buy(10)
    exchange.advance()
    since = order.submitted_at + timedelta(microseconds=order.submitted_ns // 1000 % 10**6)
    (found,) = exchange.activities(since=since)
    assert found.order_id == order.id
    assert exchange.activities(since=found.time) == []


def test_an_order_meets_no_bar_of_a_minute_that_had_passed(
    exchange: Any, client: Any, wall: Wall
) -> None:
    """The exchange is two minutes behind, as after a pause."""
    wall.go(120)
    order = client(exchange).buy(10)
    for _ in range(2):
        exchange.advance()
    assert exchange.order(order.id).filled_at is None
    exchange.advance()
    filled = exchange.order(order.id)
    assert (filled.filled_avg_price, filled.filled_at) == (12, order.submitted_at)


@pytest.mark.parametrize("tif", ["day", "gtc", "ioc"])
def test_past_the_data_an_order_waits_for_bars_of_later(
    exchange: Any, client: Any, lab: Any, wall: Wall, tif: str
) -> None:
    lab.play(exchange)
    wall.time = lab.time(f"{TUESDAY} 10:00")
    order = client(exchange).buy(10, tif=tif)
    assert order.status.value == "accepted"
    exchange.close()
    lines = lab.rows("SPY", f"{MONDAY} 09:30", [10, 11, 12, 13])
    lines += lab.rows("SPY", f"{TUESDAY} 09:30", [*range(20, 50), 60, 61])
    exchange = lab.open(lab.tape(lines), "ledger.db")
    lab.play(exchange)
    filled = exchange.order(order.id)
    assert (filled.filled_avg_price, filled.filled_at) == (60, lab.time(f"{TUESDAY} 10:00"))


def test_past_the_data_and_a_close_an_order_is_for_the_day_after(
    exchange: Any, client: Any, lab: Any, wall: Wall
) -> None:
    lab.play(exchange)
    wall.time = lab.time(f"{TUESDAY} 19:00")
    assert client(exchange).buy(10).expires_at == lab.time("2026-03-04 16:00")
