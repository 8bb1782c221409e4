"""The numbers and the times that new orders get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smabot_exchange.matching.orders import ExchangeOrder


@dataclass(slots=True)
class OrderNumbers:
    """Counts the orders of a ledger, and those that are submitted at the same time of the clock.

    ``last`` is the newest order's number; ``time`` is when it was submitted, at which ``first`` was the
    first one. ``wall`` is the wall clock, where the exchange follows it between its minutes.
    """

    last: int = 0
    time: datetime | None = None
    first: int = 1
    wall: Callable[[], datetime] | None = None

    @classmethod
    def after(cls, order: ExchangeOrder | None) -> OrderNumbers:
        """Return the numbers as the newest order leaves them; None: there is none yet."""
        if order is None:
            return cls()
        return cls(order.seq, order.submitted_at, order.seq - order.place + 1)

    def submission(self, number: int, now: datetime) -> tuple[datetime, int]:
        """Return when the order of a number is submitted, whole seconds UTC, and its place among those of
        that time, from 1. Times never go back."""
        time = now
        if self.wall is not None:
            time = max(now, self.wall().replace(microsecond=0))
        if self.time is not None:
            time = max(time, self.time)
        if time != self.time:
            self.time, self.first = time, number
        return time, number - self.first + 1
