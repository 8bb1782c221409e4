"""Supervision of websockets: connected anew when they are lost, refused, mute or talk garbage.

alpaca-py's own is not used: it retries bad keys for ever, connects without a pause after an error, and
dies with a handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from loguru import logger

from smabot.provider import BrokerError, ConfigError, KeyRefused, SmabotError
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.bar_json import MalformedData
from smabot_alpaca.streams.event_queue import EventQueue, StreamDown, StreamFailed, StreamUp

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
JOIN_SECONDS = 2.0
LARGEST_FRAME = 16 * 2**20
_quiet = logging.getLogger("smabot_alpaca.websockets")
_quiet.setLevel(logging.INFO)  # below it frames are logged, and one of them holds the key
_KEY_REFUSED = ("auth failed", "not authenticated", "failed to authenticate")
PLAN_REFUSED = ("insufficient subscription", "v2 not enabled")


class StreamRefused(Exception):
    """The stream refuses for another reason; it may take us later."""


class ReconnectRequested(Exception):
    """The deciding thread does not trust the connection any more."""


class SupervisedStream(ABC):
    """One supervised websocket. Runs in the streams' loop."""

    name: str

    def __init__(self, inbox: EventQueue, url: str, key: tuple[str, str], loopback: bool) -> None:
        self._inbox = inbox
        self._url = url
        self._key = key
        self._backoff = Backoff(0.05, 1.0) if loopback else Backoff(1.0)
        self._options = {
            "ping_interval": 5 if loopback else 10,
            "ping_timeout": 10 if loopback else 20,
            "max_queue": 1024,
            "max_size": LARGEST_FRAME,
            "close_timeout": CLOSE_SECONDS,
            "logger": _quiet,
            "open_timeout": CONNECT_SECONDS,
            **({"compression": None} if loopback else {}),
        }
        self._client: Any = None
        self._connected = False
        self._connected_before = False
        self._attempt: asyncio.Task[None] | None = None
        self._doubted = ""
        self._told = False
        self._garbage = 0

    async def supervise(self) -> None:
        """Keep the stream connected until cancelled, or for ever refused."""
        while True:
            self._connected, self._doubted = False, ""
            self._attempt = asyncio.create_task(self._connect_and_read())
            try:
                await asyncio.wait([self._attempt])
            finally:
                self._attempt.cancel()
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await self._attempt
                await self._hang_up()
            error = self._why()
            if (final := self._final(error)) is not None:
                self.fail(final)
                return
            self._garbage += isinstance(error, MalformedData)
            why = _words(error)
            self._inbox.put(StreamDown(self.name, why, isinstance(error, KeyRefused)))
            if not self._told:
                self._told = True
                logger.warning("alpaca: the stream of {} is down: {}; trying again", self.name, why)
            await asyncio.sleep(self._backoff.pause())

    def fail(self, error: SmabotError) -> None:
        """Let the deciding thread raise an error."""
        self._inbox.put(StreamFailed(self.name, error))

    def sum_up(self) -> None:
        """Tell how often the stream talked garbage: each time it was told only where it was news."""
        if self._garbage:
            logger.info("alpaca: the stream of {}: garbage {} times", self.name, self._garbage)

    def replace(self, why: str) -> None:
        """Hang up and connect anew, where it is connected. Call it in the streams' loop."""
        if self._connected and self._attempt is not None:
            self._doubted = why
            self._attempt.cancel()

    @abstractmethod
    def _make(self) -> Any:
        """Return alpaca-py's client of the stream, subscribed to nothing on the wire yet."""

    @abstractmethod
    async def _subscribe(self, client: Any) -> None:
        """Send one message that subscribes to everything."""

    @abstractmethod
    def _read(self, data: bytes | str) -> bool:
        """Take a frame in; tell whether it confirms the subscription. Raises Garbage, Refused."""

    async def _connect_and_read(self) -> None:
        self._client = client = self._make()
        async with asyncio.timeout(CONNECT_SECONDS):
            await client._connect()
            self._inbox.connecting(self.name)
            await self._authenticate(client)
            await self._subscribe(client)
            while not self._read(await client._ws.recv()):
                pass
        self._connected = self._connected_before = True
        self._inbox.put(StreamUp(self.name))
        if self._told:
            logger.info("alpaca: the stream of {} is back", self.name)
            self._told = False
        while True:
            self._read(await client._ws.recv())
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

    def _why(self) -> BaseException:
        """Return why the last attempt ended."""
        assert self._attempt is not None
        if self._attempt.cancelled():
            return ReconnectRequested(self._doubted)
        return self._attempt.exception() or ReconnectRequested("it ended")

    def _final(self, error: BaseException) -> SmabotError | None:
        """Return the error that ends the bot, where trying again is in vain.

        How long a key may be refused that was good before is core's to say.
        """
        if isinstance(error, KeyRefused) and not self._connected_before:
            return BrokerError(f"the stream of {self.name} refuses the key: {error}")
        if isinstance(error, StreamRefused) and str(error) in PLAN_REFUSED:
            return BrokerError(f"the stream of {self.name} refuses this feed: {error}")
        if isinstance(error, ConfigError) and not self._connected_before:
            return error
        return None


class StreamSupervisor:
    """Runs the streams in a thread of their own."""

    def __init__(self, streams: Sequence[SupervisedStream]) -> None:
        self._streams = {stream.name: stream for stream in streams}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._run, name="alpaca-streams", daemon=True)
        self._closing = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def replace(self, name: str, why: str) -> None:
        """Connect a stream anew, because of ``why``."""
        self._call(lambda: self._streams[name].replace(why))

    def close(self) -> None:
        """Hang up and end the thread, within some two seconds."""
        self._closing.set()
        self._call(lambda: [task.cancel() for task in self._tasks])
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        for stream in self._streams.values():
            stream.sum_up()

    def _call(self, function: Callable[[], Any]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        asyncio.run(self._supervise())

    async def _supervise(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(_supervised(s)) for s in self._streams.values()]
        if self._closing.is_set():
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _supervised(stream: SupervisedStream) -> None:
    try:
        await stream.supervise()
    except Exception as error:  # noqa: BLE001 - else it would end in silence
        stream.fail(BrokerError(f"the stream of {stream.name} has failed: {error!r}"))


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error) or type(error).__name__
    return f"garbage: {text}" if isinstance(error, MalformedData) else text
