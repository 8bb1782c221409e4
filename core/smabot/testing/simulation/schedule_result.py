"""What became of a schedule that was played."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from smabot.testing.simulation.judge import Violation
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.trade_counts import TradeCounts


@dataclass
class Kill:
    """A kill: at which kind of boundary, while starting or not, which faults had struck lately, and what was under
    way (`CIRCUMSTANCES`)."""

    point: str
    starting: bool
    fruitful: bool
    """Whether it had committed a step with a bar or an order; in a start, an earlier process had."""
    faults: tuple[str, ...]
    under_way: tuple[str, ...]


@dataclass
class Result:
    """What became of a schedule."""

    schedule: Schedule
    kills: list[Kill] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    trades: TradeCounts = field(default_factory=TradeCounts)
    steps: int = 0
    starts: int = 0
    accepted: int = 0
    """How often the operator had the bot accept the broker's state."""
    violation: Violation | None = None
    trace: list[str] = field(default_factory=list)

    def without_trace(self) -> Result:
        """Return the same without what nobody reads."""
        return replace(self, trace=[], schedule=self.schedule.with_actions(()))
