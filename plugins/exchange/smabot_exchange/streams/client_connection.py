"""One client's websocket: what is to be sent waits in a queue that has an end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.websockets import WebSocket

MOST_QUEUED = 32 * 1024 * 1024
"""Bytes that may wait for a slow client."""

_FOR_GOOD = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class ClientConnection:
    """The sending side. ``sent`` counts the records that a stream's client waits for."""

    def __init__(self, socket: WebSocket, most_queued_bytes: int = MOST_QUEUED) -> None:
        self.socket = socket
        self.key_id = ""
        self.sent = 0
        self.slow = False
        self._most_queued_bytes = most_queued_bytes
        self._queued_bytes = 0
        self._queue: asyncio.Queue[bytes | str | _Close] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._muted_until: datetime | None = None

    def mute(self, until: datetime | None) -> None:
        """Send nothing more up to a time of the exchange; None: as long as it is connected."""
        self._muted_until = until or _FOR_GOOD

    def send_frame(self, frame: bytes | str, now: datetime, records: int = 0) -> bool:
        """Queue a frame with so many records in it; return whether there was room.

        A muted connection drops it. Where there is no room the client is marked as slow.
        """
        if self._muted_until is not None:
            if now < self._muted_until:
                return True
            self._muted_until = None
        if self._queued_bytes + len(frame) > self._most_queued_bytes:
            self.slow = True
            return False
        self._queued_bytes += len(frame)
        self.sent += records
        self._enqueue(frame)
        return True

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what waits has been sent."""
        self._enqueue(_Close(code, reason))

    def drop_queue(self) -> None:
        """Drop the frames that are queued."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queued_bytes = 0

    async def send_queued(self) -> None:
        """Send what comes, until the connection ends."""
        try:
            while not isinstance(item := await self._queue.get(), _Close):
                self._queued_bytes -= len(item)
                await self._send(item)
                if self._queue.empty():
                    self._idle.set()
            await self.socket.close(item.code, item.reason)
        finally:
            self._idle.set()

    async def wait_until_sent(self) -> None:
        """Wait until nothing waits to be sent, or the connection has ended."""
        await self._idle.wait()

    def _enqueue(self, item: bytes | str | _Close) -> None:
        self._idle.clear()
        self._queue.put_nowait(item)

    async def _send(self, frame: bytes | str) -> None:
        key = "bytes" if isinstance(frame, bytes) else "text"
        message: dict[str, Any] = {"type": "websocket.send", key: frame}
        await self.socket.send(message)
