"""A dispatcher without threads: what it carries, and when, is said by a schedule."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Any

from smabot.engine.dispatcher import WITHDRAWN, Outcome, Request
from smabot.errors import BrokerError
from smabot.testing.killing import KillSwitch


class ScheduledDispatcher:
    """Implements `smabot.engine.dispatcher.Dispatcher`.

    While ``slow`` requests that make orders stay in the queue over steps, as behind other ones; what was
    put off is due in the next step. The process may die before and after each request.
    """

    def __init__(self, switch: KillSwitch) -> None:
        self.slow = False
        self._switch = switch
        self._numbers = count()
        self._queue: list[tuple[Any, int, Request]] = []
        self._later: list[Request] = []
        self._ended: list[Outcome] = []
        self._epoch = 0
        self._stopped = False

    def put(self, request: Request, seconds: float | None = None) -> None:
        if seconds is None:
            heappush(self._queue, (request.urgency, next(self._numbers), request))
        else:
            self._later.append(request)

    def withdraw(self, epoch: int) -> None:
        self._epoch = epoch

    def next_step(self) -> None:
        later, self._later = self._later, []
        for request in later:
            self.put(request)

    def collect(self) -> list[Outcome]:
        outcomes, self._ended = self._ended, []
        held = []
        while self._queue and not self._stopped:
            entry = heappop(self._queue)
            request = entry[2]
            granted = request.epoch is None or request.epoch >= self._epoch
            if granted and self.slow and request.epoch is not None:
                held.append(entry)
                continue
            outcomes.append((request, self._made(request) if granted else WITHDRAWN))
        for entry in held:
            heappush(self._queue, entry)
        return outcomes

    def hurry(self) -> None:
        self.next_step()

    def stop(self, seconds: float) -> list[Outcome]:
        self._stopped = True
        return []

    def _made(self, request: Request) -> Any:
        self._switch.point("before a request")
        try:
            answer = request.ask()
        except BrokerError as error:
            answer = error
        self._switch.point("after a request")
        return answer
