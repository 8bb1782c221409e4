"""A dispatcher without threads: what it carries, and when, is said by a schedule."""

from __future__ import annotations

from typing import Any

from smabot.engine.dispatcher import DirectDispatcher, Dispatcher, Outcome, Request
from smabot.engine.surroundings import Surroundings
from smabot.system.wall_clock import Wall
from smabot.testing.kill_points import REQUEST, KillSwitch, after, before


class ScheduledDispatcher(DirectDispatcher):
    """While ``slow``, requests that make orders stay in the queue over steps, as behind other ones.

    The process may die before and after each request.
    """

    def __init__(self, switch: KillSwitch) -> None:
        super().__init__()
        self.slow = False
        self._switch = switch

    def collect(self) -> list[Outcome]:
        if not self.slow:
            return super().collect()
        queued = sorted(self._queue)
        held = [entry for entry in queued if self._is_granted(entry[2])]
        self._queue = [entry for entry in queued if not self._is_granted(entry[2])]
        outcomes = super().collect()
        self._queue = sorted([*self._queue, *held])
        return outcomes

    def make_due(self) -> None:
        self.next_step()

    def _is_granted(self, request: Request) -> bool:
        return request.epoch is not None and request.epoch >= self._epoch

    def _made(self, request: Request) -> Any:
        self._switch.point(before(REQUEST))
        answer = super()._made(request)
        self._switch.point(after(REQUEST))
        return answer


class ScheduledSurroundings(Surroundings):
    """Whose dispatcher is a given one; other questions have threads of their own."""

    def __init__(self, dispatcher: ScheduledDispatcher, wall: Wall) -> None:
        super().__init__(wall)
        self._dispatcher = dispatcher

    def dispatcher(self, broker: Any) -> Dispatcher:
        return self._dispatcher
