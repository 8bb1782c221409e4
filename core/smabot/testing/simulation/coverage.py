"""What schedules have covered: kills by boundary, faults by kind, and which came together how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from smabot.testing.simulation.drawing import THEMES, seed_of
from smabot.testing.simulation.schedule_result import Kill, Result
from smabot.testing.simulation.unreachable import why_unreachable

IN_RECOVERY = 0.25
"""At most this share of the kills that count falls within a start."""
SEPARATOR = " × "
SEEDS = ("seeds", "broken")


@dataclass
class Coverage:
    """Sums over results. It can be written down and gone on with."""

    schedules: int = 0
    kills: int = 0
    """Those that count: after a committed step with a bar or an order, or at most a quarter in starts."""
    killed_starts: int = 0
    """Kills within a start, of a bot that had committed such a step before."""
    starts: int = 0
    steps: int = 0
    points: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    seeds: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    """Those of them that broke a rule."""

    def add(self, result: Result) -> None:
        """Count a schedule that was played."""
        self.schedules += 1
        self.seeds.add(result.schedule.seed)
        if result.violation is not None:
            self.broken.add(result.schedule.seed)
        self.starts += result.starts
        self.steps += result.steps
        self.faults.update(result.faults)
        for kill in result.kills:
            if self._counts(kill):
                self._count(kill)

    def merge(self, other: Coverage) -> None:
        """Add what another run has covered."""
        for name in ("schedules", "kills", "killed_starts", "starts", "steps"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("points", "faults", "pairs"):
            getattr(self, name).update(getattr(other, name))
        self.seeds |= other.seeds
        self.broken |= other.broken

    def lacking(self, least: int) -> Iterator[tuple[int, int]]:
        """Yield each theme that came together fewer times, with how often it did, the rarest first."""
        counted = ((self._times(theme), theme) for theme in range(len(THEMES)))
        for times, theme in sorted(counted):
            if times < least and not why_unreachable(THEMES[theme]):
                yield theme, times

    def next_seeds(self, least: int) -> Iterator[int]:
        """Yield seeds that were not played yet, of what is lacking."""
        for theme, _ in self.lacking(least):
            turn = 0
            while (seed := seed_of(theme, turn)) in self.seeds:
                turn += 1
            yield seed

    def _times(self, theme: int) -> int:
        point, fault, _ = THEMES[theme]
        return self.pairs[f"{point}{SEPARATOR}{fault.name}"]

    def _counts(self, kill: Kill) -> bool:
        if not kill.fruitful:
            return False
        if kill.starting:
            return self.killed_starts + 1 <= IN_RECOVERY * (self.kills + 1)
        return True

    def _count(self, kill: Kill) -> None:
        self.kills += 1
        self.killed_starts += kill.starting
        self.points[kill.point] += 1
        for fault in kill.faults:
            self.pairs[f"{kill.point}{SEPARATOR}{fault}"] += 1

    def to_json(self) -> str:
        kept: dict[str, Any] = vars(self) | {name: sorted(vars(self)[name]) for name in SEEDS}
        return json.dumps(kept)

    @classmethod
    def from_json(cls, text: str) -> Coverage:
        """Raises ValueError, KeyError or TypeError for what `to_json` did not write."""
        given = json.loads(text)
        for name in ("points", "faults", "pairs"):
            given[name] = Counter(given[name])
        return cls(**given | {name: set(given.get(name, ())) for name in SEEDS})
