"""``/v2/{feed}``: market data in real time.

https://docs.alpaca.markets/docs/streaming-market-data,
https://docs.alpaca.markets/docs/real-time-stock-pricing-data
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from smabot_exchange.streams.broadcast import DataConnection
from smabot_exchange.streams.conversation import client_messages, converse
from smabot_exchange.streams.frames import JSON, MSGPACK
from smabot_exchange.streams.subscriptions import TooManySymbols, asked_for

if TYPE_CHECKING:
    from smabot_exchange.http.venue import Venue

FEEDS = ("iex", "sip", "delayed_sip", "test")

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    500: "internal error",
}
_FATAL = (402, 404, 406, 407, 409, 500)
"""After these the server closes."""


def routes(venue: Venue) -> list[WebSocketRoute]:
    async def stream(websocket: WebSocket) -> None:
        await _DataConversation(venue, websocket, websocket.path_params["feed"]).hold()

    return [WebSocketRoute("/v2/{feed}", stream)]


class _DataConversation:
    """The conversation with one client."""

    def __init__(self, venue: Venue, websocket: WebSocket, feed: str) -> None:
        self._venue = venue
        self._hub = venue.hub
        self._feed = feed
        packed = "application/msgpack" in websocket.headers.get("content-type", "")
        self._connection = DataConnection(websocket, MSGPACK if packed else JSON)

    async def hold(self) -> None:
        if self._feed not in FEEDS:
            await self._connection.socket.close()
            return
        await converse(self._hub, "data", self._connection, self._answer_all)

    async def _answer_all(self) -> None:
        connection = self._connection
        self._say({"T": "success", "msg": "connected"})
        headers = connection.socket.headers
        if key_id := headers.get("apca-api-key-id", ""):
            self._authenticate(key_id, headers.get("apca-api-secret-key", ""))
        try:
            async with asyncio.timeout(self._venue.auth_seconds) as patience:
                if connection.key_id:
                    patience.reschedule(None)
                async for frame in client_messages(connection.socket):
                    self._answer(frame)
                    if connection.key_id:
                        patience.reschedule(None)
        except TimeoutError:
            self._error(404)
            async for _ in client_messages(connection.socket):
                pass

    def _answer(self, frame: str | bytes) -> None:
        try:
            message = self._connection.codec.unpack(frame)
            action = message.get("action")
            if action not in ("auth", "subscribe", "unsubscribe"):
                raise ValueError(f"unknown action {action!r}")
            symbols = {} if action == "auth" else asked_for(message)
        except (ValueError, AttributeError):
            self._error(400)
            return
        if action == "auth":
            self._authenticate(str(message.get("key", "")), str(message.get("secret", "")))
        elif not self._connection.key_id:
            self._error(401)
        else:
            self._subscribe(action, symbols)

    def _authenticate(self, key_id: str, secret: str) -> None:
        hub = self._hub
        if self._connection.key_id:
            self._error(403)
        elif not self._venue.takes(key_id, secret, f"/v2/{self._feed}"):
            self._error(402)
        elif key_id in hub.data or hub.refuses("data"):
            self._error(406)
        elif self._feed not in self._venue.feeds:
            self._error(409)
        else:
            self._connection.key_id = key_id
            hub.data[key_id] = self._connection
            self._say({"T": "success", "msg": "authenticated"})

    def _subscribe(self, action: str, symbols: dict[str, list[str]]) -> None:
        before = self._connection.subscriptions
        if action == "unsubscribe":
            self._connection.subscriptions = before.minus(symbols)
        else:
            try:
                self._connection.subscriptions = before.plus(symbols, self._venue.symbol_limit)
            except TooManySymbols:
                self._error(405)
                return
            self._hub.wanted.set()
        self._say({"T": "subscription", **self._connection.subscriptions.told()})

    def _error(self, code: int) -> None:
        self._say({"T": "error", "code": code, "msg": ERRORS[code]})
        if code in _FATAL:
            self._connection.close(1008, ERRORS[code])

    def _say(self, message: dict[str, Any]) -> None:
        self._connection.say(self._hub.exchange.now, message)
