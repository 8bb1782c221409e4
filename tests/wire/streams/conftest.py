"""Clients of the streams: alpaca-py's own, in threads, and plain websockets that may misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import msgpack
import pytest
from websockets.sync.client import ClientConnection, connect

KEY_ID, SECRET = "PKTEST", "the secret"
DEADLINE = 60


def until(true: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.005)
    return found


class Plain:
    """A websocket without a library's opinions; ``said`` is the next message, read."""

    def __init__(self, socket: ClientConnection, *, packed: bool) -> None:
        self.socket = socket
        self.packed = packed

    def say(self, message: Any) -> None:
        self.socket.send(msgpack.packb(message) if self.packed else json.dumps(message))

    @property
    def said(self) -> Any:
        frame = self.socket.recv(timeout=DEADLINE)
        if self.packed:
            assert isinstance(frame, bytes)
            return msgpack.unpackb(frame, timestamp=3)
        return json.loads(frame)

    def ask(self, message: Any) -> Any:
        self.say(message)
        return self.said

    def subscribe(self, **channels: list[str]) -> Any:
        (answer,) = self.ask({"action": "subscribe", **channels})
        return answer


@pytest.fixture
def plain() -> Iterator[Callable[..., Plain]]:
    with ExitStack() as stack:

        def plain(url: str, headers: dict[str, str] | None = None, **more: Any) -> Plain:
            connection = connect(
                url, additional_headers=headers, compression=None, proxy=None, **more
            )
            packed = "msgpack" in (headers or {}).get("Content-Type", "")
            return Plain(stack.enter_context(connection), packed=packed)

        yield plain


@pytest.fixture
def data_socket(place: Any, plain: Any) -> Callable[..., Plain]:
    """A plain client of the data stream; authenticated unless told otherwise."""

    def data_socket(*, packed: bool = False, auth: bool = True, feed: str = "iex") -> Plain:
        headers = {"Content-Type": "application/msgpack"} if packed else {}
        client = plain(f"{place.socket_url}/v2/{feed}", headers=headers)
        assert client.said == [{"T": "success", "msg": "connected"}]
        if auth:
            answer = client.ask({"action": "auth", "key": KEY_ID, "secret": SECRET})
            assert answer == [{"T": "success", "msg": "authenticated"}]
        return client

    return data_socket


@pytest.fixture
def trade_socket(place: Any, plain: Any) -> Callable[..., Plain]:
    """A plain client of the trading stream; it listens unless told otherwise."""

    def trade_socket(*, auth: bool = True) -> Plain:
        client = plain(f"{place.socket_url}/stream")
        if auth:
            keys = {"key_id": KEY_ID, "secret_key": SECRET}
            answer = client.ask({"action": "authenticate", "data": keys})
            assert answer["data"]["status"] == "authorized"
            client.ask({"action": "listen", "data": {"streams": ["trade_updates"]}})
        return client

    return trade_socket


class Stepper:
    """Moves the clock as a client does, and asks after what was sent."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, minutes: int = 1) -> Any:
        for _ in range(minutes):
            response = self._call("POST", "/_exchange/play")
            assert response.status_code == 200, response.text
        return response.json()

    def look(self) -> Any:
        return self._call.get("/_exchange")


@pytest.fixture
def step(call: Any) -> Stepper:
    return Stepper(call)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return until


class Threaded:
    """One of alpaca-py's streams at work in a thread; ``heard`` is what its handlers got."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.heard: list[Any] = []
        self._thread = threading.Thread(target=stream.run, daemon=True)

    async def hear(self, item: Any) -> None:
        self.heard.append(item)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stream.stop()
        closing = self.stream.close()
        try:
            asyncio.run_coroutine_threadsafe(closing, self.stream._loop)
        except RuntimeError:  # its loop has ended already
            closing.close()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()


@pytest.fixture
def alpaca_trading(place: Any, step: Stepper) -> Iterator[Threaded]:
    """The real TradingStream, listening."""
    from alpaca.trading.stream import TradingStream

    client = Threaded(TradingStream(KEY_ID, SECRET, url_override=f"{place.socket_url}/stream"))
    client.stream.subscribe_trade_updates(client.hear)
    client.start()
    until(lambda: step.look()["updates_sent"] is not None)
    until(lambda: place.venue.broadcast.clients.trading[0].listening)
    yield client
    client.stop()


@pytest.fixture
def alpaca_data(place: Any, step: Stepper) -> Iterator[Callable[..., Threaded]]:
    """The real StockDataStream, subscribed to symbols by channel."""
    from alpaca.data.live.stock import StockDataStream

    clients: list[Threaded] = []

    def alpaca_data(**channels: tuple[str, ...]) -> Threaded:
        url = f"{place.socket_url}/v2/iex"
        client = Threaded(StockDataStream(KEY_ID, SECRET, url_override=url))
        clients.append(client)
        for channel, symbols in channels.items():
            getattr(client.stream, f"subscribe_{channel}")(client.hear, *symbols)
        client.start()
        until(
            lambda: (
                place.venue.broadcast.clients.data
                and place.venue.broadcast.clients.data[KEY_ID].subscriptions.symbols
            )
        )
        return client

    yield alpaca_data
    for client in clients:
        client.stop()
