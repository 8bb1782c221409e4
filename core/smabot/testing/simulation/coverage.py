"""What schedules have covered: kills by boundary and by what was under way, faults by kind, and which came together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from smabot.testing.simulation.schedule_result import Kill, Result
from smabot.testing.simulation.themes import SEPARATOR, Themes
from smabot.testing.simulation.trade_counts import TradeCounts
from smabot.testing.simulation.unreachable import Reach

IN_RECOVERY = 0.25
"""At most this share of the kills that count falls within a start."""
COUNTERS = ("points", "faults", "pairs", "under_way", "orders", "fills")
SEEDS = ("seeds", "broken")


@dataclass
class Coverage(TradeCounts):
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
    under_way: Counter[str] = field(default_factory=Counter)
    """Kills by circumstance; one kill may have several, or none."""
    seeds: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    """Those of them that broke a rule."""
    played_with: str = ""
    """The plugins, faults and broker; empty where nothing was played."""

    def add(self, result: Result) -> None:
        """Count a schedule that was played."""
        self.schedules += 1
        self.seeds.add(result.schedule.seed)
        if result.violation is not None:
            self.broken.add(result.schedule.seed)
        self.starts += result.starts
        self.steps += result.steps
        self.faults.update(result.faults)
        self.orders.update(result.trades.orders)
        self.fills.update(result.trades.fills)
        for kill in result.kills:
            if self._counts(kill):
                self._count(kill)

    def merge(self, other: Coverage) -> None:
        """Add what another run has covered."""
        for name in ("schedules", "kills", "killed_starts", "starts", "steps"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in COUNTERS:
            getattr(self, name).update(getattr(other, name))
        self.seeds |= other.seeds
        self.broken |= other.broken

    def rare_pairs(self, themes: Themes, least: int, reach: Reach) -> dict[str, int]:
        """Return the pairs that came together fewer times though they can, with how often, the rarest first."""
        found = {themes[place].pair: times for place, times in self.lacking(themes, least, reach)}
        return dict(sorted(found.items(), key=lambda each: each[1]))

    def lacking(self, themes: Themes, least: int, reach: Reach) -> Iterator[tuple[int, int]]:
        """Yield the place of each theme that came together fewer times, with how often it did, the rarest first."""
        counted = ((self.pairs[theme.pair], place) for place, theme in enumerate(themes))
        for times, place in sorted(counted):
            if times < least and not reach.why_not(themes[place]):
                yield place, times

    def next_seeds(self, themes: Themes, least: int, reach: Reach) -> Iterator[int]:
        """Yield seeds that were not played yet, of what is lacking: what had the fewest turns first, as some
        come together seldom or never."""

        def turns_of(place: int) -> int:
            return next(turn for turn in count() if themes.seed(place, turn) not in self.seeds)

        turns = sorted((turns_of(place), place) for place, _ in self.lacking(themes, least, reach))
        yield from (themes.seed(place, turn) for turn, place in turns)

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
        self.under_way.update(kill.under_way)
        for fault in kill.faults:
            self.pairs[f"{kill.point}{SEPARATOR}{fault}"] += 1

    def to_json(self) -> str:
        kept: dict[str, Any] = vars(self) | {name: _spans(vars(self)[name]) for name in SEEDS}
        return json.dumps(kept)

    @classmethod
    def from_json(cls, text: str) -> Coverage:
        """Raises ValueError, KeyError or TypeError for what no `to_json` wrote; an earlier one lacks some."""
        given = {"under_way": {}, "orders": {}, "fills": {}, **json.loads(text)}
        for name in COUNTERS:
            given[name] = Counter(given[name])
        return cls(**given | {name: _numbers(given.get(name, ())) for name in SEEDS})


def unreachable_pairs(themes: Themes, reach: Reach) -> dict[str, str]:
    """Return the pairs that can't come together on any line, with the reason."""
    reasons: dict[str, str] = {}
    reachable = set()
    for theme in themes:
        if why := reach.why_not(theme):
            reasons[theme.pair] = why
        else:
            reachable.add(theme.pair)
    return {pair: why for pair, why in reasons.items() if pair not in reachable}


def _spans(numbers: set[int]) -> list[tuple[int, int]]:
    """Return numbers as spans from the first to the last of those that follow each other."""
    spans: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number, number))
    return spans


def _numbers(spans: Iterable[Sequence[int]]) -> set[int]:
    return {number for first, last in spans for number in range(first, last + 1)}
