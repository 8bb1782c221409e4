"""An event loop of asyncio on the timeline: its clock is the virtual one, and its callbacks are tasks of it."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

from smabot.testing.simulation.timeline import Timeline


class TimelineLoop(asyncio.BaseEventLoop):
    """It has no sockets, and is never run: the timeline calls what is due."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline
        self._due: list[asyncio.Handle] = []
        self._planned = False

    def end(self) -> None:
        """Cancel all tasks and let them end at once; nothing runs any more."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self._run_due()
        self.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the loop that runs."""
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(outer)

    # -- what asyncio asks ---------------------------------------------------------------------------

    def time(self) -> float:
        return self._timeline.now.timestamp()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if isinstance(error := context.get("exception"), Exception):
            raise error

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def run() -> None:
            if not self.is_closed():
                self._due.append(handle)
                self._run_due()

        self._timeline.at(datetime.fromtimestamp(when, UTC), run)
        return handle

    def _call_soon(
        self, callback: Callable[..., Any], args: Any, context: Context | None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append(handle)
        if not self._planned:
            self._planned = True
            self._timeline.at(self._timeline.now, self._run_due)
        return handle

    def _write_to_self(self) -> None:
        """Asyncio wakes a loop that sleeps; this one never does."""

    def _run_due(self) -> None:
        self._planned = False
        with self.running():
            while self._due:
                due, self._due = self._due, []
                for handle in due:
                    if not handle.cancelled():
                        handle._run()


def drive(coroutine: Coroutine[Any, Any, None], loop: TimelineLoop) -> None:
    """Run a coroutine that waits for nothing. Raises what it raises, and RuntimeError where it waits."""
    with loop.running():
        try:
            coroutine.send(None)
        except StopIteration:
            return
    coroutine.close()
    raise RuntimeError("what should answer at once waits")
