"""Carries requests to the broker, each at most once, the most urgent first; it decides nothing.

A request that makes an order needs a grant: it carries the number of the epoch in which it was judged.
A later epoch withdraws it, up to the last moment before it leaves. So does an answer that refuses the key or
the account: whatever was granted before the deciding thread has taken that answer is judged again.

The deciding thread puts requests in and takes outcomes out; workers make requests and put outcomes in. All
that both touch is in `_Shared`, under its condition.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import Any, Protocol

from smabot.domain.records import OrderUpdate
from smabot.errors import BrokerError, NotAllowed

PATIENCE = 1.0
"""Seconds that a step waits for its answers: longer than a healthy broker takes."""
STEPPED_PATIENCE = 120.0
WORKERS = 4


class Withdrawn:
    """The outcome of a request that was not made, as its grant had ended."""


WITHDRAWN = Withdrawn()


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One request, a message: nobody changes it. The smallest ``urgency`` goes first; ``awaited``: a step waits for its end.

    ``ask`` makes it, and returns its answer or raises BrokerError. ``take`` is given that outcome, or
    `WITHDRAWN`, in the deciding thread. Without an ``epoch`` it needs no grant.
    """

    urgency: tuple[Any, ...]
    ask: Callable[[], Any]
    take: Callable[[Any], Sequence[OrderUpdate]]
    epoch: int | None = None
    awaited: bool = True


Outcome = tuple[Request, Any]


class Dispatcher(Protocol):
    """What the outbox needs: requests in, outcomes out."""

    def put(self, request: Request, seconds: float | None = None) -> None:
        """Queue a request, to be made in so many seconds at the earliest; None: at once."""
        ...

    def withdraw_before(self, epoch: int) -> None:
        """From now on make no request that was granted before this epoch."""
        ...

    def next_step(self) -> None:
        """A step begins to send: where no clock goes, what was put off is due."""
        ...

    def collect(self) -> list[Outcome]:
        """Return outcomes that are there, after a moment's patience with those that are due.

        Raises what a request raised, where it was no BrokerError.
        """
        ...

    def make_due(self) -> None:
        """Make all that was put off due now; the next step waits for it."""
        ...

    def stop(self, seconds: float) -> list[Outcome]:
        """Make no more requests; return outcomes of those under way, waiting that long for them."""
        ...


class DirectDispatcher:
    """For a broker in the same process: makes the requests when they are collected.

    What was put off is due in the next step.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._queue: list[tuple[Any, int, Request]] = []
        self._later: list[Request] = []
        self._epoch = 0
        self._stopped = False

    def put(self, request: Request, seconds: float | None = None) -> None:
        if seconds is None:
            heappush(self._queue, (request.urgency, next(self._numbers), request))
        else:
            self._later.append(request)

    def withdraw_before(self, epoch: int) -> None:
        self._epoch = epoch

    def next_step(self) -> None:
        later, self._later = self._later, []
        for request in later:
            self.put(request)

    def collect(self) -> list[Outcome]:
        queue = self._queue
        outcomes: list[Outcome] = []
        refused = False
        while queue and not self._stopped:
            request = heappop(queue)[2]
            withdrawn = refused and request.epoch is not None
            outcome = WITHDRAWN if withdrawn else self._outcome(request)
            outcomes.append((request, outcome))
            refused = refused or isinstance(outcome, NotAllowed)
        return outcomes

    def make_due(self) -> None:
        return

    def stop(self, seconds: float) -> list[Outcome]:
        self._stopped = True
        return []

    def _outcome(self, request: Request) -> Any:
        withdrawn = request.epoch is not None and request.epoch < self._epoch
        return WITHDRAWN if withdrawn else self._made(request)

    def _made(self, request: Request) -> Any:
        return _made(request)


@dataclass(slots=True)
class _Shared:
    """What the threads share, under its condition."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    ready: list[tuple[Any, int, Request]] = field(default_factory=list)
    later: list[tuple[float, int, Request]] = field(default_factory=list)
    running: set[Request] = field(default_factory=set)
    also_awaited: set[Request] = field(default_factory=set)
    """Requests that the next step waits for, though it was not meant to."""
    outcomes: list[Outcome] = field(default_factory=list)
    failure: BaseException | None = None
    epoch: int = 0
    refused: bool = False
    """Whether among the outcomes is one that refuses the key or the account: nothing that was granted leaves."""
    stopped: bool = False

    def may_leave(self, request: Request) -> bool:
        """Whether a request has a grant that holds, or needs none."""
        return request.epoch is None or (request.epoch >= self.epoch and not self.refused)

    def withdraw(self) -> None:
        """Take out of the queues what may not leave."""
        queued = [entry[2] for entry in (*self.ready, *self.later)]
        if ended := [request for request in queued if not self.may_leave(request)]:
            self.outcomes += [(request, WITHDRAWN) for request in ended]
            self.ready = [entry for entry in self.ready if entry[2] not in ended]
            self.later = [entry for entry in self.later if entry[2] not in ended]
            heapify(self.ready)
            heapify(self.later)


class ThreadedDispatcher:
    """For a remote broker. With a ``stepped`` one, one request at a time, and a step waits for all."""

    def __init__(self, stepped: bool) -> None:
        self._stepped = stepped
        self._shared = _Shared()
        self._numbers = count()
        self._threads: list[threading.Thread] = []

    def put(self, request: Request, seconds: float | None = None) -> None:
        shared = self._shared
        with shared.changed:
            due = monotonic() + (seconds or 0.0)
            heappush(shared.later, (due, next(self._numbers), request))
            shared.changed.notify_all()
            if not self._threads:
                self._start()

    def withdraw_before(self, epoch: int) -> None:
        shared = self._shared
        with shared.changed:
            shared.epoch = epoch
            shared.withdraw()

    def next_step(self) -> None:
        return

    def collect(self) -> list[Outcome]:
        patience = STEPPED_PATIENCE if self._stepped else PATIENCE
        shared = self._shared
        with shared.changed:
            shared.changed.wait_for(lambda: shared.failure or not self._due(), patience)
            return self._take()

    def make_due(self) -> None:
        shared = self._shared
        with shared.changed:
            shared.later = [(0.0, number, request) for _, number, request in shared.later]
            heapify(shared.later)
            queued = [request for _, _, request in (*shared.later, *shared.ready)]
            shared.also_awaited = {*queued, *shared.running}
            shared.changed.notify_all()

    def stop(self, seconds: float) -> list[Outcome]:
        shared = self._shared
        with shared.changed:
            shared.stopped = True
            shared.changed.notify_all()
            shared.changed.wait_for(lambda: not shared.running, seconds)
            return self._take()

    def _take(self) -> list[Outcome]:
        shared = self._shared
        if shared.failure is not None:
            raise shared.failure
        if shared.refused:
            shared.withdraw()
            shared.refused = False
        outcomes, shared.outcomes = shared.outcomes, []
        return outcomes

    def _due(self) -> bool:
        """Whether something is under way that a step should wait for."""
        shared = self._shared
        soon = float("inf") if self._stepped else monotonic()
        due = [request for at, _, request in shared.later if at <= soon]
        queued = (request for _, _, request in shared.ready)
        return any(self._is_awaited(each) for each in (*shared.running, *queued, *due))

    def _is_awaited(self, request: Request) -> bool:
        return request.awaited or request in self._shared.also_awaited

    def _start(self) -> None:
        for number in range(1 if self._stepped else WORKERS):
            thread = threading.Thread(target=self._work, name=f"dispatcher-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        shared = self._shared
        while (request := self._next()) is not None:
            outcome: Any = None
            failure: BaseException | None = None
            try:
                outcome = _made(request)
            except BaseException as error:  # noqa: BLE001 - it is raised in the deciding thread
                failure = error
            with shared.changed:
                shared.running.discard(request)
                shared.also_awaited.discard(request)
                shared.failure = shared.failure or failure
                if failure is None:
                    shared.outcomes.append((request, outcome))
                shared.refused = shared.refused or isinstance(outcome, NotAllowed)
                shared.changed.notify_all()

    def _next(self) -> Request | None:
        """Wait for the most urgent request that is due; None when there will be no more.

        Its grant is compared here, under the lock under which a new epoch begins.
        """
        shared = self._shared
        with shared.changed:
            while not shared.stopped:
                now = monotonic()
                while shared.later and shared.later[0][0] <= now:
                    _, number, request = heappop(shared.later)
                    heappush(shared.ready, (request.urgency, number, request))
                if not shared.ready:
                    shared.changed.wait(shared.later[0][0] - now if shared.later else None)
                    continue
                request = heappop(shared.ready)[2]
                if shared.may_leave(request):
                    shared.running.add(request)
                    return request
                shared.outcomes.append((request, WITHDRAWN))
                shared.changed.notify_all()
        return None


def _made(request: Request) -> Any:
    try:
        return request.ask()
    except BrokerError as error:
        return error
