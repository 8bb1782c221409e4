"""The spread: bars are mid prices, and each fill pays half a spread."""

from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot_exchange.matching.orders import RequestRefused

DAY = "2026-03-02"
HALF = Decimal("0.05")


@pytest.fixture
def market(lab: Any, client: Any) -> Any:
    """Opens an exchange with a spread on bars of one symbol that have come to 10; a buyer holds 100 shares."""

    def opened(*bars: Any, half_spread: object = HALF) -> Any:
        rows = [
            lab.row("SPY", f"{DAY} 09:30", 10),
            *lab.rows("SPY", f"{DAY} 09:31", bars, 100_000),
        ]
        exchange = lab.open(lab.tape(rows), half_spread=Decimal(str(half_spread)))
        trader = client(exchange)
        trader.buy(100)
        exchange.advance()
        return trader

    return opened


def price(trader: Any, order: Any) -> Decimal | None:
    found: Decimal | None = trader.now(order).filled_avg_price
    return found


def test_a_round_trip_costs_the_spread(market: Any) -> None:
    trader = market(10, 10)
    (bought,) = trader.exchange.executions()
    assert bought.price == Decimal("10.05")
    trader.sell(100)
    trader.exchange.advance()
    assert trader.exchange.executions()[-1].price == Decimal("9.95")
    assert trader.exchange.account().equity == 100_000 - 2 * HALF * 100


def test_the_account_is_valued_at_mid_prices(market: Any) -> None:
    account = market(10).exchange.account()
    assert account.long_market_value == 1_000
    assert account.equity == 100_000 - HALF * 100


@pytest.mark.parametrize(
    ("side", "limit", "bar", "filled"),
    [
        ("buy", "10", [9.95, 10, 9.95, 10], "10"),  # the ask opens at the limit
        ("buy", "10", [9.9, 10, 9.9, 10], "9.95"),  # below it: at the ask
        ("buy", "10", [10, 10, 9.94, 10], "10"),  # the ask falls below it: at the limit
        ("buy", "10", [10, 10, 9.95, 10], None),  # the ask touches it
        ("buy", "10", [9.96, 10, 9.96, 10], None),  # the mid price is below it, the ask is not
        ("sell", "10", [10.05, 10.05, 10, 10], "10"),
        ("sell", "10", [10.2, 10.2, 10, 10], "10.15"),
        ("sell", "10", [10, 10.06, 10, 10], "10"),
        ("sell", "10", [10, 10.05, 10, 10], None),
    ],
)
def test_a_limit_is_compared_with_the_sides_price(
    market: Any, side: str, limit: str, bar: list[float], filled: str | None
) -> None:
    trader = market(bar)
    order = getattr(trader, side)(10, limit=limit)
    trader.exchange.advance()
    assert price(trader, order) == (None if filled is None else Decimal(filled))


@pytest.mark.parametrize(
    ("side", "more", "bar", "filled"),
    [
        ("sell", {"stop": "9"}, [10, 10, 9, 9.5], "8.95"),  # touched by the bar: at its bid
        ("sell", {"stop": "9"}, [10, 10, 9.03, 9.5], None),  # by the bid alone: not triggered
        ("sell", {"stop": "9"}, [8.5, 9, 8.5, 9], "8.45"),
        ("buy", {"stop": "11"}, [10, 11, 10, 10.5], "11.05"),
        ("buy", {"stop": "11", "limit": "11.05"}, [10, 11, 10, 10.5], "11.05"),
        ("buy", {"stop": "11", "limit": "11.04"}, [10, 11, 10, 10.5], None),
        ("sell", {"trail": "1"}, [10, 10, 9, 9.5], "8.95"),
    ],
)
def test_a_stop_is_compared_with_the_bar_and_filled_at_the_sides_price(
    market: Any, side: str, more: dict[str, str], bar: list[float], filled: str | None
) -> None:
    trader = market(bar)
    order = getattr(trader, side)(10, **more)
    trader.exchange.advance()
    assert price(trader, order) == (None if filled is None else Decimal(filled))


@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_an_order_with_one_moment_pays_it_too(market: Any, tif: str) -> None:
    trader = market(11, 11)
    order = trader.buy(10, tif=tif)
    trader.exchange.advance()
    assert price(trader, order) == Decimal("11.05")


def test_a_take_profit_needs_the_bid_to_reach_it(market: Any) -> None:
    trader = market(10, [11.02, 11.02, 10, 10], [11.05, 11.05, 10, 10])
    trader.buy(10, bracket=("11", "5"))
    for _ in range(2):
        trader.exchange.advance()
    assert trader.exchange.position("SPY").qty == 110
    trader.exchange.advance()
    assert trader.exchange.executions()[-1].price == 11


def test_an_amount_buys_at_the_ask(market: Any) -> None:
    trader = market(11, 11)
    order = trader.buy(notional="1105")
    trader.exchange.advance()
    assert trader.now(order).filled_qty == 100


def test_a_bid_stays_above_zero(market: Any) -> None:
    trader = market(0.03, 0.03, half_spread="0.05")
    trader.exchange.advance()
    trader.sell(100)
    trader.exchange.advance()
    assert trader.exchange.executions()[-1].price == Decimal("0.0001")


def test_a_short_sale_reserves_3_percent_above_the_ask(market: Any) -> None:
    trader = market(10)
    trader.sell(100)
    trader.exchange.advance()
    order = trader.sell(10)
    assert order.hold_price == Decimal("10.05") * Decimal("1.03")


@pytest.mark.parametrize(
    ("more", "each"),
    [
        ({}, "10.05"),
        ({"stop": "11"}, "11.05"),
        ({"trail": "1"}, "11.05"),
        ({"limit": "10"}, "10"),
        ({"stop": "11", "limit": "11.02"}, "11.02"),
    ],
)
def test_a_purchase_holds_what_it_may_pay(market: Any, more: dict[str, str], each: str) -> None:
    trader = market(10)
    before = trader.exchange.account().buying_power
    assert trader.buy(10, **more).hold_price == Decimal(each)
    assert before - trader.exchange.account().buying_power == 10 * Decimal(each)


@pytest.mark.parametrize(("cash", "accepted"), [("10000", False), ("10005", True)])
def test_a_cash_account_pays_the_spread_from_its_cash(
    lab: Any, client: Any, cash: str, accepted: bool
) -> None:
    tape = lab.tape(lab.rows("SPY", f"{DAY} 09:30", [100, 100]))
    exchange = lab.open(tape, multiplier=Decimal(1), cash=Decimal(cash), half_spread=HALF)
    with nullcontext() if accepted else pytest.raises(RequestRefused, match="buying power"):
        client(exchange).buy(100)
    lab.play(exchange)
    assert exchange.account().cash == (0 if accepted else Decimal(cash))


@pytest.mark.parametrize(
    ("data", "expected"),
    [("simulated", "0.01"), ("simulated:shape=waves", "0"), ("file", "0")],
)
def test_a_new_ledger_has_the_spread_of_its_data(lab: Any, data: str, expected: str) -> None:
    data = str(lab.tape(lab.rows("SPY", f"{DAY} 09:30", [10, 11]))) if data == "file" else data
    assert lab.open(data, "a.db").half_spread == Decimal(expected)
    assert lab.open(data, "b.db", half_spread=Decimal("0.2")).half_spread == Decimal("0.2")


def test_a_ledger_keeps_its_spread(lab: Any) -> None:
    lab.open("simulated:symbols=1,sessions=1", "a.db").close()
    with pytest.raises(
        ConfigError, match=r"was opened with half_spread 0\.01, the settings say 0;"
    ):
        lab.open("simulated:symbols=1,sessions=1", "a.db", half_spread=Decimal(0))
    lab.open("simulated:symbols=1,sessions=1", "a.db", half_spread=Decimal("0.010"))
