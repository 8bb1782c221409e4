"""Kills a bot at each boundary, restarts it on what was kept, and compares its tables.

A kill keeps the journal and the exchange, and nothing else. Boundaries that leave the same in both are
one case, and are restarted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, Protocol

from smabot.errors import SmabotError, counted
from smabot.testing.durable_world import DurableWorld
from smabot.testing.kill_points import Switch
from smabot.testing.table_comparison import Tables, first_difference


class Restartable(Protocol):
    """What is killed: `smabot.testing.Bot`."""

    @property
    def world(self) -> DurableWorld: ...

    def again(self, world: DurableWorld | None = None) -> Any: ...

    def start(self, *, switch: Switch | None = None) -> Any: ...

    def run(self) -> Any: ...

    def kill(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Case:
    """A boundary, or two where the restart was killed, too: and what such a kill leaves."""

    path: tuple[int, ...]
    """The boundary's number in the uninterrupted run, and in each restart after it; from 1."""
    name: str
    time: datetime
    """Where the exchange's clock stood, UTC."""
    world: DurableWorld

    def __str__(self) -> str:
        where = f"boundary {self.path[0]}"
        if len(self.path) > 1:
            where += f", then at boundary {self.path[1]} of its restart"
        return f"{where} ({self.name}, {self.time:%Y-%m-%d %H:%M} UTC)"


@dataclass(frozen=True, slots=True)
class KillFailure:
    """The first case that did not end as the uninterrupted run."""

    case: Case
    what: str
    """What differs, or what the restart raised."""

    @property
    def replay(self) -> str:
        """The call that kills just there."""
        return f"bot.kill_at({', '.join(map(str, self.case.path))})"

    def __str__(self) -> str:
        return f"killed at {self.case}: {self.what}; replay: {self.replay}"


@dataclass(slots=True)
class KillReport:
    """What was tried, and the first case that failed."""

    boundaries: int = 0
    states: int = 0
    """Different states that a kill at these boundaries can leave."""
    tried: int = 0
    """How many of them were tried: all, unless fewer were asked for."""
    kills: int = 0
    """Restarts, with those of bots that were killed in a restart, too."""
    failure: KillFailure | None = None

    def __str__(self) -> str:
        said = (
            f"{self.boundaries:,} boundaries, {self.tried:,} of {self.states:,} states, "
            f"{counted(self.kills, 'kill')}"
        )
        return f"{said}: {self.failure or 'every table equal'}"


class Recorder:
    """A switch that never kills: it keeps what a kill at each boundary would leave, until it is stopped."""

    def __init__(
        self, world: DurableWorld, known: DurableWorld | None = None, most: int | None = None
    ) -> None:
        """``known``: a state that is a case already; ``most``: how many are kept, chosen by chance."""
        self.cases: list[Case] = []
        self.boundaries = 0
        self.states = 0
        self.stopped = False
        self._world = world
        self._last = known
        self._most = most
        self._chance = Random(1)  # noqa: S311 - the same ones each time

    def point(self, name: str) -> None:
        if self.stopped:
            return
        self.boundaries += 1
        if self._last is None or not self._last.is_as(self._world):
            self._last = world = self._world.copy()
            self.states += 1
            self._keep(Case((self.boundaries,), name, world.exchange.now(), world))

    def _keep(self, case: Case) -> None:
        """Keep a case; where there are too many, each has the same chance to be among those kept."""
        if self._most is None or len(self.cases) < self._most:
            self.cases.append(case)
            return
        place = self._chance.randrange(self.states)
        if place < self._most:
            self.cases[place] = case


class LastState(Recorder):
    """Keeps only what a kill at the boundary of a number leaves."""

    def __init__(self, world: DurableWorld, number: int) -> None:
        super().__init__(world)
        self._number = number

    def point(self, name: str) -> None:
        super().point(name)
        self.stopped = self.boundaries >= self._number

    def _keep(self, case: Case) -> None:
        self.cases = [case]


def kill_everywhere(
    bot: Restartable, most: int | None = None, tell: Callable[[float], None] = lambda part: None
) -> KillReport:
    """Try every boundary of a bot's life, and of each restart's start; stop at the first difference.

    ``most``: try only so many of the states, the same ones each time. ``tell`` is told which part is done,
    from 0 to 1.
    """
    whole = bot.again()
    recorder = Recorder(whole.world, most=most)
    whole.start(switch=recorder)
    expected = whole.run().tables
    cases = sorted(recorder.cases, key=lambda case: case.path)
    report = KillReport(recorder.boundaries, recorder.states)
    for number, case in enumerate(cases):
        tell(number / len(cases))
        report.tried += 1
        for each, found in _restarted(bot, case, deeper=most is None or number % 4 == 0):
            report.kills += 1
            if (what := _difference(expected, found)) is not None:
                report.failure = KillFailure(each, what)
                return report
    return report


def try_kill_at(bot: Restartable, path: Sequence[int]) -> KillReport:
    """Try one case again, as `Case.path` names it."""
    expected = bot.again().run().tables
    killed = killed_at(bot, path)
    case = Case(tuple(path), "replayed", killed.exchange.now(), killed.world)
    report = KillReport(1, 1, 1, 1)
    if (what := _difference(expected, _end(killed))) is not None:
        report.failure = KillFailure(case, what)
    return report


def killed_at(bot: Restartable, path: Sequence[int]) -> Any:
    """Return a bot that was killed at a boundary, and then at one of its restart's."""
    world = None
    for number in path:
        living = bot.again(world)
        recorder = LastState(living.world, number)
        living.start(switch=recorder)
        if not recorder.stopped:
            living.run()
        world = recorder.cases[-1].world
        living.kill()
    return bot.again(world)


def _restarted(
    bot: Restartable, case: Case, deeper: bool
) -> Iterator[tuple[Case, Tables | SmabotError]]:
    """Yield how a bot ends that was killed there; ``deeper``: and those killed in its restart, too."""
    restart = bot.again(case.world)
    recorder = Recorder(restart.world, case.world) if deeper else None
    yield case, _end(restart, recorder)
    for inner in recorder.cases if recorder is not None else ():
        path = (*case.path, *inner.path)
        yield replace(inner, path=path), _end(bot.again(inner.world))


def _end(bot: Restartable, recorder: Recorder | None = None) -> Tables | SmabotError:
    try:
        bot.start(switch=recorder)
        if recorder is not None:
            recorder.stopped = True
        tables: Tables = bot.run().tables
        return tables
    except SmabotError as error:
        bot.kill()
        return error


def _difference(expected: Tables, found: Tables | SmabotError) -> str | None:
    if isinstance(found, SmabotError):
        return f"the restart ends with: {found}"
    difference = first_difference(expected, found)
    return None if difference is None else str(difference)
