"""Exits and cancels find room under the rate limit of a plugin's own broker: each fault takes it from them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smabot.domain.records import Order
from smabot.testing.simulation.room_rules import LEAST_LEFT
from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.setup import SYMBOLS, Setup

pytestmark = [pytest.mark.plugins, pytest.mark.slow]
MINUTES = 60
SEEDS = 8


def pressed(seed: int) -> Schedule:
    """Return a schedule with exits, while another program uses up the limit and the bot has much to query."""
    actions: list[Action] = []
    for minute in range(3, MINUTES, 5):
        following = minute + 1, minute + 2, minute + 3
        actions += [Action(minute, "want", s, 1, actor) for s in SYMBOLS for actor in "01"]
        actions.append(Action(minute + 1, "use_up", "3", LEAST_LEFT))
        actions += [Action(m, what, "closed") for m in following for what in ("updates", "bars")]
        for m, actors in ((minute + 2, "01"), (minute + 3, "10")):
            actions += [Action(m, "want", s, 0, a) for s, a in zip(SYMBOLS, actors, strict=True)]
    return Schedule(seed, True, MINUTES, tuple(actions))


def no_reserve(plant: Any) -> None:
    """Queries may use all of the limit."""
    from smabot_alpaca.rest import rate_limit

    plant.setattr(rate_limit, "_RESERVED", dict.fromkeys(rate_limit.Urgency, 0.0))


def exits_go_as_entries(plant: Any) -> None:
    """What is kept of the limit is kept from exits and cancels, too."""
    from smabot_alpaca.rest.rate_limit import RateLimiter, Urgency

    def make(original: Any) -> Any:
        return lambda self, urgency, timeout=0.0: original(
            self, max(urgency, Urgency.ENTRY), timeout
        )

    plant.instead(RateLimiter, "acquire", make)


@pytest.fixture(scope="module")
def served() -> Setup:
    pytest.importorskip("smabot_alpaca")
    return Setup(broker="alpaca", faults=["rate limit used up"])


@pytest.mark.parametrize("fault", [no_reserve, exits_go_as_entries], ids=lambda each: each.__name__)
@pytest.mark.parametrize("drawn", [False, True])
def test_planted_fault_is_found(served: Setup, plant: Any, fault: Any, drawn: bool) -> None:
    fault(plant)
    for schedule in map(served.draw.schedule if drawn else pressed, range(SEEDS)):
        if (found := served.play(schedule).violation) is not None:
            break
    else:
        pytest.fail(f"not found within {SEEDS} seeds")
    assert found.rule == "10 room"

    plant.undo()
    assert served.play(schedule).violation is None


def test_exits_leave_at_once_while_the_limit_is_used_up(served: Setup) -> None:
    waits = []
    for schedule in map(pressed, range(4)):
        world = served.world(schedule)
        result = world.run()
        assert result.violation is None
        assert result.faults["rate limit used up"] > 5
        orders = world.state.database.rows(Order)
        made = {o.client_order_id: o.created_at for o in orders if o.reduces}
        there = {order.client_order_id: order for order in world.state.exchange.orders()}
        waits += [there[name].submitted_at - time for name, time in made.items() if name in there]
    assert len(waits) > 20
    assert max(waits) < timedelta(seconds=5)
