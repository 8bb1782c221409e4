"""Orders and positions that can't be read: what may be ours is unknown, never absent."""

from __future__ import annotations

from typing import Any

import pytest

from smabot.engine.start.startup_reconciliation import compare_with_broker
from smabot.errors import PartlyUnreadable


@pytest.fixture
def world(make_world: Any) -> Any:
    world = make_world({"SPY": [100.0] * 30, "IBM": [50.0] * 30}, volume=50)
    world.play(3)
    return world


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("orders", ["by-hand-1", "smabot-sma-SPY-20260302T1430Z-1"]),
        ("orders", [""]),
        ("positions", ["TSLA", "SPY"]),
        ("positions", [""]),
    ],
)
def test_what_may_be_ours_leaves_the_comparison_without_an_answer(
    world: Any, question: str, names: list[str]
) -> None:
    with world.opened() as session:
        half_readable(session.broker, question, names)
        with pytest.raises(PartlyUnreadable, match="can't be read"):
            compare_with_broker(session)


@pytest.mark.parametrize(
    ("question", "names"), [("orders", ["by-hand-1"]), ("positions", ["TSLA", "AAPL240119C"])]
)
def test_what_is_not_ours_costs_a_word(world: Any, question: str, names: list[str]) -> None:
    with world.opened() as session:
        half_readable(session.broker, question, names)
        found = compare_with_broker(session)
        assert found is not None
        assert not found.conflicts


def half_readable(broker: Any, question: str, names: list[str]) -> None:
    ask = getattr(broker, question)

    def half(*given: Any) -> Any:
        raise PartlyUnreadable(f"{names[0]}: it can't be read", ask(*given), names)

    setattr(broker, question, half)
