"""Timers on the exchange's clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush
from itertools import count


class ExchangeTimers:
    """Calls by the exchange's time, in order; those of the same time as they came in."""

    def __init__(self) -> None:
        self._waiting: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count()

    def call_at(self, time: datetime, call: Callable[[], None]) -> None:
        heappush(self._waiting, (time, next(self._numbers), call))

    def run_due(self, now: datetime) -> None:
        """Make the calls that are due."""
        while self._waiting and self._waiting[0][0] <= now:
            heappop(self._waiting)[2]()
