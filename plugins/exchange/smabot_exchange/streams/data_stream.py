"""``/v2/{feed}``: market data in real time.

https://docs.alpaca.markets/docs/streaming-market-data,
https://docs.alpaca.markets/docs/real-time-stock-pricing-data
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from smabot_exchange.streams.connected_clients import DataConnection
from smabot_exchange.streams.conversation import client_messages, converse
from smabot_exchange.streams.frames import JSON, MSGPACK
from smabot_exchange.streams.stream_access import FEEDS, StreamServer
from smabot_exchange.streams.subscriptions import TooManySymbols, asked_for

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


def routes(server: StreamServer) -> list[WebSocketRoute]:
    async def stream(websocket: WebSocket) -> None:
        await _DataConversation(server, websocket, websocket.path_params["feed"]).run()

    return [WebSocketRoute("/v2/{feed}", stream)]


class _DataConversation:
    """The conversation with one client."""

    def __init__(self, server: StreamServer, websocket: WebSocket, feed: str) -> None:
        self._server = server
        self._broadcast = server.broadcast
        self._feed = feed
        packed = "application/msgpack" in websocket.headers.get("content-type", "")
        self._connection = DataConnection(websocket, MSGPACK if packed else JSON)

    async def run(self) -> None:
        if self._feed not in FEEDS:
            await self._connection.socket.close()
            return
        await converse(self._broadcast.clients, "data", self._connection, self._answer_all)

    async def _answer_all(self) -> None:
        connection = self._connection
        self._send({"T": "success", "msg": "connected"})
        headers = connection.socket.headers
        if key_id := headers.get("apca-api-key-id", ""):
            self._authenticate(key_id, headers.get("apca-api-secret-key", ""))
        try:
            async with asyncio.timeout(self._server.stream_limits.auth_seconds) as deadline:
                if connection.key_id:
                    deadline.reschedule(None)
                async for frame in client_messages(connection.socket):
                    self._answer(frame)
                    if connection.key_id:
                        deadline.reschedule(None)
        except TimeoutError:
            self._send_error(404)
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
            self._send_error(400)
            return
        if action == "auth":
            self._authenticate(str(message.get("key", "")), str(message.get("secret", "")))
        elif not self._connection.key_id:
            self._send_error(401)
        else:
            self._subscribe(action, symbols)

    def _authenticate(self, key_id: str, secret: str) -> None:
        broadcast = self._broadcast
        if self._connection.key_id:
            self._send_error(403)
        elif not self._server.accepts_key(key_id, secret, f"/v2/{self._feed}"):
            self._send_error(402)
        elif self._is_one_too_many(key_id) or broadcast.clients.refuses("data"):
            self._send_error(406)
        elif self._feed not in self._server.stream_limits.feeds:
            self._send_error(409)
        else:
            self._connection.key_id = key_id
            broadcast.clients.data[key_id] = self._connection
            self._send({"T": "success", "msg": "authenticated"})

    def _is_one_too_many(self, key_id: str) -> bool:
        """Whether a key has a connection already; that one may be closed for this."""
        clients = self._broadcast.clients
        earlier = clients.data.get(key_id)
        if earlier is None or self._server.as_seen.second_data_connection == "refused":
            return earlier is not None
        clients.remove("data", earlier, clean=True)
        earlier.close(1008, "connected again")
        return False

    def _subscribe(self, action: str, symbols: dict[str, list[str]]) -> None:
        before = self._connection.subscriptions
        if action == "unsubscribe":
            self._connection.subscriptions = before.minus(symbols)
        else:
            try:
                self._connection.subscriptions = before.plus(
                    symbols, self._server.stream_limits.symbols
                )
            except TooManySymbols:
                self._send_error(405)
                return
            self._broadcast.time_wanted.set()
        acknowledged = self._connection.subscriptions.acknowledgement(symbols)
        self._send({**acknowledged, "T": "subscription"})

    def _send_error(self, code: int) -> None:
        self._send({"T": "error", "code": code, "msg": ERRORS[code]})
        if code in _FATAL:
            self._connection.close(1008, ERRORS[code])

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.send_control(self._broadcast.exchange.now, message)
