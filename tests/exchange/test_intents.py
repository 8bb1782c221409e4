"""``position_intent``: what an order may do to the account's net position, with or without one given."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from smabot_exchange.matching.orders import OrderChange, PositionIntent, RequestRefused

INTENTS = list(PositionIntent)


@pytest.fixture
def trader(lab: Any, client: Any) -> Any:
    exchange = lab.open(lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10] * 8)))
    exchange.advance()
    return client(exchange)


def hold(trader: Any, qty: int) -> None:
    """Have the account hold signed shares."""
    if qty:
        trader.exchange.adjust("SPY", Decimal(qty), Decimal(10))


def message(attempt: Any) -> tuple[int, int, str]:
    with pytest.raises(RequestRefused) as caught:
        attempt()
    return caught.value.status, caught.value.code, caught.value.message


@pytest.mark.parametrize("held", [-10, 0, 10])
@pytest.mark.parametrize("intent", INTENTS)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_intent_must_be_what_the_net_position_says(
    trader: Any, held: int, intent: str, side: str
) -> None:
    hold(trader, held)
    inferred = {
        "buy": "buy_to_close" if held < 0 else "buy_to_open",
        "sell": "sell_to_close" if held > 0 else "sell_to_open",
    }[side]
    send = getattr(trader, side)
    if intent == inferred:
        assert send(4, position_intent=intent).position_intent == intent
    else:
        text = f"position intent mismatch, inferred: {inferred}, specified: {intent}"
        assert message(lambda: send(4, position_intent=intent)) == (422, 42210000, text)
        assert trader.exchange.orders() == []
        assert send(4).position_intent == inferred


@pytest.mark.parametrize(("held", "side", "intent"), [(10, "sell", "sell_to_close"), (-10, "buy", "buy_to_close")])  # fmt: skip
def test_an_order_to_close_gets_what_other_orders_leave(
    trader: Any, held: int, side: str, intent: str
) -> None:
    hold(trader, held)
    send = getattr(trader, side)
    send(7, limit=20 if side == "sell" else 5)
    with pytest.raises(RequestRefused) as caught:
        send(4, position_intent=intent)
    assert caught.value.body() == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 4, available: 3)",
        "available": "3",
        "existing_qty": "10",
        "held_for_orders": "7",
        "symbol": "SPY",
    }
    assert send(3, position_intent=intent).position_intent == intent


def test_shares_on_order_are_no_position(trader: Any) -> None:
    trader.buy(10, limit=5)
    text = "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    assert message(lambda: trader.sell(1, position_intent="sell_to_close", limit=30))[2] == text


def test_a_replacement_keeps_the_intent(trader: Any) -> None:
    hold(trader, 10)
    order = trader.sell(4, limit=20)
    hold(trader, -20)
    with pytest.raises(RequestRefused, match="inferred: sell_to_open, specified: sell_to_close"):
        trader.exchange.replace(order.id, OrderChange(limit_price=Decimal(21)))


def test_a_short_sale_replenishes_buying_power_when_it_is_covered(trader: Any) -> None:
    exchange = trader.exchange
    before = exchange.account().buying_power
    trader.sell(100, position_intent="sell_to_open")
    held = before - exchange.account().buying_power
    assert held == Decimal("1031.03")  # 100 shares, 3 % above an ask of 10.01
    exchange.advance()
    assert exchange.account().buying_power == before - 1000
    trader.buy(100, position_intent="buy_to_close", limit=11)
    assert exchange.account().buying_power == before - 1000
    exchange.advance()
    assert exchange.account().buying_power == before
