"""Broker and feed in a simulated process: the same code as ever, on a virtual machine.

Requests leave by an adapter of requests, and alpaca-py's streams read frames of a virtual websocket: what is
above them is what trades.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from io import BytesIO
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, ReadTimeout, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from smabot.provider import Config, HttpRequest, RequestKind, SimulatedClient, SimulatedMachine
from smabot_alpaca import endpoints
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.feed.alpaca_feed import AlpacaFeed
from smabot_alpaca.machine import A, Changed, LoopRunner, Machine, Main, R, Worker
from smabot_alpaca.settings import AlpacaSettings

ORDERS = "/v2/orders"
_CALLS = {
    ORDERS: "orders",
    "/v2/orders:by_client_order_id": "order",
    "/v2/positions": "positions",
    "/v2/account": "account",
    "/v2/account/activities": "activities",
    "/v2/calendar": "calendar",
    "/v1/corporate-actions": "corporate_actions",
    "/v2/stocks/bars": "bars",
    "/v2/stocks/trades/latest": "prices",
}


def simulated_client(
    config: Config, settings: AlpacaSettings, virtual: SimulatedMachine
) -> SimulatedClient:
    """Return broker and feed at Alpaca's paper API, which the virtual machine answers."""
    key_id, secret = virtual.key
    key = Credentials(SecretStr(key_id), SecretStr(secret), "the simulation")
    there = endpoints.alpaca(settings.feed, live=False)
    connection = AlpacaConnection(there, key, settings, machine=VirtualMachine(virtual))
    return SimulatedClient(AlpacaBroker(connection), AlpacaFeed(connection, config.speed))


class VirtualMachine(Machine):
    """A simulation's machine, as the plugin uses one."""

    on_network = False

    def __init__(self, virtual: SimulatedMachine) -> None:
        self._virtual = virtual

    def seconds(self) -> float:
        return self._virtual.now().timestamp()

    def wall(self) -> datetime:
        return self._virtual.now()

    def sleep(self, seconds: float) -> None:
        self._virtual.sleep(seconds)

    def draw(self) -> float:
        return self._virtual.random()

    def condition(self) -> Changed:
        return _Condition(self._virtual)

    def each(self, function: Callable[[A], R], items: Iterable[A]) -> list[R]:
        return [function(item) for item in items]

    def worker(self, name: str) -> Worker:
        return _Worker(self._virtual)

    def loop(self, name: str, main: Main) -> LoopRunner:
        return _Loop(self._virtual, main)

    async def connect(self, client: Any) -> None:
        """Open a websocket as alpaca-py does: that of bars greets."""
        bars = not client._endpoint.endswith("/stream")
        headers = {"content-type": "application/msgpack"} if bars else {}
        kind: Any = "bars" if bars else "updates"
        client._ws = await self._virtual.connect(kind, client._endpoint, headers)
        if bars:
            await client._ws.recv()

    def http_adapter(self, connect_timeout: float, request_timeout: float) -> Any:
        return _Adapter(self._virtual, request_timeout)


class _Adapter(HTTPAdapter):
    """Sends requests by the virtual machine. Its errors are those of requests over sockets."""

    def __init__(self, virtual: SimulatedMachine, timeout: float) -> None:
        super().__init__()
        self._virtual = virtual
        self._timeout = timeout

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        try:
            answer = self._virtual.request(_as_sent(request), self._timeout)
        except TimeoutError:
            raise ReadTimeout("no answer in time") from None
        except ConnectionRefusedError as error:
            reason: Any = NewConnectionError(None, f"failed: {error}")  # type: ignore[arg-type]
            raise RequestsConnectionError(MaxRetryError(None, "", reason)) from None  # type: ignore[arg-type]
        except ConnectionResetError as error:
            raise RequestsConnectionError(ProtocolError("Connection aborted.", error)) from None
        raw = HTTPResponse(
            BytesIO(answer.body), dict(answer.headers), answer.status, preload_content=False
        )
        return self.build_response(request, raw)


def _as_sent(request: PreparedRequest) -> HttpRequest:
    method, url = str(request.method), str(request.url)
    path = urlsplit(url).path
    body: Any = request.body or b""
    content: bytes = body.encode() if isinstance(body, str) else body
    headers = {name: str(value) for name, value in request.headers.items()}
    kind: RequestKind = "query"
    call, order = _CALLS.get(path, "assets"), ""
    if method == "POST" and path == ORDERS:
        kind, call, order = "submit", "submit", json.loads(content)["client_order_id"]
    elif method == "DELETE":
        kind, call, order = "cancel", "cancel", path.rpartition("/")[2]
    return HttpRequest(kind, call, method, url, headers, content, order)


class _Condition:
    """Nothing runs beside but what the timeline runs, so that no lock is needed."""

    def __init__(self, virtual: SimulatedMachine) -> None:
        self._virtual = virtual

    def __enter__(self) -> bool:
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def wait(self, timeout: float) -> bool:
        self._virtual.sleep(timeout)
        return True

    def wait_for(self, holds: Callable[[], bool], timeout: float) -> bool:
        if not holds():
            self._virtual.wait(timeout)
        return holds()

    def notify_all(self) -> None:
        return


class _Worker:
    def __init__(self, virtual: SimulatedMachine) -> None:
        self._virtual = virtual
        self._tasks: deque[Callable[[], None]] = deque()
        self._works = False

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.append(task)
        if not self._works:
            self._works = True
            self._virtual.begin(self._work)

    def close(self) -> None:
        self._tasks.clear()

    def _work(self) -> None:
        while self._tasks:
            self._tasks.popleft()()
        self._works = False


class _Loop:
    def __init__(self, virtual: SimulatedMachine, main: Main) -> None:
        self._virtual = virtual
        self._main = main
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._virtual.run(self._main())

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done()

    def join(self, timeout: float) -> None:
        self._virtual.sleep(timeout)
