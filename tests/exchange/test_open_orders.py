"""What the exchange knows of a symbol's open orders is the same however it came to know it."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from smabot_exchange.matching.open_orders import OpenOrders
from smabot_exchange.matching.orders import OrderChange, PositionIntent, RequestRefused

STEPS = 120


@pytest.mark.parametrize("seed", range(4))
def test_counts_kept_up_are_those_of_a_fresh_look(lab: Any, client: Any, seed: int) -> None:
    rng = Random(seed)
    prices = [round(100 + 3 * rng.uniform(-1, 1), 2) for _ in range(STEPS)]
    exchange = lab.open(lab.tape(lab.rows("SPY", "2026-03-02 09:30", prices, 300)))
    asks = client(exchange)
    for _ in range(STEPS):
        for _ in range(3):
            try:
                act(rng, asks)
            except RequestRefused:
                continue
        check(exchange)
        exchange.advance()
        check(exchange)


def act(rng: Random, asks: Any) -> None:
    """Do something at random, as several clients of one account would."""
    exchange = asks.exchange
    side = rng.choice([asks.buy, asks.sell])
    price = round(float(exchange.last_price("SPY")) + rng.uniform(-3, 3), 2)
    opened = exchange.orders()
    kind = rng.randrange(7)
    if kind == 0:
        side(rng.randint(1, 40))
    elif kind == 1:
        side(rng.randint(1, 40), limit=price, tif="gtc")
    elif kind == 2:
        side(rng.randint(1, 40), stop=price)
    elif kind == 3:
        asks.buy(rng.randint(1, 40), bracket=(price + 2, price - 2))
    elif kind == 4:
        asks.sell(rng.randint(1, 20), oco=(price + 2, price - 2))
    elif opened and kind == 5:
        exchange.cancel(rng.choice(opened).id)
    elif opened:
        changed = OrderChange(limit_price=Decimal(str(price)))
        exchange.replace(rng.choice(opened).id, changed)


def check(exchange: Any) -> None:
    opened = exchange.orders()
    fresh = OpenOrders(opened)
    positions = {position.symbol: position.qty for position in exchange.positions()}
    held = positions.get("SPY", Decimal(0))
    closing: dict[Any, Decimal] = defaultdict(Decimal)
    for order in opened:
        if order.closes and not fresh.awaits_entry(order):
            closing[order.group] = max(closing[order.group], order.remaining)
    total = sum(closing.values())
    assert exchange.available("SPY") == (held - total if held >= 0 else held + total)
    assert fresh.closing("SPY") == total
    for intent in PositionIntent:
        found = [o for o in opened if o.position_intent is intent and not fresh.awaits_entry(o)]
        assert fresh.of_symbol("SPY").intending(intent) == len(found)
