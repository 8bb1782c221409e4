"""Schedules of kills and faults on a whole bot: many break no rule, each can be played again."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections import Counter

import pytest

from smabot.testing.simulation.campaign import Goal, Orders, Report, run_campaign
from smabot.testing.simulation.coverage import Coverage
from smabot.testing.simulation.fault_kinds import FAULT_KINDS, kinds_for
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.setup import Setup
from smabot.testing.simulation.shrinking import Shrinker
from smabot.testing.simulation.themes import POINTS, Themes
from smabot.testing.simulation.unreachable import Reach

pytestmark = pytest.mark.plugins
KILLS = 20_000
FIRST_SEEDS = (0, 500)
"""Each half of the kills has seeds of its own."""


def broken(report: object) -> str:
    violations = getattr(report, "violations")  # noqa: B009
    return "\n".join(f"seed {each.schedule.seed}: {each.violation}" for each in violations)


def test_some_seeds_break_no_rule() -> None:
    report = run_campaign(Orders(), Goal(seeds=12))
    assert not report.coverage.broken, broken(report)
    coverage = report.coverage
    assert coverage.kills > 150
    assert coverage.killed_starts <= coverage.kills / 4 + 1
    assert coverage.starts > coverage.kills, "each kill was followed by a start"


@pytest.mark.slow(seconds=140)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_twenty_thousand_kills_break_no_rule(first: int) -> None:
    report = run_campaign(Orders(), Goal(kills=KILLS // len(FIRST_SEEDS)), first_seed=first)
    assert not report.coverage.broken, broken(report)
    coverage = report.coverage
    assert coverage.kills >= KILLS // len(FIRST_SEEDS)
    assert not coverage.seeds & {*FIRST_SEEDS} - {first}, "seeds of another half"
    missed = {kind.name for kind in FAULT_KINDS} - set(coverage.faults)
    assert not missed, "kinds of faults that never struck"
    assert not set(POINTS) - set(coverage.points), "boundaries without a kill"


@pytest.mark.parametrize("seed", [3, 10])
def test_a_schedule_gives_the_same_run_each_time(setup: Setup, seed: int) -> None:
    """In any process, whatever order its sets have."""
    schedule = setup.draw.schedule(seed)
    one, other = setup.play(schedule), setup.play(Schedule.from_json(schedule.to_json()))
    assert (one.trace, one.steps, one.kills) == (other.trace, other.steps, other.kills)
    program = (
        "from smabot.testing.simulation.setup import Setup\n"
        f"setup = Setup(); print('\\n'.join(setup.play(setup.draw.schedule({seed})).trace))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == one.trace


@pytest.mark.parametrize("served", [False, True])
def test_seeds_have_all_themes_in_turn(served: bool) -> None:
    themes = Themes(served=served)
    assert {themes.of(seed) for seed in range(len(themes))} == set(themes)
    assert {theme.fault for theme in themes} == set(kinds_for(served=served))
    for place in (0, 17, len(themes) - 1):
        assert [themes.of(themes.seed(place, turn)) for turn in (0, 1)] == [themes[place]] * 2
    assert themes.seed(17, 0) != themes.seed(17, 1)


def test_a_broken_rule_is_found_and_shrunk(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is a planted one: AAA must never be held."""
    monkeypatch.setattr("smabot.testing.simulation.judge.Judge.after_step", _fails_after_buying)
    actions = [Action(minute, "want", "BBB", minute % 2) for minute in range(2, 30)]
    actions += [Action(minute, "operator", "resume") for minute in range(30)]
    schedule = Schedule(1, False, 40, (*actions, Action(5, "want", "AAA", 1)))
    found = setup.play(schedule)
    assert found.violation is not None
    shrunk = Shrinker(setup.play).shrink(found)
    assert [str(action) for action in shrunk.schedule.actions] == ["minute   5: want AAA"]
    assert shrunk.schedule.minutes < schedule.minutes
    assert setup.play(shrunk.schedule).violation is not None, "it can be played again"


def _fails_after_buying(judge: object) -> None:
    from smabot.testing.simulation.judge import Violation

    if getattr(judge, "_exchange").positions().get("AAA"):  # noqa: B009
        raise Violation("5 short", "as planted")


def test_coverage_can_be_kept_and_gone_on_with() -> None:
    first = run_campaign(Orders(), Goal(seeds=3)).coverage
    kept = Coverage.from_json(first.to_json())
    assert kept == first
    later = run_campaign(Orders(), Goal(seeds=2), Report(kept)).coverage
    assert later.seeds == {0, 1, 2, 3, 4}
    assert later.schedules == 5
    sums = Counter(first.points)
    assert all(later.points[point] >= times for point, times in sums.items())


@pytest.mark.parametrize("broker", ["", "alpaca"])
def test_seeds_are_steered_to_what_is_lacking(broker: str) -> None:
    coverage, themes = Coverage(), Orders(broker=broker).themes()
    lacking = dict(coverage.lacking(themes, 1, Reach()))
    assert len(lacking) > 4_000
    theme = themes[next(iter(lacking))]
    coverage.pairs[f"{theme.point} × {theme.fault.name}"] += 1
    assert len(dict(coverage.lacking(themes, 1, Reach()))) < len(lacking)
    assert themes.of(next(coverage.next_seeds(themes, 1, Reach()))) in {
        themes[place] for place, _ in coverage.lacking(themes, 1, Reach())
    }


def test_what_a_process_finds_reaches_the_one_that_asked() -> None:
    from smabot.testing.simulation.judge import Violation

    kept = pickle.loads(pickle.dumps(Violation("5 short", "the account holds -1 AAA")))
    assert (kept.rule, str(kept)) == ("5 short", "5 short: the account holds -1 AAA")
