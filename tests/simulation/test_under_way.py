"""What is under way when a bot is killed is recorded, counted and shown."""

from __future__ import annotations

import json

import pytest

from smabot.testing.simulation.campaign import Goal, Orders, run_campaign
from smabot.testing.simulation.coverage import Coverage
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.setup import Setup
from smabot.testing.simulation.under_way import CIRCUMSTANCES

pytestmark = pytest.mark.plugins

ENTRY = Action(3, "want", "AAA", 1, "0")
SOLD = Action(6, "want", "AAA", 0, "0")
CASES: dict[str, tuple[Action, ...]] = {
    "halt in force": (Action(4, "operator", "halt"), Action(6, "kill", "before on_bar")),
    "flatten not done": (Action(6, "operator", "flatten"), Action(6, "kill", "after commit")),
    "command being carried out": (Action(6, "operator", "halt"), Action(6, "kill", "before on_bar")),
    "entries paused": (Action(6, "stream"), Action(6, "want", "BBB", 1, "0"), Action(8, "kill", "before commit")),
    "entry waits": (Action(3, "kill", "before broker.submit"),),
    "exit waits": (SOLD, Action(6, "kill", "before broker.submit")),
    "new date": (Action(52, "kill", "before commit"),),
    "session just opened": (Action(1, "kill", "before commit"),),
}  # fmt: skip


@pytest.mark.parametrize("circumstance", CASES)
def test_a_kill_in_a_circumstance_is_recorded(setup: Setup, circumstance: str) -> None:
    """And one without it is not."""
    early = Action(2, "kill", "before commit")
    result = setup.play(Schedule(0, False, 60, (early, ENTRY, *CASES[circumstance])))
    assert result.violation is None, result.violation
    first, *_, last = result.kills
    assert circumstance in last.under_way
    assert circumstance not in first.under_way or circumstance == "session just opened"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_small_campaign_meets_each_circumstance() -> None:
    coverage = run_campaign(Orders(), Goal(seeds=40)).coverage
    assert list(CIRCUMSTANCES) == [name for name in CIRCUMSTANCES if coverage.under_way[name]]
    assert set(coverage.under_way) == set(CIRCUMSTANCES)


def test_sums_of_a_version_without_circumstances_can_be_gone_on_with() -> None:
    earlier = json.loads(Coverage(schedules=3, kills=7).to_json())
    del earlier["under_way"]
    kept = Coverage.from_json(json.dumps(earlier))
    assert (kept.schedules, kept.kills, kept.under_way.total()) == (3, 7, 0)


def test_kills_count_by_circumstance_and_add_up(setup: Setup) -> None:
    one, both = Coverage(), Coverage()
    actions = (ENTRY, Action(4, "operator", "halt"), Action(6, "kill", "before on_bar"))
    result = setup.play(Schedule(0, False, 12, actions))
    one.add(result)
    assert one.under_way["halt in force"] == 1
    both.merge(one)
    both.merge(Coverage.from_json(one.to_json()))
    assert both.under_way["halt in force"] == 2
