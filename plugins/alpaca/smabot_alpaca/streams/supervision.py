"""Supervision of websockets: reconnected when they are lost, refused, stale or malformed.

alpaca-py's own is not used: it retries bad keys for ever, reconnects without a pause after an error, and
ends where a handler fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from loguru import logger
from websockets.exceptions import ConnectionClosed

from smabot.provider import BrokerError, ConfigError, KeyRefused, SmabotError
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.bar_json import MalformedData
from smabot_alpaca.endpoints import StreamAddress
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.streams.event_queue import (
    EventQueue,
    StreamDown,
    StreamFailed,
    StreamOpened,
    StreamUp,
)
from smabot_alpaca.streams.stream_health import (
    LOOPBACK_PING_SECONDS,
    LOOPBACK_PONG_SECONDS,
    PING_SECONDS,
    PONG_SECONDS,
)

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
JOIN_SECONDS = 2.0
LARGEST_FRAME = 16 * 2**20
_library_log = logging.getLogger("smabot_alpaca.websockets")
_library_log.setLevel(logging.INFO)  # below it frames are logged, and one of them holds the key
_KEY_REFUSED = ("auth failed", "not authenticated", "failed to authenticate")
PLAN_REFUSED = ("insufficient subscription", "v2 not enabled")


class StreamState(Enum):
    """The states of a supervised stream; `SupervisedStream` numbers them."""

    CONNECTING = auto()
    UP = auto()
    PAUSING = auto()
    FAILED = auto()


class StreamRefused(Exception):
    """The stream refuses for another reason than the key; it may accept later."""


class ReconnectRequested(Exception):
    """The deciding thread found the stream stale."""


def socket_options(*, loopback: bool) -> dict[str, Any]:
    """Return the options of alpaca-py's websockets."""
    return {
        "ping_interval": LOOPBACK_PING_SECONDS if loopback else PING_SECONDS,
        "ping_timeout": LOOPBACK_PONG_SECONDS if loopback else PONG_SECONDS,
        "max_queue": 1024,
        "max_size": LARGEST_FRAME,
        "close_timeout": CLOSE_SECONDS,
        "logger": _library_log,
        "open_timeout": CONNECT_SECONDS,
        **({"compression": None} if loopback else {}),
    }


class SupervisedStream(ABC):
    """One websocket that is kept connected. Everything here runs in the streams' thread.

    States:

    1. CONNECTING: the connection is made, authenticated and subscribed, within `CONNECT_SECONDS`.
       Confirmed: 2. Anything else: 3, or 4 where trying again is in vain.
    2. UP: frames are read. A lost connection, malformed data, a refusal or a requested reconnect: 3 or 4.
    3. PAUSING: the pause before the next attempt. Over: 1.
    4. FAILED: refused for good. It stays.

    Invariants:

    - Entering 1 puts `StreamOpened` once there is a connection, 2 `StreamUp`, 3 `StreamDown`, 4
      `StreamFailed`; nothing follows a `StreamFailed`.
    - There is one connection at most: it is closed before 3 and 4 are entered.
    - A reconnect can be requested in 2 alone: elsewhere it is under way.
    - Pauses grow until a frame was read in 2.
    - A key or symbols that were accepted once are never refused for good (`_ever_up`); a plan may be.
    """

    name: str

    def __init__(self, events: EventQueue, address: StreamAddress, machine: Machine = REAL) -> None:
        self._events = events
        self._address = address
        self._machine = machine
        first, ceiling = (0.05, 1.0) if address.loopback else (1.0, 30.0)
        self._backoff = Backoff(first, ceiling, machine.draw)
        self._state = StreamState.CONNECTING
        self._client: Any = None
        self._attempt: asyncio.Task[None] | None = None
        self._ever_up = False
        self._reconnect_reason = ""
        self._outage_logged = False
        self._malformed = 0

    async def supervise(self) -> None:
        """Keep the stream connected until cancelled, or refused for good."""
        while True:
            self._state, self._reconnect_reason = StreamState.CONNECTING, ""
            self._attempt = asyncio.create_task(self._connect_and_read())
            try:
                await asyncio.wait([self._attempt])
            finally:
                self._attempt.cancel()
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await self._attempt
                await self._hang_up()
            error = self._why_it_ended()
            if (final := self._final_error(error)) is not None:
                self.fail(final)
                return
            self._state = StreamState.PAUSING
            self._malformed += isinstance(error, MalformedData)
            why = _description(error)
            self._events.put(StreamDown(self.name, why, isinstance(error, KeyRefused)))
            if not self._outage_logged:
                self._outage_logged = True
                logger.warning("alpaca: the stream of {} is down: {}; trying again", self.name, why)
            await asyncio.sleep(self._backoff.pause())

    def fail(self, error: SmabotError) -> None:
        """Let the deciding thread raise an error."""
        self._state = StreamState.FAILED
        self._events.put(StreamFailed(self.name, error))

    def log_malformed_count(self) -> None:
        """Log how often data were malformed: each time it is logged only where it begins an outage."""
        if self._malformed:
            logger.info(
                "alpaca: the stream of {}: malformed data {} times", self.name, self._malformed
            )

    def reconnect(self, why: str) -> None:
        """Hang up and connect again, where it is up. Call it in the streams' loop."""
        if self._state is StreamState.UP and self._attempt is not None:
            self._reconnect_reason = why
            self._attempt.cancel()

    @abstractmethod
    def _make_client(self) -> Any:
        """Return alpaca-py's client of the stream, subscribed to nothing on the wire yet."""

    @abstractmethod
    async def _subscribe(self, client: Any) -> None:
        """Send one message that subscribes to everything."""

    @abstractmethod
    def _read_frame(self, data: bytes | str) -> bool:
        """Take a frame in; return whether it confirms the subscription.

        Raises MalformedData, StreamRefused.
        """

    async def _connect_and_read(self) -> None:
        self._client = client = self._make_client()
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._machine.connect(client)
            self._events.put(StreamOpened(self.name))
            await self._authenticate(client)
            await self._subscribe(client)
            while not self._read_frame(await client._ws.recv()):
                pass
        self._state, self._ever_up = StreamState.UP, True
        self._events.put(StreamUp(self.name))
        if self._outage_logged:
            logger.info("alpaca: the stream of {} is back", self.name)
            self._outage_logged = False
        while True:
            self._read_frame(await client._ws.recv())
            self._backoff.reset()

    async def _authenticate(self, client: Any) -> None:
        try:
            await client._auth()
        except (ValueError, AttributeError) as error:  # alpaca-py's, with the server's words alone
            words = str(error)
            if words in _KEY_REFUSED:
                raise KeyRefused(words) from error
            raise StreamRefused(words) from error

    async def _hang_up(self) -> None:
        client, self._client = self._client, None
        websocket = client._ws if client is not None else None
        if websocket is None:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await websocket.close()
        with contextlib.suppress(Exception):
            websocket.transport.abort()

    def _why_it_ended(self) -> BaseException:
        """Return why the last attempt ended."""
        assert self._attempt is not None
        if self._attempt.cancelled():
            return ReconnectRequested(self._reconnect_reason)
        return self._attempt.exception() or ReconnectRequested("it ended")

    def _final_error(self, error: BaseException) -> SmabotError | None:
        """Return the error that ends the bot, where trying again is in vain.

        How long a key may be refused that was good before is core's to say.
        """
        if isinstance(error, KeyRefused) and not self._ever_up:
            return BrokerError(f"the stream of {self.name} refuses the key: {error}")
        if isinstance(error, StreamRefused) and str(error) in PLAN_REFUSED:
            return BrokerError(f"the stream of {self.name} refuses this feed: {error}")
        if isinstance(error, ConfigError) and not self._ever_up:
            return error
        return None


class StreamSupervisor:
    """Runs the streams in a thread of their own.

    The deciding thread starts, reconnects and closes; what it asks for runs in the streams' loop. Three
    fields are shared: the streams' thread writes ``_loop`` once, before any stream runs, and the
    deciding thread reads it; the deciding thread sets ``_closing``, and the streams' thread
    reads it as it starts; each stream counts malformed data, and the deciding thread reads the counts
    once that thread has ended.
    """

    def __init__(self, streams: Sequence[SupervisedStream], machine: Machine = REAL) -> None:
        self._streams = {stream.name: stream for stream in streams}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = machine.loop("alpaca-streams", self._supervise_all)
        self._closing = False

    def start(self) -> None:
        self._thread.start()

    def reconnect(self, name: str, why: str) -> None:
        """Hang up and connect a stream again, because of ``why``."""
        self._run_in_loop(lambda: self._streams[name].reconnect(why))

    def close(self) -> None:
        """Hang up and end the thread, within some two seconds."""
        self._closing = True
        self._run_in_loop(lambda: [task.cancel() for task in self._tasks])
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        for stream in self._streams.values():
            stream.log_malformed_count()

    def _run_in_loop(self, function: Callable[[], Any]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(function)

    async def _supervise_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(_supervise_one(s)) for s in self._streams.values()]
        if self._closing:
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _supervise_one(stream: SupervisedStream) -> None:
    try:
        await stream.supervise()
    except Exception as error:  # noqa: BLE001 - else it would end in silence
        stream.fail(BrokerError(f"the stream of {stream.name} has failed: {error!r}"))


def _description(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionClosed) and error.rcvd is None and error.sent is None:
        return "the connection broke"
    text = str(error) or type(error).__name__
    return f"malformed data: {text}" if isinstance(error, MalformedData) else text
