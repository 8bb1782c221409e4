"""The simulated market of a soak: its sessions, months and splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from smabot.domain.calendar import Session
from smabot_exchange.data.sessions import first_sessions
from smabot_exchange.data.simulated_symbols import simulated_symbols

START = date(2026, 3, 2)
A_MONTH = 21
SPLITS = ("2:1", "3:1", "1:2")


@dataclass(frozen=True)
class Market:
    """So many sessions of so many symbols; a month is 21 sessions, or fewer where there are fewer."""

    sessions: int
    symbols: int
    seed: int
    month: int = A_MONTH

    @cached_property
    def names(self) -> list[str]:
        return simulated_symbols(self.symbols)

    @cached_property
    def calendar(self) -> list[Session]:
        return first_sessions(START, self.sessions)

    def months(self) -> Iterator[list[Session]]:
        """Yield the sessions of each month; the last one may be short."""
        for first in range(0, self.sessions, self.month):
            yield self.calendar[first : first + self.month]

    @property
    def data(self) -> str:
        """The exchange's description of it, with a split of another symbol in the middle of each quarter."""
        every = max(self.sessions // 4, 2)
        days = [session.date for session in self.calendar[every // 2 :: every]]
        splits = "".join(
            f",split={self.names[n % self.symbols]}@{day}@{SPLITS[n % len(SPLITS)]}"
            for n, day in enumerate(days)
        )
        size = f"symbols={self.symbols},sessions={self.sessions},seed={self.seed}"
        return f"simulated:{size},start={START}{splits}"


def minutes_left(session: Session, now: datetime) -> int:
    """Return how many minutes of a session are left."""
    return max(int((session.close - now).total_seconds() // 60), 0)
