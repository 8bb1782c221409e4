"""Points of equity that a running bot makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.domain.order_terms import Status
from smabot.domain.records import (
    Bar,
    Batch,
    EquityPoint,
    OrderUpdate,
)

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
D = Decimal
LONG = 1


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


def test_the_curve_has_a_point_for_each_so_many_minutes_and_watchers_see_each(
    running: Make,
) -> None:
    with running({2: LONG}, equity_every_minutes=5) as bot:
        bot.play(16)
        assert [p.time for p in bot.rows(EquityPoint)] == [
            minute(1), minute(3), minute(5), minute(10), minute(15),
        ]  # fmt: skip
        assert {p.time for p in bot.plugin.of("equity")} == {minute(n) for n in range(1, 17)}
        last = bot.rows(EquityPoint)[-1]
        assert (last.cash, last.positions_value) == (D("98970.0"), D("1140.0"))
        assert last.equity == last.cash + last.positions_value


def test_a_minute_that_ends_when_a_fill_came_replaces_its_point(running: Make) -> None:
    """However thin the curve: the point of a time is the newest of that time."""
    with running({2: LONG}, equity_every_minutes=5) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        bot.update(
            order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(100),
            filled_at=minute(4),
        )  # fmt: skip
        before = bot.rows(EquityPoint)[-1]
        bar = Bar("SPY", minute(3), 100.0, 150.0, 100.0, 150.0, 1000)
        bot.engine.take(Batch(minute(4), bars=(bar,)))
        after = bot.rows(EquityPoint)[-1]
        assert before.time == after.time == minute(4)
        assert (before.positions_value, after.positions_value) == (1000, D("1500.0"))


def test_a_bar_that_comes_late_is_marked_after_what_was_marked_before(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        late = minute(4) + SECOND
        bot.update(
            order.client_order_id, Status.FILLED, filled_qty=D(10), filled_avg_price=D(100),
            filled_at=late,
        )  # fmt: skip
        bar = Bar("SPY", minute(3), 100.0, 110.0, 100.0, 110.0, 1000)
        bot.engine.take(Batch(minute(4), bars=(bar,)))
        points = {p.time: p.positions_value for p in bot.rows(EquityPoint)}
        assert points[late] == 1100
        assert minute(4) not in points
        assert bot.book.point is not None
        assert bot.book.point.time == late


def test_fills_of_a_step_make_one_point_at_the_last_of_them(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(3)
        (order,) = bot.book.open_orders()
        seen = len(bot.plugin.of("equity"))
        updates = [
            OrderUpdate(
                order.client_order_id, Status.PARTIALLY_FILLED, minute(3), filled_qty=D(qty),
                filled_avg_price=D(100), filled_at=minute(3) + at * SECOND, symbol="SPY",
            )
            for qty, at in ((3, 5), (7, 2))
        ]  # fmt: skip
        bot.engine.take(Batch(minute(3) + 9 * SECOND, updates=tuple(updates)))
        points = bot.plugin.of("equity")[seen:]
        assert [(p.time, p.cash) for p in points] == [(minute(3) + 5 * SECOND, D(99_300))]
        assert bot.plugin.of("fill") == [3, 4]
