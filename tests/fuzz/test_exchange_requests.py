"""What clients send to the exchange gone wrong: it refuses in one line, or does what was written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

pytest.importorskip("smabot_exchange")

import msgpack

from smabot_exchange.exchange import Exchange
from smabot_exchange.http.app import create_app
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.venue import Venue

KEY, SECRET = "PKTEST", "the secret"
KEYS = [(b"apca-api-key-id", KEY.encode()), (b"apca-api-secret-key", SECRET.encode())]
MARKET = {
    "symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
    "extended_hours": False, "order_class": "simple", "position_intent": "buy_to_open",
}  # fmt: skip
LIMIT = {**MARKET, "type": "limit", "limit_price": "12.34", "qty": 2, "time_in_force": "gtc"}
BRACKET = {
    **LIMIT, "order_class": "bracket", "take_profit": {"limit_price": "900.5"},
    "stop_loss": {"stop_price": "9.5", "limit_price": 9.25},
}  # fmt: skip
BODIES: dict[tuple[str, str], list[Any]] = {
    ("POST", "/v2/orders"): [MARKET, LIMIT, BRACKET],
    ("PATCH", "/v2/account/configurations"): [
        {"suspend_trade": False, "max_margin_multiplier": "4", "no_shorting": False}
    ],
    ("POST", "/_exchange/cash"): [{"amount": "100.25"}],
    ("POST", "/_exchange/positions"): [{"symbol": "SPY", "qty": "2", "price": "270.5"}],
    ("POST", "/_exchange/account"): [{"trading_blocked": False}],
    ("POST", "/_exchange/orders"): [{"symbol": "SPY", "qty": "1", "side": "buy", "limit_price": "9.5"}],
    ("POST", "/_exchange/faults"): [
        {"seed": 7, "faults": [{"kind": "error", "path": "/nowhere", "status": 504, "times": 1}]},
        {"faults": [{"kind": "reset", "path": "/nowhere", "nth": 3, "since": "2026-03-02T15:00:00Z"}]},
    ],
}  # fmt: skip
TIME = "2026-03-02T14:30:00.123456789Z"
QUERIES: dict[str, dict[str, Any]] = {
    "/v2/orders": {
        "status": "all", "after": TIME, "until": TIME, "limit": 50, "direction": "asc", "nested": "true",
        "symbols": "QQQ,SPY", "side": "buy", "after_order_id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    },
    "/v2/orders:by_client_order_id": {"client_order_id": "a"},
    "/v2/account/activities/FILL": {
        "after": TIME, "until": TIME, "date": "2026-03-02", "page_size": 10, "direction": "asc",
        "page_token": "20260302093000000::61e69015-8549-4bfd-b9c3-01e75843f47d",
    },
    "/v2/account/portfolio/history": {
        "start": TIME, "end": TIME, "period": "1M", "timeframe": "15Min", "date_end": "2026-03-02",
    },
    "/v2/calendar": {"start": "2026-03-02", "end": "2026-03-09", "date_type": "settlement"},
    "/v3/calendar/NYSE": {"start": "2026-03-02", "end": "2026-03-09", "timezone": "UTC"},
    "/v3/clock": {"markets": "NYSE,XNAS", "time": TIME},
    "/v2/stocks/bars": {
        "symbols": "QQQ,SPY", "timeframe": "1Min", "start": TIME, "end": TIME, "limit": 10, "feed": "iex",
        "adjustment": "raw", "page_token": "QUFQTHxNfDIwMjYtMDMtMDJUMTQ6MzA6MDArMDA6MDA=", "sort": "desc",
    },
    "/v2/stocks/trades": {"symbols": "SPY", "start": TIME, "end": TIME},
    "/v2/stocks/quotes/latest": {"symbols": "SPY"},
    "/v2/stocks/snapshots": {"symbols": "SPY"},
    "/v2/assets": {"status": "active", "asset_class": "us_equity"},
}  # fmt: skip

Explore = Callable[..., None]


@dataclass
class Server:
    """An exchange whose application is called without a socket."""

    venue: Venue
    runner: asyncio.Runner

    def __post_init__(self) -> None:
        self.app = create_app(self.venue)

    def call(self, method: str, path: str, query: str = "", body: bytes = b"") -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": query.encode(), "headers": list(KEYS), "http_version": "1.1", "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        async def run() -> None:
            await self.app(scope, receive, send)

        self.runner.run(run())
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], json.loads(content) if content else None

    def talk(self, path: str, frames: list[str | bytes], headers: list[Any]) -> list[Any]:
        """Send frames over a websocket, hang up; return what the server sent."""
        scope = {
            "type": "websocket", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "ws", "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 9), "subprotocols": [],
        }  # fmt: skip
        waiting: list[Any] = [{"type": "websocket.connect"}]
        for frame in frames:
            key = "bytes" if isinstance(frame, bytes) else "text"
            waiting.append({"type": "websocket.receive", key: frame})
        waiting.append({"type": "websocket.disconnect", "code": 1000})
        sent: list[Any] = []

        async def receive() -> Any:
            for _ in range(5):
                await asyncio.sleep(0)
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        async def run() -> None:
            await self.app(scope, receive, send)

        self.runner.run(run())
        return sent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    ledger = tmp_path_factory.mktemp("fuzz") / "ledger.db"
    exchange = Exchange(ledger, "simulated:symbols=2,sessions=1")
    with asyncio.Runner() as runner:
        yield Server(Venue(exchange, ApiKeys({KEY: SECRET})), runner)
    exchange.close()


def literal(document: Any) -> bytes:
    """As JSON; a number that a double can't hold stands as it is."""
    return json.dumps(document, default=repr).encode()


def test_bodies(explore: Explore, odd: Any, written: Any, server: Server) -> None:
    def check(data: Any) -> None:
        method, path = data.draw(odd.choice(sorted(BODIES)))
        raw = data.draw(odd.mutated(data.draw(odd.choice(BODIES[method, path]))))
        whole = literal(raw)
        body = data.draw(odd.damaged(whole))
        server.venue.faults.clear()
        status, answer = server.call(method, path, body=body)
        assert status in (200, 400, 403, 404, 413, 422), answer
        if status == 200 and path == "/v2/orders" and body == whole:
            raw = json.loads(whole)
            for field in ("qty", "limit_price"):
                assert written(answer[field]) == (written(raw.get(field) or None)), field
            assert (answer["symbol"], answer["side"], answer["type"], answer["time_in_force"]) == (
                raw["symbol"].strip().upper(), raw["side"], raw["type"], raw["time_in_force"],
            )  # fmt: skip
            assert answer["client_order_id"] == (
                raw.get("client_order_id") or answer["client_order_id"]
            )
            assert answer["extended_hours"] is (raw.get("extended_hours") or False)

    explore(check, share=2)
    assert server.call("GET", "/v2/account")[0] == 200


def test_no_digit_of_a_number_is_lost(server: Server) -> None:
    qty = "0.1234567890123456789"
    body = literal({**MARKET, "qty": 0}).replace(b'"qty": 0', f'"qty": {qty}'.encode())
    assert server.call("POST", "/v2/orders", body=body)[0] == 422
    price = literal({**LIMIT, "limit_price": 0}).replace(
        b'"limit_price": 0', b'"limit_price": 12.3400000000000000001'
    )
    assert server.call("POST", "/v2/orders", body=price)[0] == 422


@pytest.mark.parametrize("limit", ["00000000019999999999", "1" * 5_000, "٣", "0"])
def test_a_limit_beyond_the_longest_page_is_refused(server: Server, limit: str) -> None:
    assert server.call("GET", "/v2/orders", urlencode({"limit": limit}))[0] == 422


@pytest.mark.parametrize("value", [True, 4.0000001, "4.0", [4]])
def test_a_multiplier_is_one_of_those_there_are(server: Server, value: Any) -> None:
    body = literal({"max_margin_multiplier": value})
    assert server.call("PATCH", "/v2/account/configurations", body=body)[0] == 422


def test_queries(explore: Explore, odd: Any, server: Server) -> None:
    def check(data: Any) -> None:
        path = data.draw(odd.choice(sorted(QUERIES)))
        raw = data.draw(odd.mutated(QUERIES[path]))
        asked = [name for name in raw if data.draw(odd.choice([True, True, False]))]
        query = urlencode({name: raw[name] for name in asked}, errors="replace")
        status, answer = server.call("GET", path, query)
        assert status in (200, 400, 404, 422), answer

    explore(check, share=2)


def test_paths(explore: Explore, odd: Any, server: Server) -> None:
    places = [
        "/v2/orders/{}", "/v2/positions/{}", "/v2/assets/{}", "/v2/stocks/{}/bars/latest", "/v3/calendar/{}",
        "/v2/account/activities/{}", "/v2/stocks/{}/snapshot",
    ]  # fmt: skip

    def check(data: Any) -> None:
        name = str(data.draw(odd.values)).encode("utf-8", "replace").decode()
        path = data.draw(odd.choice(places)).format(name.replace("/", ""))
        method = data.draw(odd.choice(["GET", "DELETE", "PATCH", "PUT"]))
        status, answer = server.call(method, path, quote(name), data.draw(odd.choice([b"", b"{}"])))
        assert status in (200, 204, 307, 400, 403, 404, 405, 422), answer

    explore(check, share=2)


def test_client_messages(explore: Explore, odd: Any, server: Server) -> None:
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    trade = [
        {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}, listen,
        {**listen, "action": "unlisten"},
    ]  # fmt: skip
    stocks = [
        {"action": "auth", "key": KEY, "secret": SECRET},
        {"action": "subscribe", "bars": ["SPY", "*"], "quotes": ["SPY"]},
        {"action": "unsubscribe", "bars": ["SPY"]},
    ]

    def check(data: Any) -> None:
        path, messages = data.draw(odd.choice([("/stream", trade), ("/v2/iex", stocks)]))
        binary = data.draw(odd.choice([True, False]))
        frames: list[str | bytes] = []
        for message in data.draw(odd.mutated(messages)):
            if binary:
                packed = msgpack.packb(message, default=repr, unicode_errors="surrogatepass")
                frames.append(data.draw(odd.damaged(packed)))
            else:
                text = data.draw(odd.damaged(literal(message)))
                frames.append(data.draw(odd.choice([text, text.decode("utf-8", "replace")])))
        headers = [(b"content-type", b"application/msgpack")] if binary else []
        sent = server.talk(path, frames, headers)
        assert sent[0]["type"] == "websocket.accept"

    explore(check, share=2)
    clients = server.venue.broadcast.clients
    assert (clients.data, clients.trading) == ({}, [])
