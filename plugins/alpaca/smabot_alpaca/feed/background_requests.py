"""Background requests: in a thread beside the deciding one, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from smabot.provider import BrokerError
from smabot_alpaca.streams.event_queue import EventQueue, RequestDone

T = TypeVar("T")


class BackgroundRequests:
    """Runs requests in a thread, or, with ``inline``, at once.

    A request may raise BrokerError, which is handed on instead of a result; anything else that it
    raises is raised in the deciding thread.

    Two queues are all that both threads share: the deciding thread puts requests into one, the
    background thread puts results into the event queue. ``_pending`` belongs to the deciding thread.
    """

    def __init__(self, events: EventQueue, *, inline: bool) -> None:
        self._events = events
        self._inline = inline
        self._requests: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pending: set[str] = set()

    def run(
        self, name: str, request: Callable[[], T], finish: Callable[[T | BrokerError], None]
    ) -> None:
        """Make a request unless one of its name is pending; ``finish`` runs in the deciding thread."""
        if self._inline:
            carry_out(request, finish)()
            return
        if name in self._pending:
            return
        self._pending.add(name)

        def done(result: T | BrokerError) -> None:
            self._pending.discard(name)
            finish(result)

        self._requests.put(lambda: carry_out(request, done))
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._work, name="alpaca-background-requests", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        self._requests.put(None)

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            self._events.put(RequestDone(request()))


def carry_out(
    request: Callable[[], T], finish: Callable[[T | BrokerError], None]
) -> Callable[[], None]:
    """Make a request, and return what takes its result, or what it raised, in."""
    try:
        result = request()
    except BrokerError as error:
        failure = error
        return lambda: finish(failure)
    except BaseException as error:  # noqa: BLE001 - it is raised in the deciding thread
        bug = error

        def fail() -> None:
            raise bug

        return fail
    return lambda: finish(result)
