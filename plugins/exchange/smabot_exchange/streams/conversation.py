"""The conversation with one client of a stream, the same on both streams.

States of a connection:

1. CONNECTED: accepted, without a key. It ends when its key does not come within ``auth_seconds``.
2. AUTHENTICATED: ``key_id`` is set, and it is among the `ConnectedClients`.
3. LISTENING: it gets what it has subscribed to. Without subscriptions it is in 2 again.
4. CLOSING: a close frame is queued, by an error, by a fault or as it is too slow.
5. ENDED: removed from the clients, its sending task is canceled.

1 → 2 ⇄ 3; any state → 4 → 5; a disconnect by the client or a reset leads from any state to 5.

Invariants:

1. A connection is among the clients in states 2 and 3 alone, and a key has one data connection at most.
2. Frames leave in the order in which they were queued: one task per connection sends them.
3. Nothing that is queued after the close frame is sent.
4. All of it runs in the server's event loop; no other thread touches a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from smabot_exchange.faults.fault_bases import Stream
from smabot_exchange.streams.client_connection import ClientConnection
from smabot_exchange.streams.connected_clients import ConnectedClients

UNCLEAN = (1005, 1006)
"""Codes of a connection that ended without the client's close frame, or with an empty one."""


async def client_messages(socket: WebSocket) -> AsyncIterator[str | bytes]:
    """Yield the client's messages. Raises WebSocketDisconnect at the end, with its code."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        text = message.get("text")
        yield message["bytes"] if text is None else text


async def converse(
    clients: ConnectedClients,
    stream: Stream,
    connection: ClientConnection,
    answer_all: Callable[[], Awaitable[None]],
) -> None:
    """Accept a connection, send what is queued on it, answer until its end, then remove it."""
    clean = True
    await connection.socket.accept()
    sending = asyncio.create_task(connection.send_queued())
    try:
        await answer_all()
    except WebSocketDisconnect as end:
        clean = end.code not in UNCLEAN
    finally:
        clients.remove(stream, connection, clean=clean)
        sending.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await sending
