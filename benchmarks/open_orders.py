"""An order's round trip over loopback while thousands of others are open in its symbol, and while none is.

Two exchanges in processes of their own take turns, so that the machine's load counts for both. Each order
is canceled again, so that the number of open ones stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import requests

from benchmarks.report import Figure
from benchmarks.served import served
from smabot_alpaca.credentials import LOOPBACK

DATA = "simulated:symbols=1,sessions=1,seed=7"
WARM = 20
MOST = 1.2
"""What thousands of open orders may cost, as a multiple of none."""


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield the median of an order with and without others open, and how they compare."""
    rounds, open_orders = (200, 1000) if quick else (1000, 2000)
    with ExitStack() as stack:
        clients = []
        for name, count in (("empty", 0), ("full", open_orders)):
            own = folder / name
            own.mkdir()
            clients.append(_Client(stack, stack.enter_context(served(own, DATA))))
            for _ in range(count):
                clients[-1].submit()
        spent = [[client.order_and_cancel() for client in clients] for _ in range(rounds)][WARM:]
    empty, full = (median(each) for each in zip(*spent, strict=True))
    yield Figure("no open order, p50", empty * 1e3, "ms")
    yield Figure(f"{open_orders:,} open orders, p50", full * 1e3, "ms")
    yield Figure(f"{open_orders:,} : none", full / empty, "×", most=MOST)


class _Client:
    """Sends buy orders that wait: their limits are far below the market."""

    def __init__(self, stack: ExitStack, url: str) -> None:
        self._url = url
        self._session = stack.enter_context(requests.Session())
        self._session.trust_env = False
        self._session.headers.update(
            {
                "APCA-API-KEY-ID": LOOPBACK.key_id.get_secret_value(),
                "APCA-API-SECRET-KEY": LOOPBACK.secret_key.get_secret_value(),
            }
        )

    def submit(self) -> str:
        """Send an order; return its id."""
        body = {
            "symbol": "SPY", "side": "buy", "qty": "1", "type": "limit", "limit_price": "1",
            "time_in_force": "gtc",
        }  # fmt: skip
        return str(self._answer("POST", "/v2/orders", json=body).json()["id"])

    def order_and_cancel(self) -> float:
        """Return the seconds that an order took; cancel it."""
        begun = perf_counter()
        sent = self.submit()
        spent = perf_counter() - begun
        self._answer("DELETE", f"/v2/orders/{sent}")
        return spent

    def _answer(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self._session.request(method, self._url + path, timeout=60, **more)
        assert answer.ok, answer.text
        return answer
