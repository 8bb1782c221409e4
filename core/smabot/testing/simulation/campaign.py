"""Plays many schedules, in several processes, until a number of seeds or kills is reached."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

from smabot.errors import SmabotError
from smabot.system.worker_processes import worker_pool
from smabot.testing.simulation.coverage import Coverage
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.setup import Setup
from smabot.testing.simulation.themes import Themes
from smabot.testing.simulation.unreachable import Reach

BATCH = 8
"""Seeds that a process plays before it tells of them."""


@dataclass(frozen=True, slots=True)
class Goal:
    """When a campaign is done: after so many seeds, or kills, and when each pair came together so often."""

    seeds: int | None = None
    kills: int | None = None
    each_pair: int = 0

    def is_reached(self, coverage: Coverage, played: int) -> bool:
        if self.kills is not None:
            return coverage.kills >= self.kills
        return self.seeds is not None and played >= self.seeds


@dataclass(frozen=True, slots=True)
class Orders:
    """What each process is to play with: see `Setup`."""

    plugins: tuple[str, ...] = ("risk",)
    faults: tuple[str, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)
    broker: str = ""

    def __str__(self) -> str:
        parts = {"plugins": ",".join(self.plugins), "faults": ",".join(self.faults)}
        return "; ".join(
            f"{name} {value}" for name, value in (*parts.items(), ("broker", self.broker)) if value
        )

    def themes(self) -> Themes:
        """Return what its seeds bring together."""
        return Themes(served=bool(self.broker))

    def reach(self) -> Reach:
        """Return what can come together. Raises ConfigError."""
        return Reach(self.setup().hooks, self.faults)

    def setup(self) -> Setup:
        """Raises ConfigError."""
        return Setup(self.plugins, self.faults, self.tables, self.broker)


@dataclass
class Report:
    """What a campaign has found."""

    coverage: Coverage = field(default_factory=Coverage)
    violations: list[Result] = field(default_factory=list)
    """Of the first seeds that broke a rule."""


MOST_KEPT = 20
_setup: Setup | None = None


def run_campaign(
    orders: Orders,
    goal: Goal,
    into: Report | None = None,
    *,
    jobs: int = 1,
    first_seed: int = 0,
    tell: Callable[[int], None] = lambda played: None,
) -> Report:
    """Play seeds from the first one on that were not played yet; then those of what is lacking.

    What is found is added to ``into`` as it comes, and ``tell`` called with the number of seeds played.
    """
    report, played = into or Report(), 0
    report.coverage.played_with = str(orders)
    with closing(_results(orders, goal, report, jobs, first_seed)) as batches:
        for results in batches:
            for result in results:
                played += 1
                report.coverage.add(result)
                if result.violation is not None and len(report.violations) < MOST_KEPT:
                    report.violations.append(result)
            tell(played)
            if goal.is_reached(report.coverage, played):
                break
    return report


def _results(
    orders: Orders, goal: Goal, report: Report, jobs: int, first_seed: int
) -> Generator[list[Result]]:
    """Yield results, a batch at a time, for ever."""
    seeds = _seeds(goal, report.coverage, orders, first_seed)
    if jobs == 1:
        _begin(orders)
        while True:
            yield _play([next(seeds)])
    with worker_pool(jobs, _begin, orders) as pool:
        played: dict[Future[list[Result]], list[int]] = {}

        def submit() -> None:
            batch = list(islice(seeds, BATCH))
            played[pool.submit(_play, batch)] = batch

        try:
            for _ in range(2 * jobs):
                submit()
            while True:
                for each in wait(played, return_when=FIRST_COMPLETED).done:
                    results = each.result()
                    del played[each]
                    submit()
                    yield results
        except BrokenProcessPool:
            seeds_played = _listed(played.values())
            raise SmabotError(
                f"a process of the simulation has died while it played one of the seeds {seeds_played}: "
                "play them with --jobs 1"
            ) from None


def _listed(batches: Iterable[list[int]]) -> str:
    return ", ".join(map(str, sorted(seed for batch in batches for seed in batch)))


def _seeds(goal: Goal, coverage: Coverage, orders: Orders, first_seed: int) -> Iterator[int]:
    """Yield seeds: in their order until every theme had its turn, then, by turns, those of what is lacking."""
    given, themes = set(coverage.seeds), orders.themes()

    def new(seeds: Iterable[int]) -> Iterator[int]:
        for seed in seeds:
            if seed not in given:
                given.add(seed)
                yield seed

    numbers = new(count(first_seed))
    if not goal.each_pair:
        yield from numbers
    reach = orders.reach()
    yield from islice(numbers, max(len(themes) - len(coverage.seeds), 0))
    while True:
        yield from new(islice(coverage.next_seeds(themes, goal.each_pair, reach), 64))
        yield from islice(numbers, 8)


def _begin(orders: Orders) -> None:
    global _setup
    _setup = orders.setup()


def _play(seeds: Sequence[int]) -> list[Result]:
    assert _setup is not None
    results = [_setup.play(_setup.draw.schedule(seed)) for seed in seeds]
    return [result.without_trace() if result.violation is None else result for result in results]
