"""The virtual clock, and all that happens by it: one thing at a time, in the order of their times.

A task may be a plain function, or one that waits in the middle, as a request on its way to the broker: that one
runs in a thread of its own, of which only one goes at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count


class Timeline:
    """Tasks by their time. Equal times keep the order in which they were given."""

    def __init__(self, now: datetime) -> None:
        """``now``: the time at the beginning, UTC."""
        self.now = now
        self._numbers = count()
        self._tasks: list[tuple[datetime, int, Callable[[], None]]] = []
        self._running: _Waiting | None = None
        self._waiting: set[_Waiting] = set()
        self._idle: list[_Thread] = []

    def at(self, time: datetime, task: Callable[[], None]) -> None:
        """Do something at a time; one that has passed means now."""
        heappush(self._tasks, (max(time, self.now), next(self._numbers), task))

    def next_time(self) -> datetime | None:
        """Return when the next task is due."""
        return self._tasks[0][0] if self._tasks else None

    def run_next(self, until: datetime) -> bool:
        """Do the next task, if it is due by a time; else the clock shows that time. False: there was none.

        Raises what the task raises.
        """
        if not self._tasks or self._tasks[0][0] > until:
            self.now = max(self.now, until)
            return False
        time, _, task = heappop(self._tasks)
        self.now = max(self.now, time)
        task()
        return True

    def run_until(self, until: datetime) -> None:
        """Do all that is due by a time."""
        while self.run_next(until):
            pass

    def sleep(self, seconds: float, more: Callable[[], float] = lambda: 0.0) -> None:
        """Let time pass: other tasks are done meanwhile. ``more``: tells then how many seconds are still to pass."""
        until = self.now + timedelta(seconds=seconds)
        if (running := self._running) is None:
            self.run_until(until)
            if rest := more():
                self.run_until(self.now + timedelta(seconds=rest))
            return

        def wake() -> None:
            if running not in self._waiting:
                return
            if rest := more():
                self.at(self.now + timedelta(seconds=rest), lambda: self._resume(running))
            else:
                self._resume(running)

        self.at(until, wake)
        running.pause()

    def begin(self, function: Callable[[], None]) -> None:
        """Begin a task that may `sleep`; returns when it sleeps, or has ended. Raises what it raises."""
        waiting = _Waiting(function, self._idle)
        self._waiting.add(waiting)
        self._resume(waiting)

    def drop_waiting(self) -> None:
        """End all tasks that sleep: their process is dead."""
        for waiting in self._waiting:
            waiting.drop()
        self._waiting.clear()

    def end(self) -> None:
        """End all tasks that sleep, and the threads that ran them."""
        self.drop_waiting()
        while self._idle:
            self._idle.pop().end()

    def _resume(self, waiting: _Waiting) -> None:
        if waiting not in self._waiting:
            return
        outer, self._running = self._running, waiting
        try:
            waiting.resume()
        finally:
            self._running = outer
            if waiting.ended:
                self._waiting.discard(waiting)


class _Dropped(BaseException):
    """Ends a task that is never resumed."""


class _Waiting:
    """A function that goes on only while whoever resumes it waits."""

    def __init__(self, function: Callable[[], None], idle: list[_Thread]) -> None:
        """``idle``: threads that have nothing to do. It takes one of them, and gives it back."""
        self.ended = False
        self._function = function
        self._idle = idle
        self._thread: _Thread | None = None
        self._failure: BaseException | None = None
        self._dropped = False

    def resume(self) -> None:
        if self._thread is None:
            self._thread = self._idle.pop() if self._idle else _Thread()
            self._thread.task = self._run
        self._go_on(self._thread)
        if self._failure is not None:
            raise self._failure

    def pause(self) -> None:
        assert self._thread is not None
        self._thread.pause()
        if self._dropped:
            raise _Dropped

    def drop(self) -> None:
        self._dropped = True
        if self._thread is not None and not self.ended:
            self._go_on(self._thread)

    def _go_on(self, thread: _Thread) -> None:
        thread.go_on()
        if self.ended:
            self._idle.append(thread)

    def _run(self) -> None:
        try:
            self._function()
        except _Dropped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where it was resumed
            self._failure = error
        self.ended = True


class _Thread:
    """Runs one task after the other, each only while another thread waits in `go_on`."""

    def __init__(self) -> None:
        self.task: Callable[[], None] | None = None
        self._go, self._stopped = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._stopped.acquire()
        threading.Thread(target=self._run, daemon=True).start()

    def go_on(self) -> None:
        """Begin its task or go on with it; returns where the task pauses, or has ended."""
        self._go.release()
        self._stopped.acquire()

    def pause(self) -> None:
        """Called by the task: wait until it may go on."""
        self._stopped.release()
        self._go.acquire()

    def end(self) -> None:
        """End the thread, which has no task."""
        self._go.release()

    def _run(self) -> None:
        self._go.acquire()
        while (task := self.task) is not None:
            self.task = None
            task()
            del task
            self.pause()
