"""An exchange on the wire: a small tape, served in a thread, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("alpaca")

from smabot_exchange.account import Terms
from smabot_exchange.exchange import Exchange
from smabot_exchange.wire.auth import Keys
from smabot_exchange.wire.server import Serving, listen
from smabot_exchange.wire.venue import Venue

KEY_ID, SECRET = "PKTEST", "the secret"
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
DEADLINE = 10


class Place:
    """A served exchange, and how to reach it."""

    def __init__(self, venue: Venue, server: Serving) -> None:
        self.venue = venue
        self.exchange = venue.exchange
        self.server = server
        self.url = server.url
        self.socket_url = server.url.replace("http", "ws", 1)

    def play(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.exchange.advance()


class Call:
    """Plain HTTP with the keys; a session of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"APCA-API-KEY-ID": KEY_ID, "APCA-API-SECRET-KEY": SECRET})

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=DEADLINE, **more)

    def get(self, path: str, **params: Any) -> Any:
        response = self("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def buy(self, qty: object = 1, symbol: str = "SPY", **more: Any) -> Any:
        return self.order("buy", qty, symbol, **more)

    def sell(self, qty: object = 1, symbol: str = "SPY", **more: Any) -> Any:
        return self.order("sell", qty, symbol, **more)

    def order(self, side: str, qty: object, symbol: str, **more: Any) -> Any:
        response = self.post(side, qty, symbol, **more)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, side: str, qty: object, symbol: str = "SPY", **more: Any) -> requests.Response:
        body = {
            "symbol": symbol,
            "side": side,
            "qty": qty,
            "type": "market",
            "time_in_force": "day",
        }
        return self("POST", "/v2/orders", json={**body, **more})


@pytest.fixture
def serve(tmp_path: Path, tape_writer: Any) -> Iterator[Callable[..., Place]]:
    """Serve an exchange over closes by symbol, a minute each from ``start`` on, or over any tape."""
    with ExitStack() as stack:

        def serve(
            closes: Mapping[str, Sequence[float | None]] | str | None = None,
            *,
            start: datetime = OPEN,
            volume: float = 100_000,
            terms: Terms | None = None,
            **venue: Any,
        ) -> Place:
            if isinstance(closes, str):
                tape = closes
            else:
                closes = closes or {"SPY": [100.0] * 30, "IBM": [50.0] * 30}
                tape = str(tape_writer(tmp_path / "tape.csv", closes, start=start, volume=volume))
            exchange = Exchange(tmp_path / "ledger.db", tape, terms)
            stack.callback(exchange.close)
            there = Venue(exchange, Keys({KEY_ID: SECRET}), **venue)
            server = Serving(there, listen())
            server.start()
            stack.callback(server.stop)
            return Place(there, server)

        yield serve


@pytest.fixture
def place(serve: Callable[..., Place]) -> Place:
    """An exchange at its first open: SPY stays at 100, IBM at 50, for half an hour."""
    return serve()


@pytest.fixture
def call_at() -> Iterator[Callable[[Place], Call]]:
    calls: list[Call] = []

    def call_at(place: Place) -> Call:
        calls.append(Call(place.url))
        return calls[-1]

    yield call_at
    for call in calls:
        call.session.close()


@pytest.fixture
def call(place: Place, call_at: Callable[[Place], Call]) -> Call:
    return call_at(place)


@pytest.fixture
def minute() -> Callable[[int], str]:
    """The start of the tape's n-th minute as the wire shows it."""
    return lambda index: (OPEN + timedelta(minutes=index)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def trading(place: Place) -> Iterator[Any]:
    """The real TradingClient."""
    from alpaca.trading.client import TradingClient

    client = TradingClient(KEY_ID, SECRET, url_override=place.url)
    client._session.trust_env = False
    yield client
    client._session.close()


@pytest.fixture
def data(place: Place) -> Iterator[Any]:
    """The real StockHistoricalDataClient."""
    from alpaca.data.historical import StockHistoricalDataClient

    client = StockHistoricalDataClient(KEY_ID, SECRET, url_override=place.url)
    client._session.trust_env = False
    yield client
    client._session.close()
