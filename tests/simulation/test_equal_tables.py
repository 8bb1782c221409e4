"""Kills that take no time leave every table as it is without them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from smabot.domain.records import Bar, Signal
from smabot.testing.simulation.actors import Actor
from smabot.testing.simulation.equality import (
    INTERRUPTIONS,
    OF_CHECKS,
    comparable,
    uninterrupted,
)
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.setup import Setup

pytestmark = pytest.mark.plugins


def drawn(setup: Setup, seed: int) -> Schedule:
    return comparable(setup.draw.schedule(seed))


@pytest.mark.parametrize("seed", [1, 2, 5, 13])
def test_a_killed_run_ends_as_the_uninterrupted_one(setup: Setup, seed: int) -> None:
    result = setup.play(drawn(setup, seed))
    assert result.violation is None, result.violation
    assert len(result.kills) > 10


@pytest.mark.slow
def test_many_killed_runs_end_as_the_uninterrupted_ones(setup: Setup) -> None:
    kills = 0
    for seed in range(100, 180):
        result = setup.play(drawn(setup, seed))
        assert result.violation is None, (seed, result.violation)
        kills += len(result.kills)
    assert kills > 1_500


def test_a_strategy_that_counts_in_an_attribute_is_found(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_bar(self: Any, bar: Bar) -> Signal | None:
        self.seen = getattr(self, "seen", 0) + 1
        return None if self.seen % 7 else Signal.flat(bar) if self.seen % 2 else Signal.long(bar)

    monkeypatch.setattr(Actor.on_bar, "__code__", on_bar.__code__)
    monkeypatch.setitem(Actor.on_bar.__globals__, "getattr", getattr)
    schedule = Schedule(1, False, 30, (Action(10, "kill", "before commit", 1, "0"),), compared=True)
    violation = setup.play(schedule).violation
    assert violation is not None
    assert violation.rule == "11 equal"
    assert "signals" in str(violation)
    assert setup.play(replace(schedule, compared=False)).violation is None


def test_only_what_is_the_same_in_both_runs_is_compared(setup: Setup) -> None:
    verbs: Counter[str] = Counter()
    for seed in range(200):
        schedule = comparable(setup.draw.schedule(seed))
        assert (schedule.far, schedule.compared) == (False, True)
        for action in schedule.actions:
            verbs[action.verb] += 1
            assert action.verb not in ("line", "stream", "refused", "by_hand", "leave_out")
            assert action.verb != "kill" or action.detail == "0"
            assert action.verb != "stop" or action.count == 1
            assert action.what not in OF_CHECKS
        assert not INTERRUPTIONS & {each.verb for each in uninterrupted(schedule).actions}
    assert {*INTERRUPTIONS, "want", "operator", "exchange", "bars", "updates"} <= verbs.keys()


def test_a_share_of_the_drawn_schedules_is_compared_and_written_down_so(setup: Setup) -> None:
    drawn = [setup.draw.schedule(seed) for seed in range(400)]
    compared = [each for each in drawn if each.compared]
    assert 40 < len(compared) < 80
    assert Schedule.from_json(compared[0].to_json()) == compared[0]
