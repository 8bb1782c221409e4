"""The replay of historical data: which minute comes next, and what came of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smabot.provider import Bar
from smabot_exchange.ledger.ledger_port import LedgerPort
from smabot_exchange.matching.orders import OrderEvent


@dataclass(frozen=True, slots=True)
class ReplayedMinute:
    """A minute that was replayed: its end, what happened to orders, its bars sorted by symbol.

    ``bars`` is empty where only a close was reached that ended orders. Trading in the symbols
    ``halted`` stopped at its start, and in those ``resumed`` it went on.
    """

    time: datetime
    events: tuple[OrderEvent, ...]
    bars: list[Bar]
    halted: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()


class Replay:
    """Reads a ledger's minutes ahead of the clock. ``done`` counts those that were replayed."""

    def __init__(self, ledger: LedgerPort) -> None:
        self.done = ledger.minutes_played()
        self._ledger = ledger
        self._ahead: list[tuple[datetime, list[Bar]]] = []

    def next_minute(self, now: datetime) -> tuple[datetime, list[Bar]] | None:
        """Return start and bars of the next minute, the same until it is complete; None at the end."""
        if not self._ahead:
            self._ahead = self._ledger.minutes_from(now)[::-1]
        return self._ahead[-1] if self._ahead else None

    def complete(self) -> None:
        """Go on to the minute after it."""
        self._ahead.pop()
        self.done += 1
