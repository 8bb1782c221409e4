"""The line that websockets take to the server: frames are lost, doubled, late or spoilt, connections end or are
refused. Server and client are coroutines, each in its own loop on the timeline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from smabot.domain.records import Bar, Batch, OrderUpdate
from smabot.hooks.simulated_exchange import Application
from smabot.hooks.simulated_machine import StreamKind
from smabot.testing.simulation.http_line import base_scope
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.timeline_loop import TimelineLoop

GARBAGE = b"\xc1\xff\x00\xfe garbage"
REFUSALS = 3
_AS_FRAMES = {"missing": "dropped", "late": "delayed", "repeated": "doubled"}
_AT_THE_EXCHANGE: dict[str, tuple[str, dict[str, object]]] = {
    "revised": ("bar_revised", {"times": 1}),
    "bad print": ("bar_wrong", {"times": 1, "field": "close", "value": 140.0}),
    "no number": ("bar_wrong", {"times": 1, "field": "close", "value": float("nan")}),
}
"""Faults of bars that the exchange itself makes, in its next minute."""


class SocketLine:
    """All connections, and the faults that befall them. It outlives each process."""

    def __init__(self, timeline: Timeline, chance: random.Random) -> None:
        self.update_faults: list[str] = []
        """What befalls the next frames of the stream of order updates."""
        self.bar_faults: list[str] = []
        """What befalls the next frames of the stream of bars."""
        self.struck: Callable[[str], None] = lambda fault: None
        self.taken: Callable[[Batch], None] = lambda batch: None
        """Called with each batch that a process takes."""
        self.application: Application | None = None
        self.set_fault: Callable[[str, Mapping[str, object]], None] = lambda kind, fields: None
        """Lets the exchange have a fault."""
        self.loop = TimelineLoop(timeline)
        """In which the server runs."""
        self.timeline = timeline
        self.chance = chance
        self._down = False
        self._refusals = {"updates": 0, "bars": 0}
        self._open: list[VirtualSocket] = []

    @property
    def down(self) -> bool:
        """Whether the stream of order updates is down."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down:
            self._end("updates")

    def calm(self) -> None:
        """From now on all is well; what is muted stays so."""
        self.update_faults, self.bar_faults, self._down = [], [], False
        self._refusals = {"updates": 0, "bars": 0}

    def close(self) -> None:
        """End the server."""
        self.loop.end()

    def send_updates(self, updates: Sequence[OrderUpdate]) -> None:
        """The server sends them itself."""

    def send_minute(self, bars: Sequence[Bar]) -> None:
        """The server sends them itself."""

    async def connect(
        self,
        kind: StreamKind,
        url: str,
        headers: Mapping[str, str],
        arrived: Callable[[], None],
    ) -> VirtualSocket:
        """Open a connection for the loop that runs. ``arrived``: called with each frame that arrives.

        Raises OSError.
        """
        await asyncio.sleep(self.latency())
        if self._refusals[kind] or (self._down and kind == "updates"):
            self._refusals[kind] = max(self._refusals[kind] - 1, 0)
            raise ConnectionRefusedError("Connection refused")
        socket = VirtualSocket(self, kind, arrived)
        self._open.append(socket)
        self.loop.create_task(self._serve(socket, url, headers))
        await asyncio.sleep(self.latency())
        return socket

    def cut(self, sockets: Sequence[VirtualSocket]) -> None:
        """A process is dead: the server notices it, most times at once."""
        for socket in [each for each in sockets if each in self._open]:
            late = self.chance.random() < 0.1
            socket.hang_up(1006, self.chance.uniform(1, 20) if late else self.latency() / 4)
            socket.end()

    def latency(self) -> float:
        return self.chance.uniform(0.005, 0.04)

    def fault(self, kind: StreamKind) -> str:
        """Return what befalls the next frame of a stream; empty: nothing."""
        faults = self.update_faults if kind == "updates" else self.bar_faults
        if not faults:
            return ""
        fault = faults.pop(0)
        self.struck(f"{'update' if kind == 'updates' else 'bar'} {fault}")
        if fault == "refused":
            self._refusals[kind] = REFUSALS
        if fault in ("closed", "refused"):
            self._end(kind)
            return "dropped"
        if fault in _AT_THE_EXCHANGE:
            self.set_fault(*_AT_THE_EXCHANGE[fault])
        return _AS_FRAMES.get(fault, fault)

    def forget(self, socket: VirtualSocket) -> None:
        if socket in self._open:
            self._open.remove(socket)

    def _end(self, kind: str) -> None:
        for socket in [each for each in self._open if each.kind == kind]:
            socket.end()
            socket.hang_up(1006, self.latency())

    async def _serve(self, socket: VirtualSocket, url: str, headers: Mapping[str, str]) -> None:
        assert self.application is not None
        scope = base_scope("websocket", urlsplit(url).path, "", headers)
        scope["extensions"] = {"smabot.reset": socket.end}
        scope["subprotocols"] = []
        await self.application(scope, socket.receive, socket.take)
        socket.end()


class VirtualSocket:
    """A connection, seen from both sides. Frames of each direction keep their order, unless a fault says else."""

    def __init__(self, line: SocketLine, kind: StreamKind, arrived: Callable[[], None]) -> None:
        self.kind: StreamKind = kind
        self._line = line
        self._arrived = arrived
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_server.put_nowait({"type": "websocket.connect"})
        self._to_client: asyncio.Queue[bytes | str | None] = asyncio.Queue()
        self._muted = False
        self._ended = False
        self._held: list[bytes | str] = []
        self._newest = {"server": line.timeline.now, "client": line.timeline.now}

    # -- the client's side ---------------------------------------------------------------------------

    async def send(self, frame: bytes | str | Iterable[bytes]) -> None:
        if self._ended:
            raise ConnectionResetError("the connection has ended")
        if not isinstance(frame, bytes | str):
            frame = b"".join(frame)
        message: dict[str, Any] = {"type": "websocket.receive"}
        message["bytes" if isinstance(frame, bytes) else "text"] = frame
        self._later("server", lambda: self._to_server.put_nowait(message))

    async def recv(self) -> bytes | str:
        frame = await self._to_client.get()
        if frame is None:
            self._to_client.put_nowait(None)
            raise ConnectionResetError("the connection has ended")
        return frame

    async def close(self) -> None:
        if not self._ended:
            self.hang_up(1000, self._line.latency())
            self.end()

    def hang_up(self, code: int, seconds: float) -> None:
        """Let the server know, in a while, that the client is gone."""
        message = {"type": "websocket.disconnect", "code": code}
        self._line.timeline.at(
            self._line.timeline.now + timedelta(seconds=seconds),
            lambda: self._to_server.put_nowait(message),
        )

    # -- the server's side ---------------------------------------------------------------------------

    async def receive(self) -> dict[str, Any]:
        return await self._to_server.get()

    async def take(self, message: dict[str, Any]) -> None:
        """Take what the server sends."""
        if message["type"] == "websocket.send":
            frame = message.get("bytes")
            self._carry(message["text"] if frame is None else frame)
        elif message["type"] == "websocket.close":
            self._later("client", self.end)

    def end(self) -> None:
        """End the connection for the client."""
        if not self._ended:
            self._ended = True
            self._line.forget(self)
            self._to_client.put_nowait(None)

    def _carry(self, frame: bytes | str) -> None:
        if self._muted:
            return
        fault = self._line.fault(self.kind)
        if fault == "muted":
            self._muted = True
        if fault in ("dropped", "muted"):
            return
        if fault == "swapped":
            self._held.append(frame)
            return
        if fault == "garbage":
            frame = GARBAGE
        if fault == "delayed":
            seconds = self._line.chance.uniform(20, 100)
            self._line.timeline.at(
                self._line.timeline.now + timedelta(seconds=seconds), lambda: self._arrive(frame)
            )
            return
        held, self._held = self._held, []
        for each in (frame, *held, *([frame] if fault == "doubled" else [])):
            self._later("client", lambda each=each: self._arrive(each))  # type: ignore[misc]

    def _arrive(self, frame: bytes | str) -> None:
        if not self._ended:
            self._arrived()
            self._to_client.put_nowait(frame)

    def _later(self, side: str, deliver: Callable[[], None]) -> None:
        """Deliver after all that was sent before."""
        time: datetime = self._line.timeline.now + timedelta(seconds=self._line.latency())
        self._newest[side] = max(self._newest[side], time)
        self._line.timeline.at(self._newest[side], deliver)
