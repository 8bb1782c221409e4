"""SIGINT and SIGTERM: the first asks for a stop after the step, the second leaves at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from smabot.system import stdio

INTERRUPTED = 130
"""The exit code of what was interrupted, as shells have it."""
TERMINATED = 143
"""The exit code of what SIGTERM ended before its end, as shells have it."""
STARTUP_PATIENCE = 3.0
"""Seconds that a start has to end by itself after a stop was requested."""


class StopRequested(KeyboardInterrupt):
    """A stop was requested while the start waits for an answer. The start may end anywhere, as by a kill."""


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


class StopEvent(threading.Event):
    """Set when a stop was requested."""

    _starting = False

    @contextmanager
    def while_starting(self) -> Iterator[None]:
        """Raise StopRequested in the body, where it does not end soon after the stop."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False

    def raise_if_starting(self, number: int, frame: Any) -> None:
        if self._starting:
            raise StopRequested


@contextmanager
def stop_signals() -> Iterator[tuple[list[int], StopEvent]]:
    """Request a stop after the step on the first SIGINT or SIGTERM; exit at once on the second.

    Yields the signals received, and the event that requests the stop.
    """
    received: list[int] = []
    stopping = StopEvent()

    def stop(number: int, frame: Any) -> None:
        received.append(number)
        stopping.set()
        signal.setitimer(signal.ITIMER_REAL, STARTUP_PATIENCE)
        if len(received) > 1:
            stdio.last_words("left at once; nothing committed is lost")
            os._exit(INTERRUPTED)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stopping.raise_if_starting)
    try:
        yield received, stopping
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Raise Terminated in the body on SIGTERM, as Ctrl-C raises KeyboardInterrupt."""

    def terminate(number: int, frame: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code_of(received: Sequence[int]) -> int:
    """Return the exit code of what ended as it should, after the signals received: SIGTERM is no failure."""
    return INTERRUPTED if signal.SIGINT in received else 0
