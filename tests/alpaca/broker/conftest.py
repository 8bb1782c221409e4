"""A server on loopback that misbehaves exactly as it is told, and orders to send to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from loguru import logger

from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.settings.model import Config
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import connect
from smabot_alpaca.settings import AlpacaSettings

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
REASONS = {200: "OK", 204: "No Content"}


@dataclass(frozen=True)
class Request:
    """What came over the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


Play = Callable[[socket.socket], bool]
"""Answers one request; tells whether the connection is kept."""


class Script:
    """Answers requests as the script says, one after the other; every one is kept in ``requests``.

    Past its end ``otherwise`` answers. ``GET /_exchange`` stands outside of the script: ``exchange`` is its answer, None is a 404.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = 0
        self.exchange: dict[str, Any] | None = None
        self.otherwise: Callable[[Request], Play] = lambda _: self.answer(500, {"message": "?"})
        self._plays: deque[Play] = deque()
        self._end = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def then(self, *plays: Play) -> Script:
        self._plays.extend(plays)
        return self

    def sent(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def close(self) -> None:
        self._end.set()
        for opened in [self._listener, *self._open]:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    # -- what it can do ----------------------------------------------------------------------------

    @staticmethod
    def answer(
        status: int,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        keep: bool = True,
    ) -> Play:
        """An answer; ``keep=False`` closes the connection after it without having said so."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if status == 204:
            content = b""
        lines = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'So')}",
            f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]

        def play(connection: socket.socket) -> bool:
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
            return keep

        return play

    @staticmethod
    def reset(connection: socket.socket) -> bool:
        """A TCP reset instead of an answer."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    @staticmethod
    def hang_up(connection: socket.socket) -> bool:
        """The connection is closed instead of an answer."""
        return False

    @staticmethod
    def half(connection: socket.socket) -> bool:
        """An answer that ends in its middle."""
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "')
        return False

    def hang(self, connection: socket.socket) -> bool:
        """No answer for as long as the test lasts."""
        self._end.wait(30)
        return False

    # -- the wire ----------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, suppress(OSError, ValueError):
            while (request := self._read(stream)) is not None:
                if not self._play(request)(connection):
                    break
        self.ended += 1

    def _play(self, request: Request) -> Play:
        if request.path == "/_exchange":
            found = self.exchange is not None
            return self.answer(200 if found else 404, self.exchange or {"message": "not found"})
        self.requests.append(request)
        return self._plays.popleft() if self._plays else self.otherwise(request)

    @staticmethod
    def _read(stream: Any) -> Request | None:
        start = stream.readline().decode()
        if not start:
            return None
        method, target, _ = start.split(" ", 2)
        headers = {}
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = stream.read(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        return Request(
            method, parts.path, dict(parse_qsl(parts.query)), headers,
            json.loads(body) if body else None,
        )  # fmt: skip


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.close()


@pytest.fixture
def broker_at() -> Iterator[Callable[..., AlpacaBroker]]:
    """Make a broker at a url; keyword arguments are settings."""
    made: list[AlpacaBroker] = []

    def broker_at(url: str, **settings: Any) -> AlpacaBroker:
        config = Config(broker="alpaca", url=url)
        broker = AlpacaBroker(connect(config, AlpacaSettings(**settings), {}))
        made.append(broker)
        return broker

    yield broker_at
    for broker in made:
        broker.close()


@pytest.fixture
def broker(script: Script, broker_at: Any) -> AlpacaBroker:
    """A broker at the script."""
    made: AlpacaBroker = broker_at(script.url, request_timeout=20)
    return made


@pytest.fixture
def impatient(script: Script, broker_at: Any) -> AlpacaBroker:
    """A broker at the script that waits for a second, where the script hangs."""
    made: AlpacaBroker = broker_at(script.url, request_timeout=1)
    return made


def make_order(name: str = "smabot-sma-SPY-20260302T1700Z-1", **changes: Any) -> Order:
    values: dict[str, Any] = {
        "client_order_id": name, "strategy": "sma", "symbol": "SPY", "side": Side.BUY,
        "qty": Decimal(10), "type": OrderType.MARKET, "limit_price": None,
        "time_in_force": TimeInForce.DAY, "bar_time": NOON, "attempt": 1, "reduces": False,
        "created_at": NOON, "status": Status.PENDING,
    }  # fmt: skip
    return Order(**values | changes)


def order_json(name: str = "smabot-sma-SPY-20260302T1700Z-1", **changes: Any) -> dict[str, Any]:
    """An order as Alpaca tells it, pending and for 10 SPY."""
    return {
        "id": "61e69015-8549-4bfd-b9c3-01e75843f47d", "client_order_id": name,
        "created_at": "2026-03-02T17:00:00.123456789Z",
        "updated_at": "2026-03-02T17:00:00.123456789Z",
        "submitted_at": "2026-03-02T17:00:00.123456789Z",
        "filled_at": None, "expired_at": None, "expires_at": "2026-03-02T21:00:00Z",
        "canceled_at": None, "failed_at": None, "replaced_at": None, "replaced_by": None,
        "replaces": None, "asset_id": "b28f4066-5c6d-479b-a2af-85dc1a8f16fb", "symbol": "SPY",
        "asset_class": "us_equity", "notional": None, "qty": "10", "filled_qty": "0",
        "filled_avg_price": None, "order_class": "", "order_type": "market", "type": "market",
        "side": "buy", "position_intent": "buy_to_open", "time_in_force": "day",
        "limit_price": None, "stop_price": None, "status": "pending_new",
        "extended_hours": False, "legs": None, "trail_percent": None, "trail_price": None,
        "hwm": None, "subtag": None, "source": None, **changes,
    }  # fmt: skip


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What is logged as a warning."""
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="WARNING")
    yield lines
    logger.remove(sink)


@pytest.fixture
def order() -> Callable[..., Order]:
    return make_order


@pytest.fixture
def told() -> Callable[..., dict[str, Any]]:
    """Orders as Alpaca tells them."""
    return order_json
