"""``/stream``: updates of the account's orders, in binary frames as at Alpaca's paper API: of JSON, or of
msgpack to clients that ask for it with the header ``Content-Type: application/msgpack``.

https://docs.alpaca.markets/docs/websocket-streaming
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import orjson
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from smabot_exchange.streams.connected_clients import TradeConnection
from smabot_exchange.streams.conversation import client_messages, converse
from smabot_exchange.streams.stream_access import StreamServer

STREAMS = ("trade_updates",)


def routes(server: StreamServer) -> list[WebSocketRoute]:
    async def stream(websocket: WebSocket) -> None:
        clients = server.broadcast.clients
        crowded = server.as_seen.second_trade_connection == "HTTP 429" and clients.trading
        if crowded or clients.refuses("trade"):
            await websocket.send_denial_response(Response("too many connections", 429))
            return
        await _TradeConversation(server, websocket).run()

    return [WebSocketRoute("/stream", stream)]


class _TradeConversation:
    """The conversation with one client."""

    def __init__(self, server: StreamServer, websocket: WebSocket) -> None:
        self._server = server
        self._broadcast = server.broadcast
        self._connection = TradeConnection(websocket)
        content = websocket.headers.get("content-type", "")
        self._connection.packed = "application/msgpack" in content
        self._connection.in_text = server.as_seen.trade_frames == "text"

    async def run(self) -> None:
        await converse(self._broadcast.clients, "trade", self._connection, self._answer_all)

    async def _answer_all(self) -> None:
        connection = self._connection
        try:
            async with asyncio.timeout(self._server.stream_limits.auth_seconds) as deadline:
                async for frame in client_messages(connection.socket):
                    try:
                        self._answer(_message(frame))
                    except (ValueError, TypeError, AttributeError):
                        connection.close(1003, "invalid message")
                    if connection.key_id:
                        deadline.reschedule(None)
        except TimeoutError:
            connection.close(1008, "auth timeout")
            async for _ in client_messages(connection.socket):
                pass

    def _answer(self, message: dict[str, Any]) -> None:
        """Raises ValueError, TypeError or AttributeError for what is no message."""
        action = message.get("action")
        data = message.get("data") or {}
        if action in ("authenticate", "auth"):
            key_id = data.get("key_id") or message.get("key") or ""
            secret = data.get("secret_key") or message.get("secret") or ""
            known = self._server.accepts_key(str(key_id), str(secret), "/stream")
            known = known and self._takes_another(str(key_id))
            self._send_authorization("authorized" if known else "unauthorized", "authenticate")
            if known and not self._connection.key_id:
                self._connection.key_id = str(key_id)
                self._broadcast.clients.trading.append(self._connection)
        elif action == "listen":
            if not self._connection.key_id:
                self._send_authorization("unauthorized", "listen")
                return
            asked = data.get("streams") or []
            self._listen([name for name in STREAMS if name in asked])
        elif action == "unlisten":
            left = data.get("streams") or []
            heard = STREAMS if self._connection.listening else ()
            self._listen([name for name in heard if name not in left])
        else:
            raise ValueError("unknown action")

    def _takes_another(self, key_id: str) -> bool:
        """Whether a key may have this connection; an earlier one may be closed for it."""
        clients = self._broadcast.clients
        earlier = clients.newest_trading(key_id)
        if earlier is None or earlier is self._connection:
            return True
        if self._server.as_seen.second_trade_connection == "first closed":
            clients.remove("trade", earlier, clean=True)
            earlier.close(1008, "connected again")
        return self._server.as_seen.second_trade_connection != "unauthorized"

    def _listen(self, streams: list[str]) -> None:
        self._connection.listening = bool(streams)
        if streams and self._broadcast.exchange.orders("open"):
            self._broadcast.time_wanted.set()
        self._send({"stream": "listening", "data": {"streams": streams}})

    def _send_authorization(self, status: str, action: str) -> None:
        self._send({"stream": "authorization", "data": {"status": status, "action": action}})

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.send_json(orjson.dumps(message), self._broadcast.exchange.now)


def _message(frame: str | bytes) -> Any:
    """Read what a client sent: a map of msgpack, which no JSON begins like, or JSON. Raises ValueError."""
    if isinstance(frame, bytes) and frame[:1] >= b"\x80":
        try:
            return msgpack.unpackb(frame)
        except Exception as error:
            raise ValueError(str(error)) from error
    return orjson.loads(frame)
