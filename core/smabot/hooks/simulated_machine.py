"""What a simulation gives a broker's plugin in place of the machine: virtual time, tasks instead of threads,
and a line to a server in the same process. Bytes that cross the line are those that a network would carry."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from smabot.hooks.ports import Broker, Feed

if TYPE_CHECKING:
    import asyncio

RequestKind = Literal["submit", "cancel", "query"]
StreamKind = Literal["updates", "bars"]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request. ``kind`` and ``call`` say what it is for: its faults, and its boundaries, are named by them;
    ``order`` is the
    client order id of one that is submitted, the broker's id of one that is canceled."""

    kind: RequestKind
    call: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    order: str = ""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class SimulatedSocket(Protocol):
    """A client's websocket."""

    async def send(self, frame: bytes | str | Iterable[bytes]) -> None:
        """Send a frame, which may come in fragments. Raises OSError when the connection has ended."""
        ...

    async def recv(self) -> bytes | str:
        """Return the next frame. Raises OSError when the connection has ended."""
        ...

    async def close(self) -> None: ...


class SimulatedMachine(Protocol):
    """The machine of one simulated process. When the process is killed, nothing of it goes on."""

    key: tuple[str, str]
    """Id and secret of the key that the server accepts."""

    def now(self) -> datetime:
        """Return the virtual time, UTC."""
        ...

    def random(self) -> float:
        """Return a number from 0 to 1, the same one in each run."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass; other tasks go on meanwhile."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass until something else has happened: so many seconds, and more the longer nothing does."""
        ...

    def begin(self, task: Callable[[], None]) -> None:
        """Begin a task beside the one that calls this; it may sleep."""
        ...

    def run(self, main: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in the event loop of the process."""
        ...

    def request(self, request: HttpRequest, timeout: float) -> HttpAnswer:
        """Send a request; its answer takes time, ``timeout`` seconds at most.

        Raises TimeoutError, ConnectionRefusedError when there was no connection, ConnectionResetError when it
        broke before the answer.
        """
        ...

    async def connect(
        self, kind: StreamKind, url: str, headers: Mapping[str, str]
    ) -> SimulatedSocket:
        """Open a websocket. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class SimulatedClient:
    """Broker and feed of one process, which reach their server by its `SimulatedMachine` alone."""

    broker: Broker
    feed: Feed
