"""A venue on a port: uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from dataclasses import dataclass

import uvicorn

from smabot.provider import ConfigError
from smabot_exchange.http.app import create_app
from smabot_exchange.http.venue import Venue

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 1
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ReplayPace:
    """A clock that the server moves: so many minutes a second, None as fast as clients follow.

    It begins with the first subscription to market data, or ``at_once``.
    """

    per_second: float | None
    at_once: bool = False


def listen(host: str = LOOPBACK, port: int = 0) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises ConfigError."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # named, so that asyncio sets TCP_NODELAY: else an answer of two writes takes 40 ms
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ConfigError(f"host {host}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} on {host} is taken: give another --port") from error
        raise ConfigError(f"can't listen on {host} port {port}: {error.strerror}") from error
    return listener


class ServerThread:
    """Serves a venue until it is stopped. Clients may connect at once: the socket listens already.

    The thread owns the event loop and all that streams and routes keep. With the thread that started it it
    shares ``failure``, which is read after the thread has begun or ended, and the loop, which is only sent calls.
    """

    def __init__(
        self, venue: Venue, listener: socket.socket, pace: ReplayPace | None = None
    ) -> None:
        self.venue = venue
        host, port, *_ = listener.getsockname()
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.failure: BaseException | None = None
        """Why it ended by itself."""
        self._listener = listener
        self._pace = pace
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(venue),
                http=venue.tcp_connections.protocol(),
                ws="websockets-sansio",
                ws_max_size=16 * 1024 * 1024,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="exchange-server", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        """Raises what keeps it from beginning."""
        self._thread.start()
        self._begun.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End all connections and the thread; the exchange stays open."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(STOP_SECONDS)

    def _end(self) -> None:
        self.venue.close()
        self._server.should_exit = True

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            self.failure = error
        finally:
            self._begun.set()
            self._listener.close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.venue.broadcast.attach(self._loop)
        self._begun.set()
        async with asyncio.TaskGroup() as tasks:
            conducting = tasks.create_task(self._conduct())
            await self._server.serve(sockets=[self._listener])
            conducting.cancel()

    async def _conduct(self) -> None:
        driver = self.venue.clock_driver
        if self._pace is None and driver.clock != "wall":
            return
        try:
            if self._pace is None:
                await driver.follow_wall()
                return
            await driver.run(self._pace.per_second, at_once=self._pace.at_once)
        except Exception as error:  # noqa: BLE001 - raised by who waits for it
            self.failure = error
            self._end()
