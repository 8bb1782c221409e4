from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import Side, Status
from smabot_risk.settings import DailyLimitsSettings

MONDAY = date(2026, 3, 2)


def off(**limits: Any) -> dict[str, Any]:
    """All limits off but these."""
    names = ("trades", "orders", "orders_per_symbol", "loss", "loss_fraction", "exposure")
    none = {f"max_{name}": 0 for name in (*names, "exposure_per_symbol", "order_notional")}
    return {**none, **limits}


def test_what_was_used_is_told_at_a_start(desk: Any) -> None:
    bot = desk(limits={"max_trades": 50, "max_loss": 2000})
    assert bot.told[1] == "0 of 50 orders filled today, loss 0.00 of 2,000.00"
    bot.price("SPY", 100.0)
    bot.fill(bot.submit())
    bot.price("SPY", 98.76)
    bot.restart()
    assert bot.told[1] == "1 of 50 orders filled today, loss 12.40 of 2,000.00"
    assert bot.limits.describe(bot.book) == ("limits", bot.told[1])


def test_exits_beyond_the_limit_of_trades_are_told_as_such(desk: Any) -> None:
    bot = desk(limits=off(max_trades=1))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY"))
    assert bot.limits.describe(bot.book)[1].startswith("1 of 1 orders filled today, loss")
    bot.fill(bot.submit("SPY", Side.SELL))
    told = bot.limits.describe(bot.book)[1]
    assert told.startswith("2 of 1 (exits count, and pass) orders filled today, loss")


def test_five_symbols_can_trade_by_default(desk: Any) -> None:
    bot = desk(limits={}, breaker={})
    for symbol in ("SPY", "IBM", "F", "GE", "T"):
        bot.price(symbol, 400.0)
        for side in (Side.BUY, Side.SELL) * 15:
            order = bot.submit(symbol, side)
            assert order.status is Status.PENDING, order.reason
            bot.fill(order, "400")
    assert bot.day(MONDAY).trade_count == 150


def test_orders_a_day_in_all_and_of_a_symbol(desk: Any) -> None:
    bot = desk(limits=off(max_orders=3, max_orders_per_symbol=2))
    bot.price("SPY", 100.0)
    assert [bot.submit("SPY").status for _ in range(2)] == [Status.PENDING] * 2
    assert bot.submit("SPY").reason == "max_orders_per_symbol 2: 2 orders of SPY on 2026-03-02"
    assert bot.submit("IBM").status is Status.PENDING
    assert bot.submit("IBM").reason == "max_orders 3: 3 orders on 2026-03-02"
    assert bot.day(MONDAY).order_count == 3, "blocked orders don't count"
    assert (bot.symbol("SPY").order_count, bot.symbol("IBM").order_count) == (2, 1)
    bot.at(datetime(2026, 3, 3, 14, 30, tzinfo=UTC))
    bot.restart()
    assert bot.submit("SPY").status is Status.PENDING
    assert bot.symbol("SPY").trading_date == date(2026, 3, 3)
    assert bot.symbol("SPY").order_count == 1


def test_a_trade_is_an_order_with_a_fill(desk: Any) -> None:
    bot = desk(limits=off(max_trades=2))
    first = bot.submit("SPY")
    bot.take(first, Status.PARTIALLY_FILLED, 3)
    bot.take(first, Status.PARTIALLY_FILLED, 7)
    bot.fill(first)
    assert bot.day(MONDAY).trade_count == 1
    waiting = bot.submit("IBM")
    assert waiting.status is Status.PENDING
    assert bot.submit("F").reason == ("max_trades 2: 1 filled and 1 open orders on 2026-03-02")
    bot.take(waiting, Status.CANCELED)
    assert bot.submit("F").status is Status.PENDING


def test_the_loss_is_realized_and_unrealized_against_the_start_of_the_day(desk: Any) -> None:
    bot = desk(limits=off(max_loss=1000))
    bot.price("SPY", 100.0)
    order = bot.submit("SPY", qty=200)
    bot.fill(order)
    bot.price("SPY", 97.0)
    bot.fill(bot.submit("SPY", Side.SELL, 100), "97")
    assert bot.day(MONDAY).realized_pnl == -300
    assert bot.submit("IBM").status is Status.PENDING
    bot.price("SPY", 93.0)
    assert bot.submit("IBM").reason == (
        "max_loss 1,000.00: lost 1,000.00 of 100,000.00 on 2026-03-02"
    )
    bot.price("SPY", 99.0)
    assert bot.submit("IBM").status is Status.BLOCKED, "a limit that was reached holds for its date"
    (block,) = bot.book.blocking()
    assert (block.plugin, block.until) == ("risk.daily_limits", datetime(2026, 3, 3, 5, tzinfo=UTC))
    bot.at(datetime(2026, 3, 3, 15, tzinfo=UTC))
    bot.restart()
    assert bot.submit("IBM").status is Status.PENDING


def test_the_loss_as_a_fraction(desk: Any) -> None:
    bot = desk(limits=off(max_loss_fraction="0.01"))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY", qty=100))
    bot.price("SPY", 90.01)
    assert bot.submit("IBM").status is Status.PENDING
    bot.price("SPY", 90.0)
    assert bot.submit("IBM").reason == (
        "max_loss_fraction 1.00%: lost 1,000.00 of 100,000.00 on 2026-03-02"
    )


def test_a_loss_overnight_is_the_new_days(desk: Any) -> None:
    bot = desk(limits=off(max_loss=1000))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY", qty=100))
    bot.price("SPY", 91.0)
    bot.at(datetime(2026, 3, 3, 14, 30, tzinfo=UTC))
    bot.restart()
    assert bot.submit("IBM").status is Status.PENDING, "Monday's loss is Monday's"
    bot.price("SPY", 81.0)
    assert bot.day(date(2026, 3, 3)).start_equity == 99_100
    assert bot.submit("IBM").reason.startswith("max_loss 1,000.00: lost 1,000.00 of 99,100.00")


def test_exposure_includes_the_order_itself(desk: Any) -> None:
    bot = desk(limits=off(max_exposure=3000, max_exposure_per_symbol=2000))
    bot.price("SPY", 100.0)
    bot.price("IBM", 50.0)
    bot.fill(bot.submit("SPY", qty=10))
    assert bot.submit("SPY", qty=11).reason == (
        "max_exposure_per_symbol 2,000.00: 2,100.00 with this order"
    )
    assert bot.submit("SPY", qty=10).status is Status.PENDING
    assert bot.submit("IBM", qty=21).reason == "max_exposure 3,000.00: 3,050.00 with this order"
    assert bot.submit("IBM", qty=20, limit=Decimal("50.01")).status is Status.BLOCKED
    assert bot.submit("IBM", qty=20).status is Status.PENDING


def test_without_a_price_exposure_can_not_be_judged(desk: Any) -> None:
    bot = desk(limits=off(max_exposure=3000))
    assert bot.submit("SPY").reason == "max_exposure 3,000.00: no price of SPY to check it by"
    assert bot.submit("SPY", limit=Decimal(100)).status is Status.PENDING


@pytest.mark.parametrize("limit", ["max_trades", "max_orders", "max_orders_per_symbol"])
def test_exits_pass_unless_all_is_set(desk: Any, limit: str) -> None:
    for block, status in (("entries", Status.PENDING), ("all", Status.BLOCKED)):
        bot = desk(limits=off(**{limit: 1}, block=block))
        bot.price("SPY", 100.0)
        bot.fill(bot.submit("SPY"))
        assert bot.submit("SPY", Side.BUY).status is Status.BLOCKED
        assert bot.submit("SPY", Side.SELL).status is status


def test_exits_pass_the_exposure_limit_even_with_all(desk: Any) -> None:
    bot = desk(limits=off(max_exposure=1000, block="all"))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY"))
    bot.price("SPY", 200.0)
    assert bot.submit("SPY", Side.SELL).status is Status.PENDING


def test_a_late_fill_counts_for_its_own_date(desk: Any, update_of: Any) -> None:
    bot = desk(limits=off(max_trades=5))
    bot.price("SPY", 100.0)
    order = bot.submit("SPY")
    bot.at(datetime(2026, 3, 3, 14, 30, tzinfo=UTC))
    bot.restart(update_of(order, Status.FILLED, bot.now - timedelta(hours=20), 10))
    assert bot.day(MONDAY).trade_count == 1
    assert bot.day(date(2026, 3, 3)) is None


def test_switched_on_within_a_day_it_counts_what_the_day_has_had(desk: Any) -> None:
    bot = desk(limits=off(max_loss=1000))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY", qty=100))
    bot.price("SPY", 95.0)
    bot.kept = {key: row for key, row in bot.kept.items() if row not in bot.risk_rows()}
    bot.restart()
    assert bot.told[1] == "1 orders filled today, loss 500.00 of 1,000.00"
    bot.price("SPY", 90.0)
    assert bot.day(MONDAY).start_equity == 100_000
    assert bot.submit().status is Status.BLOCKED


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_orders": 1}, "max_orders 1: 1 orders on 2026-03-02"),
        ({"max_orders_per_symbol": 1}, "max_orders_per_symbol 1: 1 orders of SPY on 2026-03-02"),
        ({"max_trades": 1}, "max_trades 1: 0 filled and 1 open orders on 2026-03-02"),
        ({"max_order_qty": 9}, "max_order_qty 9: 10 shares"),
        ({"max_order_notional": 999}, "max_order_notional 999.00: 1,000.00"),
        ({"max_exposure": 1999}, "max_exposure 1,999.00: 2,000.00 with this order"),
        (
            {"max_exposure_per_symbol": 1999},
            "max_exposure_per_symbol 1,999.00: 2,000.00 with this order",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_entry_that_was_made_before_its_limit_does_not_leave(
    desk: Any, limits: dict[str, Any], reason: str
) -> None:
    """The plugin was off, or its limits were wider, when the order was committed; it was not sent by then."""
    bot = desk(limits=off())
    bot.price("SPY", 100.0)
    orders = [bot.submit("SPY"), bot.submit("SPY")]
    for order in orders:
        assert bot.limits.may_leave(order, bot.book) is None
    bot.settings = bot.settings[0], DailyLimitsSettings(**{**off(), **limits})
    bot.restart()
    assert bot.limits.may_leave(orders[1], bot.book).reason == reason


@pytest.mark.parametrize("limit", ["max_trades", "max_orders", "max_orders_per_symbol"])
def test_an_exit_that_is_made_while_an_entry_waits_does_not_stop_it(desk: Any, limit: str) -> None:
    """A restart would find the exit made already where it sends an entry again, a running bot would not."""
    bot = desk(limits=off(**{limit: 2}))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit("SPY"))
    entry = bot.submit("SPY")
    assert bot.submit("SPY", Side.SELL).status is Status.PENDING
    assert bot.limits.may_leave(entry, bot.book) is None
    bot.restart()
    assert bot.limits.may_leave(entry, bot.book) is None
    bot.settings = bot.settings[0], DailyLimitsSettings(**off(**{limit: 1}))
    bot.restart()
    assert bot.limits.may_leave(entry, bot.book).reason.startswith(f"{limit} 1: ")


def test_what_the_limits_let_pass_leaves(desk: Any) -> None:
    limits = {
        "max_orders": 2, "max_orders_per_symbol": 2, "max_trades": 2, "max_order_qty": 10,
        "max_order_notional": 1000, "max_exposure": 1900, "max_exposure_per_symbol": 1900,
    }  # fmt: skip
    bot = desk(limits=off(**limits))
    bot.price("SPY", 100.0)
    orders = [bot.submit("SPY"), bot.submit("SPY", limit=Decimal(90))]
    for order in orders:
        assert order.status is Status.PENDING, order.reason
        assert bot.limits.may_leave(order, bot.book) is None
    bot.fill(orders[0])
    exit_ = bot.submit("SPY", Side.SELL)
    assert bot.limits.may_leave(exit_, bot.book) is None
