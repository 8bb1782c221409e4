"""What `smabot simulate` does: plays schedules, shows sums, and a broken rule with its shrunk schedule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from smabot.cli.broker_options import load_settings
from smabot.cli.progress_bar import progress_bar
from smabot.cli.stop_signals import INTERRUPTED, TERMINATED, Terminated, interrupted_by_sigterm
from smabot.errors import ConfigError, UsageError, counted, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.testing.simulation.campaign import Orders
    from smabot.testing.simulation.coverage import Coverage
    from smabot.testing.simulation.schedule_result import Result

DEFAULT_SEEDS = 100
SHOWN_VIOLATIONS = 3
SHOWN_TRACE = 25
KEPT_EVERY = 30.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """The options of `smabot simulate`."""

    plugins: tuple[str, ...]
    """Those of the command line; empty: those of the settings."""
    faults: tuple[str, ...]
    seeds: int | None
    kills: int | None
    pairs: int
    first: int
    jobs: int
    resume: Path | None
    broker: str
    """The plugin whose broker and feed are played with; empty: simulated ones."""


def simulate_many(app: App, options: SimulationOptions) -> int:
    """Play seeds, show what was covered and what was broken; returns the exit code."""
    from smabot.cli.simulation_sums import Sums
    from smabot.testing.simulation.campaign import Goal, Report, run_campaign

    orders = _orders(app, options)
    seeds = options.seeds if options.seeds or options.kills else DEFAULT_SEEDS
    goal = Goal(seeds, options.kills, options.pairs)
    report = Report(_covered(options.resume, orders))
    before = report.coverage.kills
    keeper = _Keeper(options.resume)
    total = goal.kills - before if goal.kills else goal.seeds
    ended_by = 0
    with progress_bar(app, total) as tell_bar, interrupted_by_sigterm():

        def tell(played: int) -> None:
            keeper.keep_now_and_then(report.coverage)
            kills, broken = report.coverage.kills - before, len(report.coverage.broken)
            text = f"{counted(played, 'schedule')}, {counted(kills, 'kill')}, {broken} broken"
            tell_bar(kills if goal.kills else played, text)

        try:
            keeper.keep(report.coverage)
            run_campaign(
                orders, goal, report, jobs=options.jobs, first_seed=options.first, tell=tell
            )
        except KeyboardInterrupt as error:
            ended_by = TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    keeper.keep(report.coverage)
    broken = report.violations[:SHOWN_VIOLATIONS]
    if not ended_by:
        broken = _shrunk(app, orders, broken)
    sums = Sums(report.coverage, orders, options.pairs, interrupted=bool(ended_by))
    app.emit(
        {**sums.data(), "violations": [_violation(each) for each in broken]},
        [*sums.lines(), *_broken_lines(app, broken, orders)],
    )
    for name in sums.idle():
        app.warn(
            f"{name} never traded: 0 broken rules says nothing of it, but that it does no harm; give symbols and "
            "settings with which it signals on prices that wander by chance, or try `smabot verify`"
        )
    return ended_by or (1 if report.violations else 0)


def replay_schedule(app: App, options: SimulationOptions, replay: str) -> int:
    """Play the schedule of a seed or a file again and show it; returns the exit code."""
    orders = _orders(app, options)
    setup = orders.setup()
    schedule = _schedule_in(replay) if not replay.isdigit() else setup.draw.schedule(int(replay))
    result = setup.play(schedule)
    violation = str(result.violation) if result.violation else ""
    data = {
        "seed": schedule.seed, "actions": [str(action) for action in schedule.actions],
        "trace": result.trace, "kills": len(result.kills), "violation": violation,
    }  # fmt: skip
    happened = [*result.trace, "", violation or "no rule is broken"]
    actions = [str(action) for action in schedule.actions]
    app.emit(data, [*actions, "", *map(app.times.in_text, happened)])
    return 1 if violation else 0


# -- what is played ----------------------------------------------------------------------------------


def _orders(app: App, options: SimulationOptions) -> Orders:
    """Raises ConfigError, and UsageError for an unknown kind of fault."""
    from smabot.testing.simulation.campaign import Orders
    from smabot.testing.simulation.fault_kinds import kinds_for

    known = [kind.name for kind in kinds_for(served=bool(options.broker))]
    if options.faults == ("list",):
        raise UsageError(f"--faults takes {', '.join(known)}; or none")
    for name in options.faults:
        if name not in (*known, "none"):
            raise UsageError(
                f"--faults: no such kind: {name}{suggest(name, known)}; --faults list lists them"
            )
    config = load_settings(app, {"plugins": options.plugins}).config
    orders = Orders(config.plugins, options.faults, config.plugin, options.broker)
    orders.setup()
    return orders


def _schedule_in(path: str) -> Any:
    from smabot.testing.simulation.schedule import Schedule

    try:
        return Schedule.from_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--replay {path}: no seed, and no file: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"--replay {path}: is no schedule of `smabot simulate`") from None


def _covered(path: Path | None, orders: Orders) -> Coverage:
    """Return the sums that are to be added to. Raises ConfigError."""
    from smabot.testing.simulation.coverage import Coverage

    if path is None or not path.exists():
        return Coverage()
    try:
        covered = Coverage.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"--resume {path}: is no file of `smabot simulate --resume`") from None
    if covered.played_with not in ("", str(orders)):
        raise ConfigError(
            f"--resume {path}: was played with {covered.played_with}, and not with {orders}; give another file"
        )
    return covered


class _Keeper:
    """Keeps the sums in a file, where there is to be one; also while they grow, as a run may be ended early."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept_at = monotonic()

    def keep_now_and_then(self, coverage: Coverage) -> None:
        if monotonic() - self._kept_at >= KEPT_EVERY:
            self.keep(coverage)

    def keep(self, coverage: Coverage) -> None:
        """Raises ConfigError."""
        path = self._path
        if path is None:
            return
        unfinished = path.with_name(path.name + ".new")
        try:
            unfinished.write_text(coverage.to_json(), encoding="utf-8")
            unfinished.replace(path)
        except OSError as error:
            raise ConfigError(f"--resume {path}: can't be written: {error.strerror}") from None
        self._kept_at = monotonic()


def _shrunk(app: App, orders: Orders, results: list[Result]) -> list[Result]:
    from smabot.testing.simulation.shrinking import Shrinker

    if not results:
        return []
    setup, shrunk = orders.setup(), []
    with progress_bar(app, len(results)) as tell:
        for done, result in enumerate(results):
            tell(done, f"making the schedule of seed {result.schedule.seed} smaller")
            shrunk.append(Shrinker(setup.play).shrink(result))
    return shrunk


# -- what is shown -----------------------------------------------------------------------------------


def _violation(result: Result) -> dict[str, Any]:
    return {
        "seed": result.schedule.seed, "violation": str(result.violation),
        "actions": [str(action) for action in result.schedule.actions],
    }  # fmt: skip


def _broken_lines(app: App, broken: list[Result], orders: Orders) -> list[str]:
    lines: list[str] = []
    in_text = app.times.in_text
    with_plugins = f"--plugins {','.join(orders.plugins)}"
    with_plugins += f" --broker {orders.broker}" if orders.broker else ""
    for result in broken:
        path = _written(result)
        lines += [
            "",
            f"BROKEN, seed {result.schedule.seed}: {in_text(str(result.violation))}",
            "",
            "the schedule, as small as it gets:",
            *(f"  {action}" for action in result.schedule.actions),
            "",
            "what happened last:",
            *(f"  {in_text(line)}" for line in result.trace[-SHOWN_TRACE:]),
            "",
            f"play it again: smabot simulate {with_plugins} --replay {path}",
            f"as it was drawn: smabot simulate {with_plugins} --replay {result.schedule.seed}",
        ]
    return lines


def _written(result: Result) -> str:
    """Keep a shrunk schedule in the current folder; returns the file's name, or the seed where it can't be."""
    path = Path(f"smabot-broken-{result.schedule.seed}.json")
    try:
        path.write_text(result.schedule.to_json(), encoding="utf-8")
    except OSError:
        return str(result.schedule.seed)
    return str(path)
