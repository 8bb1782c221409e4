"""The plugin's broker and feed in the simulation: real bytes, a virtual clock, kills, and faults of the line."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from smabot.testing.simulation.fault_kinds import SERVED_KINDS, Occasion
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.setup import SYMBOLS, Setup
from smabot.testing.simulation.world import World

pytestmark = pytest.mark.plugins

ROUND_TRIP = (Action(3, "want", "AAA", 1, "0"), Action(8, "want", "AAA", 0, "0"))
BOUNDARIES = (
    "before broker.submit", "after broker.submit", "before commit", "after commit",
    "taken from the feed: bars", "taken from the feed: order updates",
)  # fmt: skip
OF_STARTS = (
    "before broker.account",
    "before broker.orders",
    "after broker.positions",
    "after broker.bars",
)


@pytest.fixture(scope="module")
def setup() -> Setup:
    return Setup(broker="alpaca")


def played(setup: Setup, *actions: Action, seed: int = 0) -> Result:
    """Play a round trip with more actions."""
    result = setup.play(Schedule(seed, True, 12, (*ROUND_TRIP, *actions)))
    assert result.violation is None, "\n".join(result.trace[-40:])
    return result


def test_a_round_trip_is_made_over_requests_and_frames(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    traded: list[tuple[str, str]] = []
    end = World._bring_to_an_end

    def note(world: World) -> None:
        traded.extend((str(fill.side), fill.symbol) for fill in world.state.exchange.fills())
        end(world)

    monkeypatch.setattr(World, "_bring_to_an_end", note)
    result = played(setup)
    assert traded[0] == ("buy", "AAA")
    assert traded[-1] == ("sell", "AAA")
    assert result.starts == 1


@pytest.mark.parametrize("point", BOUNDARIES)
def test_it_is_killed_and_goes_on(setup: Setup, point: str) -> None:
    kills = [Action(minute, "kill", point) for minute in (3, 4, 8, 9)]
    result = played(setup, *kills)
    assert result.kills
    assert result.starts == 1 + len(result.kills)


@pytest.mark.parametrize("point", OF_STARTS)
def test_it_is_killed_while_it_starts_and_goes_on(setup: Setup, point: str) -> None:
    again = [Action(minute, "kill_start", point) for minute in (3, 8)]
    result = played(setup, *again, *(Action(minute, "kill", "after commit") for minute in (3, 8)))
    assert [kill.point for kill in result.kills] == ["after commit", point] * 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVED_KINDS, ids=lambda kind: kind.name)
def test_a_fault_of_the_line_strikes_and_harms_nobody(setup: Setup, kind: Any) -> None:
    what, _, fault = kind.name.partition(" ")
    drawn = kind.draw(Occasion(random.Random(0), 3, SYMBOLS))
    verbs = {"update": "updates", "bar": "bars"}
    actions: Sequence[Action] = (
        [Action(minute, verbs[what], fault) for minute in (3, 8)]
        if what in verbs
        else drawn
        if drawn[0].verb != "line"
        else [Action(minute, "line", fault, 2, what) for minute in (3, 8)]
    )
    if what == "cancel":
        actions = [*actions, Action(2, "exchange", "stuck_pending", 8)]
    assert played(setup, *actions).faults[kind.name]


def test_the_same_schedule_gives_the_same_run(setup: Setup) -> None:
    schedule = setup.draw.schedule(7)
    first, second = setup.play(schedule), setup.play(schedule)
    assert first.trace == second.trace
    assert first.steps == second.steps


def test_an_order_under_an_id_that_was_not_committed_is_noticed(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    import smabot_alpaca.broker as broker

    body_of = broker.order_body

    def another_id(order: Any, *, intent: bool) -> dict[str, Any]:
        return {**body_of(order, intent=intent), "client_order_id": "smabot-another"}

    monkeypatch.setattr(broker, "order_body", another_id)
    violation = setup.play(Schedule(0, True, 12, ROUND_TRIP)).violation
    assert violation is not None
    assert violation.rule == "1 committed first"


def test_a_server_error_that_is_taken_as_a_refusal_is_noticed(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smabot_alpaca.rest import client

    def refused(self: Any, status: int, *rest: Any) -> Exception:
        return client.RequestRefused(status, {"message": "a server error"})

    monkeypatch.setattr(client._Api, "_failure", refused)
    actions = (
        Action(3, "want", "AAA", 1, "1"),
        Action(3, "line", "error", 1, "submit"),
        Action(3, "updates", "dropped", 3),
        Action(7, "kill", "after commit"),
    )
    violation = setup.play(Schedule(0, True, 12, actions)).violation
    assert violation is not None
    assert violation.rule == "8 conflict"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_schedule_breaks_no_rule(setup: Setup, seed: int) -> None:
    result = setup.play(setup.draw.schedule(seed))
    assert result.violation is None, "\n".join(result.trace[-40:])
    assert result.kills
