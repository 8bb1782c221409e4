"""What the plugin needs of the machine it runs on: clocks, threads, HTTP and websockets. A simulation has its own."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
R = TypeVar("R")
Main = Callable[[], Coroutine[Any, Any, None]]
THREADS = 4
"""So many requests are made side by side at most, where one after the other would take long."""


class Changed(Protocol):
    """A condition variable, as `threading.Condition`."""

    def __enter__(self) -> bool: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def wait(self, timeout: float) -> bool: ...

    def wait_for(self, holds: Callable[[], bool], timeout: float) -> bool: ...

    def notify_all(self) -> None: ...


class Worker(Protocol):
    """Does one thing after the other, beside the thread that asks for them."""

    def put(self, task: Callable[[], None]) -> None: ...

    def close(self) -> None:
        """Do nothing that is put in from now on."""
        ...


class LoopRunner(Protocol):
    """An event loop beside the thread that starts it, as a `threading.Thread` that has not begun."""

    def start(self) -> None: ...

    def is_alive(self) -> bool: ...

    def join(self, timeout: float) -> None: ...


class Machine:
    """This machine. It has no state: one does for all."""

    on_network = True
    """Whether what is sent leaves it, by the environment's proxy where there is one."""

    def seconds(self) -> float:
        """Return the seconds of a clock that never goes back."""
        return time.monotonic()

    def wall(self) -> datetime:
        """Return the time of the wall clock, UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def draw(self) -> float:
        """Return a random number from 0 to 1."""
        return random.random()  # noqa: S311 - for pauses

    def condition(self) -> Changed:
        """Return what threads wait for each other by."""
        return threading.Condition()

    def each(self, function: Callable[[A], R], items: Iterable[A]) -> list[R]:
        """Call a function with each item, some side by side; return the results in their order.

        Raises what the function raises.
        """
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(function, items))

    def worker(self, name: str) -> Worker:
        """Return what works in a thread of a name, which begins with the first task."""
        return _ThreadWorker(name)

    def loop(self, name: str, main: Main) -> LoopRunner:
        """Return what runs a coroutine in the loop of a thread of a name."""
        return threading.Thread(target=lambda: asyncio.run(main()), name=name, daemon=True)

    async def connect(self, client: Any) -> None:
        """Open the websocket of a client of alpaca-py. Raises what it raises."""
        await client._connect()

    def http_adapter(self, connect_timeout: float, request_timeout: float) -> Any:
        """Return the adapter by which requests sends; timeouts in seconds."""
        from smabot_alpaca.http_adapter import TimeoutAdapter

        return TimeoutAdapter(connect_timeout, request_timeout)


REAL = Machine()


class _ThreadWorker:
    """Only the queue is shared between the thread that puts tasks in and the one that does them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
