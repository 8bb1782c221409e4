"""What a simulated process has around its deciding thread: dispatcher, questions and clocks on the timeline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from smabot.engine.dispatcher import (
    PATIENCE,
    WITHDRAWN,
    WORKERS,
    DirectDispatcher,
    Dispatcher,
    Outcome,
    Request,
)
from smabot.engine.surroundings import Surroundings
from smabot.errors import BrokerError, NotAllowed
from smabot.system.background_query import BackgroundQuery
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.wire import Wire


class VirtualSurroundings(Surroundings):
    """Of one process; when it is dead, nothing of it goes on."""

    def __init__(self, wire: Wire, wall: Callable[[], datetime], *, far: bool) -> None:
        super().__init__(wall)
        self.dead = False
        self._wire = wire
        self._far = far

    def seconds(self) -> float:
        return self._wire.timeline.now.timestamp()

    def wait(self, seconds: float) -> None:
        self._wire.timeline.sleep(seconds)

    def dispatcher(self, broker: Any) -> Dispatcher:
        return TimelineDispatcher(self, self._wire) if self._far else DirectDispatcher()

    def query(self, name: str, *, beside: bool = True) -> BackgroundQuery[Any]:
        if beside and self._far:
            return TimelineQuery(name, self, self._wire.timeline)
        return BackgroundQuery(name, beside=False)


class TimelineQuery(BackgroundQuery[Any]):
    """A question whose answers take virtual time, and come bit by bit."""

    def __init__(self, name: str, around: VirtualSurroundings, timeline: Timeline) -> None:
        super().__init__(name, beside=False)
        self._around = around
        self._timeline = timeline
        self._done = False

    def begin(self, question: Callable[[], Any]) -> None:
        self.under_way, self._done = True, False

        def ask() -> None:
            try:
                self._answers.append(question())
            except Exception as error:  # noqa: BLE001 - it is raised in the deciding thread
                self._failure = error
            self._done = True

        def begin() -> None:
            if not self._around.dead:
                self._timeline.begin(ask)

        self._timeline.at(self._timeline.now, begin)

    @property
    def answered(self) -> bool:
        return self.under_way and self._done

    def take_answer(self) -> Any:
        self._done = False
        return super().take_answer()


class TimelineDispatcher:
    """Carries requests as `ThreadedDispatcher` does: workers begin them a moment after they are put in."""

    def __init__(self, around: VirtualSurroundings, wire: Wire) -> None:
        self._around = around
        self._wire = wire
        self._timeline = wire.timeline
        self._numbers = count()
        self._later: dict[int, tuple[datetime, Request]] = {}
        self._ready: list[tuple[Any, int, Request]] = []
        self._running: set[Request] = set()
        self._also_awaited: set[Request] = set()
        self._outcomes: list[Outcome] = []
        self._epoch = 0
        self._refused = False
        self._stopped = False

    def put(self, request: Request, seconds: float | None = None) -> None:
        number, due = next(self._numbers), self._timeline.now
        if seconds:
            due += timedelta(seconds=seconds)
        self._later[number] = due, request
        self._timeline.at(due, lambda: self._ripen(number))

    def withdraw_before(self, epoch: int) -> None:
        self._epoch = epoch
        self._withdraw()

    def _withdraw(self) -> None:
        late = {number: each for number, each in self._later.items() if self._is_late(each[1])}
        for number, (_, request) in late.items():
            del self._later[number]
            self._outcomes.append((request, WITHDRAWN))
        waiting, self._ready = self._ready, []
        for entry in waiting:
            if self._is_late(entry[2]):
                self._outcomes.append((entry[2], WITHDRAWN))
            else:
                self._ready.append(entry)
        heapify(self._ready)

    def next_step(self) -> None:
        return

    def collect(self) -> list[Outcome]:
        until = self._timeline.now + timedelta(seconds=PATIENCE)
        while self._awaits() and self._timeline.run_next(until):
            pass
        return self._take()

    def make_due(self) -> None:
        queued = [request for _, request in self._later.values()]
        self._also_awaited = {*queued, *(each[2] for each in self._ready), *self._running}
        for number in list(self._later):
            self._ripen(number)

    def stop(self, seconds: float) -> list[Outcome]:
        self._stopped = True
        until = self._timeline.now + timedelta(seconds=seconds)
        while self._running and self._timeline.run_next(until):
            pass
        return self._take()

    def _take(self) -> list[Outcome]:
        if self._refused:
            self._withdraw()
            self._refused = False
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    # -- workers -------------------------------------------------------------------------------------

    def _ripen(self, number: int) -> None:
        if (entry := self._later.pop(number, None)) is None or self._around.dead:
            return
        heappush(self._ready, (entry[1].urgency, number, entry[1]))
        busy = self._wire.busy_seconds()
        self._timeline.at(self._timeline.now + timedelta(seconds=busy), self._begin_next)

    def _begin_next(self) -> None:
        while (
            self._ready
            and len(self._running) < WORKERS
            and not (self._stopped or self._around.dead)
        ):
            request = heappop(self._ready)[2]
            if self._is_late(request):
                self._outcomes.append((request, WITHDRAWN))
                continue
            self._running.add(request)
            self._timeline.begin(lambda request=request: self._make(request))  # type: ignore[misc]

    def _make(self, request: Request) -> None:
        try:
            outcome = request.ask()
        except BrokerError as error:
            outcome = error
        self._running.discard(request)
        self._also_awaited.discard(request)
        self._outcomes.append((request, outcome))
        self._refused = self._refused or isinstance(outcome, NotAllowed)
        self._timeline.at(self._timeline.now, self._begin_next)

    def _is_late(self, request: Request) -> bool:
        return request.epoch is not None and (request.epoch < self._epoch or self._refused)

    def _awaits(self) -> bool:
        if not (self._running or self._ready or self._later):
            return False
        now = self._timeline.now
        due = [request for at, request in self._later.values() if at <= now]
        queued = (request for _, _, request in self._ready)
        return any(
            each.awaited or each in self._also_awaited for each in (*self._running, *queued, *due)
        )
