"""Threads that carry requests to a remote broker, the most urgent first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import Any

from smabot.records import OrderUpdate

PATIENCE = 1.0
"""Seconds that a step waits for its answers: longer than a healthy broker takes."""
STEPPED_PATIENCE = 120.0
WORKERS = 4


@dataclass(slots=True, eq=False)
class Task:
    """A request. The smallest ``urgency`` goes first; ``awaited``: a step waits for its end."""

    urgency: tuple[Any, ...]
    carry: Callable[[], OrderUpdate | None]
    awaited: bool = True


@dataclass(slots=True)
class _Desk:
    """What the threads share, under its condition."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    ready: list[tuple[Any, int, Task]] = field(default_factory=list)
    later: list[tuple[float, int, Task]] = field(default_factory=list)
    running: set[Task] = field(default_factory=set)
    answers: list[OrderUpdate] = field(default_factory=list)
    failure: BaseException | None = None
    stopped: bool = False


class Courier:
    """Carries tasks. With a ``stepped`` broker one at a time, and a step waits for all of them."""

    def __init__(self, stepped: bool) -> None:
        self._stepped = stepped
        self._desk = _Desk()
        self._numbers = count()
        self._threads: list[threading.Thread] = []

    def put(self, *tasks: Task, seconds: float = 0.0) -> None:
        """Queue tasks, to be carried in so many seconds at the earliest."""
        desk = self._desk
        with desk.changed:
            for task in tasks:
                heappush(desk.later, (monotonic() + seconds, next(self._numbers), task))
            desk.changed.notify_all()
            if not self._threads:
                self._start()

    def hurry(self) -> None:
        """What was put off is due now, and the next step waits for it, and for all under way."""
        desk = self._desk
        with desk.changed:
            desk.later = [(0.0, number, task) for _, number, task in desk.later]
            heapify(desk.later)
            queued = [task for _, _, task in (*desk.later, *desk.ready)]
            for task in (*queued, *desk.running):
                task.awaited = True
            desk.changed.notify_all()

    def collect(self) -> list[OrderUpdate]:
        """Return the answers that are there, after a moment's patience with those that are due.

        Raises what a task raised.
        """
        patience = STEPPED_PATIENCE if self._stepped else PATIENCE
        desk = self._desk
        with desk.changed:
            desk.changed.wait_for(lambda: desk.failure or not self._due(), patience)
            return self._take()

    def stop(self, seconds: float) -> list[OrderUpdate]:
        """Carry nothing more; return the answers to what is under way, waiting that long for it."""
        desk = self._desk
        with desk.changed:
            desk.stopped = True
            desk.changed.notify_all()
            desk.changed.wait_for(lambda: not desk.running, seconds)
            return self._take()

    def _take(self) -> list[OrderUpdate]:
        desk = self._desk
        if desk.failure is not None:
            raise desk.failure
        answers, desk.answers = desk.answers, []
        return answers

    def _due(self) -> bool:
        """Whether something is under way that a step should wait for."""
        desk = self._desk
        if any(task.awaited for task in desk.running) or any(t.awaited for _, _, t in desk.ready):
            return True
        soon = float("inf") if self._stepped else monotonic()
        return any(task.awaited and due <= soon for due, _, task in desk.later)

    def _start(self) -> None:
        for number in range(1 if self._stepped else WORKERS):
            thread = threading.Thread(target=self._work, name=f"courier-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        desk = self._desk
        while (task := self._next()) is not None:
            answer: OrderUpdate | None = None
            failure: BaseException | None = None
            try:
                answer = task.carry()
            except BaseException as error:  # noqa: BLE001 - it is raised in the deciding thread
                failure = error
            with desk.changed:
                desk.running.discard(task)
                desk.failure = desk.failure or failure
                if answer is not None:
                    desk.answers.append(answer)
                desk.changed.notify_all()

    def _next(self) -> Task | None:
        """Wait for the most urgent task that is due; None when there will be no more."""
        desk = self._desk
        with desk.changed:
            while not desk.stopped:
                now = monotonic()
                while desk.later and desk.later[0][0] <= now:
                    _, number, task = heappop(desk.later)
                    heappush(desk.ready, (task.urgency, number, task))
                if desk.ready:
                    task = heappop(desk.ready)[2]
                    desk.running.add(task)
                    return task
                desk.changed.wait(desk.later[0][0] - now if desk.later else None)
        return None
