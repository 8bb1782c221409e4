"""A client that decides by the clock alone, so that it may die and be started again anywhere.

Run as a program it plays a ledger to its end: ``player.py LEDGER TAPE PAUSE``.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from random import Random

from smabot.domain.order_terms import Side
from smabot_exchange.exchange import Exchange
from smabot_exchange.matching.account import AccountTerms
from smabot_exchange.matching.orders import (
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderType,
    RequestRefused,
    StopLoss,
    TakeProfit,
    TimeInForce,
)

CENT = Decimal("0.01")
TERMS = AccountTerms(multiplier=Decimal(2))


def act(exchange: Exchange, after: Callable[[], object]) -> None:
    """What is to be done at this time of the clock. Doing it twice is doing it once."""
    rng = Random(str(exchange.now))
    before = [o for o in exchange.orders("all") if o.submitted_at < exchange.now]
    if before and rng.random() < 0.3:
        with suppress(RequestRefused):
            exchange.cancel(rng.choice(before).id)
        after()
    if before and rng.random() < 0.3:
        order = rng.choice(before)
        change = OrderChange(
            limit_price=None if order.limit_price is None else order.limit_price + CENT,
            qty=order.qty + 1 if order.order_class is OrderClass.SIMPLE else None,
            client_order_id=f"changed-{exchange.now:%m%d%H%M}",
        )
        with suppress(RequestRefused):
            exchange.replace(order.id, change)
        after()
    for symbol in exchange.symbols:
        for number in range(rng.randrange(3)):
            with suppress(RequestRefused):
                exchange.submit(request(exchange, rng, symbol, number))
            after()


def request(exchange: Exchange, rng: Random, symbol: str, number: int) -> OrderRequest:
    """Some order near the last price."""
    price = exchange.last_price(symbol)
    up, down = (price + rng.randrange(1, 30) * CENT for _ in range(2))
    down = price - (down - price)
    side = rng.choice([Side.BUY, Side.BUY, Side.SELL])
    far, near = (up, down) if side is Side.BUY else (down, up)
    kind = rng.choice(list(OrderType))
    legs = rng.choice([OrderClass.SIMPLE, OrderClass.SIMPLE, OrderClass.BRACKET, OrderClass.OCO])
    if legs is not OrderClass.SIMPLE:
        kind = OrderType.LIMIT
    limits = (OrderType.LIMIT, OrderType.STOP_LIMIT)
    profit, loss = (far, near) if legs is OrderClass.BRACKET else (near, far)
    return OrderRequest(
        symbol,
        side,
        Decimal(rng.randrange(1, 30)),
        kind,
        price if kind in limits and legs is not OrderClass.OCO else None,
        rng.choice([TimeInForce.DAY, TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC]),
        f"{symbol}-{exchange.now:%m%d%H%M}-{number}",
        stop_price=far if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        trail_price=20 * CENT if kind is OrderType.TRAILING_STOP else None,
        order_class=legs,
        take_profit=None if legs is OrderClass.SIMPLE else TakeProfit(profit),
        stop_loss=None if legs is OrderClass.SIMPLE else StopLoss(loss),
    )


def play(exchange: Exchange, after: Callable[[], object] = lambda: None) -> None:
    """Play to the tape's end; ``after`` is called after everything that may have committed."""
    while True:
        act(exchange, after)
        if exchange.advance() is None:
            return
        after()


def contents(ledger: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that the ledger says of orders and money."""
    with closing(sqlite3.connect(ledger)) as db:
        tables = {
            "state": "id",
            "orders": "seq",
            "fills": "number",
            "positions": "symbol",
            "corporate_actions": "id",
        }
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY {key}").fetchall()
            for table, key in tables.items()
        }


if __name__ == "__main__":
    pause = float(sys.argv[3])
    play(Exchange(Path(sys.argv[1]), sys.argv[2], TERMS), lambda: time.sleep(pause))
