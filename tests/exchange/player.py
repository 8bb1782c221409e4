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

from smabot.records import OrderType, Side, TimeInForce
from smabot_exchange.exchange import Exchange
from smabot_exchange.orders import OrderRequest, Refusal


def act(exchange: Exchange, after: Callable[[], object]) -> None:
    """What is to be done at this time of the clock. Doing it twice is doing it once."""
    rng = Random(str(exchange.now))
    before = [o for o in exchange.orders("all") if o.submitted_at < exchange.now]
    if before and rng.random() < 0.3:
        with suppress(Refusal):
            exchange.cancel(rng.choice(before).id)
        after()
    for symbol in exchange.symbols:
        for number in range(rng.randrange(3)):
            limit = None
            if rng.random() < 0.4:
                limit = exchange.last_price(symbol) + Decimal(rng.randrange(-9, 10)) / 100
            request = OrderRequest(
                symbol,
                rng.choice([Side.BUY, Side.BUY, Side.SELL]),
                Decimal(rng.randrange(1, 30)),
                OrderType.MARKET if limit is None else OrderType.LIMIT,
                limit,
                rng.choice([TimeInForce.DAY, TimeInForce.GTC]),
                f"{symbol}-{exchange.now:%m%d%H%M}-{number}",
            )
            with suppress(Refusal):
                exchange.submit(request)
            after()


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
        }
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY {key}").fetchall()
            for table, key in tables.items()
        }


if __name__ == "__main__":
    pause = float(sys.argv[3])
    play(Exchange(Path(sys.argv[1]), sys.argv[2]), lambda: time.sleep(pause))
