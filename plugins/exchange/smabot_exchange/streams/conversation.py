"""The course of a conversation with a websocket's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from smabot_exchange.faults.fault_bases import Stream
from smabot_exchange.streams.broadcast import Broadcast
from smabot_exchange.streams.client_connection import ClientConnection

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
    hub: Broadcast,
    stream: Stream,
    connection: ClientConnection,
    answer_all: Callable[[], Awaitable[None]],
) -> None:
    """Accept a connection, send what is put on it, and answer until its end, which the hub is told."""
    clean = True
    await connection.socket.accept()
    pump = asyncio.create_task(connection.pump())
    try:
        await answer_all()
    except WebSocketDisconnect as end:
        clean = end.code not in UNCLEAN
    finally:
        hub.left(stream, connection, clean=clean)
        pump.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await pump
