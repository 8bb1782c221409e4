"""Hearing what a websocket's client says."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.websockets import WebSocket, WebSocketDisconnect

UNCLEAN = (1005, 1006)
"""Codes of a connection that ended without the client's close frame, or with an empty one."""


async def hear(socket: WebSocket) -> AsyncIterator[str | bytes]:
    """Yield the client's messages. Raises WebSocketDisconnect at the end, with its code."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        text = message.get("text")
        yield message["bytes"] if text is None else text
