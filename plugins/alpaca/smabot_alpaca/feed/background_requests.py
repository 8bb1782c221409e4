"""Background requests: in a thread beside the deciding one, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from smabot.provider import BrokerError
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.streams.event_queue import EventQueue, RequestDone

T = TypeVar("T")


class BackgroundRequests:
    """Runs requests in a thread, or, with ``inline``, at once.

    A request may raise BrokerError, which is handed on instead of a result; anything else that it
    raises is raised in the deciding thread.

    Two queues are all that both threads share: the deciding thread puts requests into the worker's, the
    background thread puts results into the event queue. ``_pending`` belongs to the deciding thread.
    """

    def __init__(self, events: EventQueue, *, inline: bool, machine: Machine = REAL) -> None:
        self._events = events
        self._inline = inline
        self._worker = machine.worker("alpaca-background-requests")
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

        self._worker.put(lambda: self._events.put(RequestDone(carry_out(request, done))))

    def close(self) -> None:
        self._worker.close()


def carry_out(
    request: Callable[[], T], finish: Callable[[T | BrokerError], None]
) -> Callable[[], None]:
    """Make a request, and return what takes its result, or what it raised, in."""
    try:
        result = request()
    except BrokerError as error:
        failure = error
        return lambda: finish(failure)
    except Exception as error:  # noqa: BLE001 - it is raised in the deciding thread
        bug = error

        def fail() -> None:
            raise bug

        return fail
    return lambda: finish(result)
