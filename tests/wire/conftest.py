"""An exchange on the wire: a small tape, served in a thread, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from smabot_exchange.exchange import Exchange
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ServerThread, listen
from smabot_exchange.http.venue import Venue
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.matching.account import AccountTerms

KEY_ID, SECRET = "PKTEST", "the secret"
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
DEADLINE = 60


class Place:
    """A served exchange, and how to reach it."""

    def __init__(self, venue: Venue, server: ServerThread) -> None:
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


class Houses:
    """Serves exchanges in a folder, and closes them."""

    def __init__(self, folder: Path, tape_writer: Any = None) -> None:
        self._folder = folder
        self._write = tape_writer
        self._open = ExitStack()

    def __call__(
        self,
        closes: Mapping[str, Sequence[float | None]] | str | None = None,
        *,
        start: datetime = OPEN,
        volume: float = 100_000,
        terms: AccountTerms | None = None,
        secret: str = SECRET,
        beginning: Beginning | None = None,
        **venue: Any,
    ) -> Place:
        """Serve an exchange over closes by symbol, a minute each from ``start``, or any tape."""
        if isinstance(closes, str):
            tape = closes
        else:
            closes = closes or {"SPY": [100.0] * 30, "IBM": [50.0] * 30}
            tape = str(self._write(self._folder / "tape.csv", closes, start=start, volume=volume))
        exchange = Exchange(self._folder / "ledger.db", tape, terms, beginning=beginning)
        self._open.callback(exchange.close)
        there = Venue(exchange, ApiKeys({KEY_ID: secret}), **venue)
        server = ServerThread(there, listen())
        server.start()
        self._open.callback(server.stop)
        return Place(there, server)

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def serve(tmp_path: Path, tape_writer: Any) -> Iterator[Houses]:
    houses = Houses(tmp_path, tape_writer)
    yield houses
    houses.close()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An exchange that nobody plays and nothing is accepted at: for what is refused."""
    houses = Houses(tmp_path_factory.mktemp("still"))
    yield houses("simulated:symbols=1,sessions=1")
    houses.close()


@pytest.fixture(scope="module")
def ask(still: Place) -> Iterator[Call]:
    call = Call(still.url)
    yield call
    call.session.close()


@pytest.fixture
def place(serve: Houses) -> Place:
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
