"""An order's round trip over loopback: through the broker, and by bare requests, in turns. The exchange
is another process, and has every order on its disk before it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import requests

from benchmarks.report import Figure
from benchmarks.served import served
from smabot.domain.order_terms import OrderType, Side, TimeInForce
from smabot.domain.records import Order
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import connect
from smabot_alpaca.credentials import LOOPBACK
from smabot_alpaca.order_json import order_body
from smabot_alpaca.settings import AlpacaSettings

WARM = 30


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield p50 and p99 of a bare request, of the broker's, and of a look-up."""
    rounds = 300 if quick else 2000
    with served(folder, "simulated:symbols=1,sessions=1,seed=7,shape=waves") as url:
        spent = _spent(url, rounds)
    for what, seconds in spent.items():
        hundredths = quantiles(seconds[WARM:], n=100)
        for name, part in (("p50", 49), ("p99", 98)):
            yield Figure(f"{what}, {name}", hundredths[part] * 1e3, "ms")
    ratio = quantiles(spent["broker"], n=2)[0] / quantiles(spent["bare request"], n=2)[0]
    yield Figure("broker : bare request, p50", ratio, "×")


def _spent(url: str, rounds: int) -> dict[str, list[float]]:
    connection = connect(Config(broker="alpaca", url=url), AlpacaSettings(), {})
    broker = AlpacaBroker(connection)
    bare = requests.Session()
    bare.trust_env = False
    bare.headers.update(
        {
            "APCA-API-KEY-ID": LOOPBACK.key_id.get_secret_value(),
            "APCA-API-SECRET-KEY": LOOPBACK.secret_key.get_secret_value(),
        }
    )
    numbers = count()
    spent: dict[str, list[float]] = {"bare request": [], "broker": [], "look-up": []}

    def timed(what: str, call: Callable[[], Any]) -> Any:
        begun = perf_counter()
        answer = call()
        spent[what].append(perf_counter() - begun)
        return answer

    try:
        for _ in range(rounds):
            body = order_body(_order(next(numbers)))
            answer = timed("bare request", partial(bare.post, f"{url}/v2/orders", json=body))
            assert answer.ok, answer.text
            order = _order(next(numbers))
            update = timed("broker", partial(broker.submit, order))
            assert update.broker_order_id is not None, update
            assert timed("look-up", partial(broker.order, order.client_order_id)) is not None
    finally:
        bare.close()
        broker.close()
    return spent


def _order(number: int) -> Order:
    """A buy order that waits: its limit is far below the market."""
    now = datetime.now(UTC)
    return Order(
        f"bench-orders-SPY-{number}", "orders", "SPY", Side.BUY, Decimal(1), OrderType.LIMIT,
        Decimal(1), TimeInForce.DAY, bar_time=now, attempt=1, reduces=False, created_at=now,
    )  # fmt: skip
