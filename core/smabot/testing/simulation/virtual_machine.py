"""The machine of one simulated process whose broker is far away: `SimulatedMachine` on the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from smabot.hooks.simulated_machine import HttpAnswer, HttpRequest, StreamKind
from smabot.testing.simulation.deliveries import LONGEST_POLL
from smabot.testing.simulation.http_line import HttpLine
from smabot.testing.simulation.socket_line import SocketLine, VirtualSocket
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.timeline_loop import TimelineLoop

KEY = ("PKSIMULATED", "simulated")
SHORTEST_IDLE = timedelta(milliseconds=250)


class VirtualMachine:
    """Of one process; when it is dead, nothing of it goes on."""

    key = KEY

    def __init__(self, timeline: Timeline, http: HttpLine, sockets: SocketLine) -> None:
        self.dead = False
        self._timeline = timeline
        self._http = http
        self._sockets = sockets
        self._loop = TimelineLoop(timeline)
        self._opened: list[VirtualSocket] = []
        self._idle = SHORTEST_IDLE

    def end(self) -> None:
        """End it, dead or not."""
        if not self.dead:
            self.dead = True
            self._sockets.cut(self._opened)
            self._loop.end()

    def now(self) -> datetime:
        return self._timeline.now

    def random(self) -> float:
        return self._sockets.chance.random()

    def sleep(self, seconds: float) -> None:
        self._timeline.sleep(seconds)

    def wait(self, seconds: float) -> None:
        idle = max(timedelta(seconds=seconds), self._idle)
        if not self._timeline.run_next(self._timeline.now + idle):
            self._idle = min(2 * idle, LONGEST_POLL)

    def begin(self, task: Callable[[], None]) -> None:
        def begin() -> None:
            if not self.dead:
                self._timeline.begin(task)

        self._timeline.at(self._timeline.now, begin)

    def run(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._loop.create_task(main)

    def request(self, request: HttpRequest, timeout: float) -> HttpAnswer:
        return self._http.request(request, timeout)

    async def connect(
        self, kind: StreamKind, url: str, headers: Mapping[str, str]
    ) -> VirtualSocket:
        self._be_awake()
        socket = await self._sockets.connect(kind, url, headers, self._be_awake)
        self._opened.append(socket)
        return socket

    def _be_awake(self) -> None:
        """Look often at what is due: a frame has come, and more may follow."""
        self._idle = SHORTEST_IDLE
