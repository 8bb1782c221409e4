"""Faults of the account and of bars, in process: flags, cash that moves, wrong values."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.errors import AccountBlocked
from smabot_exchange.faults.market_kinds import AccountFlag, BarWrong, CashTransfer
from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed, SharedExchange
from smabot_exchange.matching.orders import OrderChange, RequestRefused

DAY = "2026-03-02"
WORDS = {
    "trading_blocked": "account is not authorized to trade",
    "account_blocked": "account is not authorized to trade",
    "trade_suspended_by_user": "new orders are rejected by user request",
}


@pytest.fixture
def open_lab(lab: Any) -> Callable[[], Any]:
    rows = lab.rows("SPY", f"{DAY} 09:30", [10] * 20)
    tape = lab.tape(rows)
    return lambda: lab.open(tape, "ledger.db")


@pytest.mark.parametrize("flag", WORDS)
def test_with_a_flag_no_order_is_taken(open_lab: Any, client: Any, flag: str) -> None:
    trader = client(open_lab())
    resting = trader.buy(5, limit=5)
    trader.buy(10)
    trader.exchange.advance()
    trader.exchange.flag(flag)
    for send in (
        lambda: trader.buy(1),
        lambda: trader.sell(10),
        lambda: trader.exchange.close_position("SPY"),
        lambda: trader.exchange.replace(resting.id, OrderChange(qty=Decimal(3))),
    ):
        with pytest.raises(RequestRefused, match=WORDS[flag]) as caught:
            send()
        assert (caught.value.status, caught.value.code) == (403, 40310000)
    trader.exchange.cancel(resting.id)
    trader.exchange.flag(flag, False)
    trader.sell(10)


def test_flags_are_durable(open_lab: Any) -> None:
    exchange = open_lab()
    exchange.flag("account_blocked")
    exchange.flag("trading_blocked")
    exchange.flag("trading_blocked", False)
    exchange.close()
    assert open_lab().flags == {"account_blocked"}


def test_a_flag_for_some_minutes_also_ends_after_a_restart(open_lab: Any) -> None:
    exchange = open_lab()
    exchange.faults.add([AccountFlag(minutes=3)])
    exchange.advance()
    assert exchange.flags == {"trading_blocked"}
    exchange.close()
    exchange = open_lab()
    exchange.advance()
    exchange.advance()
    assert exchange.flags == {"trading_blocked"}
    exchange.advance()
    assert not exchange.flags


@pytest.mark.parametrize("first", [None, 5])
def test_a_fault_shortens_no_flag_that_is_set_for_longer(open_lab: Any, first: int | None) -> None:
    exchange = open_lab()
    if first is None:
        exchange.flag("trading_blocked")
    else:
        exchange.faults.add([AccountFlag(minutes=first)])
    exchange.advance()
    exchange.faults.add([AccountFlag(name="shorter", minutes=1)])
    for _ in range(4):
        exchange.advance()
        assert exchange.flags == {"trading_blocked"}
    exchange.advance()
    assert exchange.flags == ({"trading_blocked"} if first is None else set())


def test_cash_moves_and_is_no_profit(open_lab: Any) -> None:
    exchange = open_lab()
    exchange.faults.add([CashTransfer(amount=Decimal(500)), CashTransfer(amount=Decimal("-12.5"))])
    begun = exchange.now
    exchange.advance()
    exchange.advance()
    assert exchange.account().cash == Decimal("100487.5")
    exchange.close()
    exchange = open_lab()
    assert exchange.account().cash == Decimal("100487.5")
    points = exchange.equity_history(begun, exchange.now, exchange.now - begun)
    assert [point.profit_loss for point in points] == [0]


def test_a_wrong_bar_is_told_and_not_traded_at(open_lab: Any, client: Any) -> None:
    exchange = open_lab()
    trader, line = client(exchange), SharedExchange(exchange)
    feed = ExchangeFeed(line)
    feed.subscribe(["SPY"])
    exchange.faults.add([BarWrong(value=math.nan, times=1), BarWrong(value=-5, nth=1, rest=True)])
    order = trader.buy(10)
    bars = [bar for _ in range(3) for bar in feed.next(0).bars]
    assert math.isnan(bars[0].close)
    assert [bar.close for bar in bars[1:]] == [-5, 10]
    assert trader.now(order).filled_avg_price == 10
    assert exchange.account().equity == 100_000
    told = [bar.close for minute in feed.history(["SPY"], None, 9) for bar in minute]
    assert told == [10, -5, 10]


def test_the_front_tells_of_flags(open_lab: Any) -> None:
    exchange = open_lab()
    broker = ExchangeBroker(SharedExchange(exchange))
    order = Order(
        "smabot-x-SPY-20260302T1430Z-1", "x", "SPY", Side.BUY, Decimal(1), OrderType.MARKET, None,
        TimeInForce.DAY, exchange.now, 1, False, exchange.now, Status.PENDING,
    )  # fmt: skip
    taken = broker.submit(order)
    exchange.flag("trading_blocked")
    exchange.flag("account_blocked")
    assert broker.account().blocked == "account_blocked, trading_blocked"
    assert broker.submit(order).broker_order_id == taken.broker_order_id
    with pytest.raises(AccountBlocked, match="not authorized to trade"):
        broker.submit(Order(**{**_fields(order), "client_order_id": "smabot-x-SPY-2"}))


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__dataclass_fields__}
