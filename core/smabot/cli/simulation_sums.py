"""What `smabot simulate` shows of what was played: sums, who traded, and which pairs are rare or can't be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from smabot.cli.output import table
from smabot.testing.simulation.actors import ACTORS
from smabot.testing.simulation.campaign import Orders
from smabot.testing.simulation.coverage import Coverage, unreachable_pairs
from smabot.testing.simulation.setup import Setup
from smabot.testing.simulation.themes import SEPARATOR
from smabot.testing.simulation.under_way import CIRCUMSTANCES
from smabot.testing.simulation.unreachable import Reach

SHOWN_PAIRS = 100
"""Rare pairs on the screen: the rarest."""
LEAST = 20
"""How often a pair is to come together, where `--pairs` does not say."""


@dataclass(frozen=True)
class Sums:
    """The sums of a campaign; ``pairs``: how often each pair was to come together, 0 where nothing was said."""

    coverage: Coverage
    orders: Orders
    pairs: int
    interrupted: bool

    def data(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        coverage = self.coverage
        found: dict[str, Any] = {
            "schedules": coverage.schedules, "kills": coverage.kills, "killed_starts": coverage.killed_starts,
            "starts": coverage.starts, "steps": coverage.steps, "points": dict(coverage.points),
            "faults": dict(coverage.faults), "pairs": dict(coverage.pairs),
            "under_way": dict(coverage.under_way), "broken": sorted(coverage.broken),
            "strategies": {
                name: {"orders": coverage.orders[name], "fills": coverage.fills[name]}
                for name in self._traders
            },
        }  # fmt: skip
        if self.pairs:
            found |= {"rare_pairs": self._rare, "unreachable_pairs": self._unreachable}
        return found

    def lines(self) -> Iterator[Any]:
        """Yield them as the screen has them."""
        coverage = self.coverage
        met = len([pair for pair, times in coverage.pairs.items() if times])
        rare = f"{len(self._rare):,} met fewer than {self._least} times"
        yield table(("", ""), [
            ("schedules", f"{coverage.schedules:,}" + (", then interrupted" if self.interrupted else "")),
            ("kills", f"{coverage.kills:,}, of which {coverage.killed_starts:,} in a start"),
            ("starts", f"{coverage.starts:,}"),
            ("steps", f"{coverage.steps:,}"),
            ("faults", _fault_sums(coverage)),
            ("pairs", f"{met:,} of boundary and fault; {rare}, {len(self._unreachable):,} can't"),
            ("broken rules", _broken_seeds(coverage)),
        ], heads=False)  # fmt: skip
        yield ""
        yield table(
            ("strategy", ">orders", ">fills"),
            [(n, f"{coverage.orders[n]:,}", f"{coverage.fills[n]:,}") for n in self._traders],
        )
        yield ""
        yield table(("killed", ">kills"), _sorted(coverage.points))
        yield ""
        yield table(
            ("under way when killed", ">kills"),
            [(name, f"{coverage.under_way[name]:,}") for name in CIRCUMSTANCES],
        )
        yield ""
        yield table(("fault", ">times"), _sorted(coverage.faults))
        if self.pairs:
            yield from self._pair_lines()

    def idle(self) -> list[str]:
        """Return the strategies that were to be tried and have sent no order; none where nothing was played."""
        if not self.coverage.schedules:
            return []
        return [name for name in self._setup.strategies if not self.coverage.orders[name]]

    def _pair_lines(self) -> Iterator[Any]:
        if self._rare:
            rarest = list(self._rare.items())[:SHOWN_PAIRS]
            rows = [(*pair.split(SEPARATOR), f"{times:,}") for pair, times in rarest]
            yield ""
            yield table(("killed", f"fewer than {self._least} times with", ">times"), rows)
            if (left := len(self._rare) - SHOWN_PAIRS) > 0:
                yield f"{left:,} more, with --json"
        if self._unreachable:
            reasons = Counter(self._unreachable.values())
            yield ""
            yield table(
                (">pairs", "can't come together, as"), [(f"{n:,}", w) for w, n in reasons.items()]
            )

    @property
    def _least(self) -> int:
        return self.pairs or LEAST

    @property
    def _traders(self) -> list[str]:
        """The strategies that were tried, then the actors beside them."""
        return [*self._setup.strategies, *ACTORS]

    @cached_property
    def _setup(self) -> Setup:
        return self.orders.setup()

    @cached_property
    def _reach(self) -> Reach:
        return self.orders.reach()

    @cached_property
    def _rare(self) -> dict[str, int]:
        return self.coverage.rare_pairs(self.orders.themes(), self._least, self._reach)

    @cached_property
    def _unreachable(self) -> dict[str, str]:
        return unreachable_pairs(self.orders.themes(), self._reach)


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{number:,}") for name, number in sorted(counts.items())]


def _fault_sums(coverage: Coverage) -> str:
    struck = {k: n for k, n in coverage.faults.items() if not k.startswith("command ")}
    return f"{sum(struck.values()):,} of {len(struck)} kinds"


def _broken_seeds(coverage: Coverage) -> str:
    """Return how many seeds broke a rule, and the first of them."""
    broken = sorted(coverage.broken)
    named = ", ".join(map(str, broken[:8])) + (", …" if len(broken) > 8 else "")
    return f"{len(broken):,}" + (f": seeds {named}" if broken else "")
