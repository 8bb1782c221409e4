"""Requests beside the deciding thread, one after the other; their results come by the inbox."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from smabot.provider import BrokerError
from smabot_alpaca.streams.event_queue import EventQueue, RequestDone

T = TypeVar("T")


class BackgroundRequests:
    """Runs jobs in a thread, or, with ``inline``, at once.

    A job may raise BrokerError, which is handed on instead of a result; anything else that it raises
    is raised in the deciding thread.
    """

    def __init__(self, inbox: EventQueue, *, inline: bool) -> None:
        self._inbox = inbox
        self._inline = inline
        self._jobs: SimpleQueue[Callable[[], Callable[[], None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._under_way: set[str] = set()

    def run(self, name: str, job: Callable[[], T], then: Callable[[T | BrokerError], None]) -> None:
        """Do a job unless one of its name is under way; ``then`` runs in the deciding thread."""
        if self._inline:
            carry(job, then)()
            return
        if name in self._under_way:
            return
        self._under_way.add(name)

        def finish(result: T | BrokerError) -> None:
            self._under_way.discard(name)
            then(result)

        self._jobs.put(lambda: carry(job, finish))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="alpaca-errands", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._inbox.put(RequestDone(job()))


def carry(job: Callable[[], T], then: Callable[[T | BrokerError], None]) -> Callable[[], None]:
    """Do a job, and return what takes its result, or what it raised, in."""
    try:
        result = job()
    except BrokerError as error:
        failure = error
        return lambda: then(failure)
    except BaseException as error:  # noqa: BLE001 - it is raised in the deciding thread
        bug = error

        def fail() -> None:
            raise bug

        return fail
    return lambda: then(result)
