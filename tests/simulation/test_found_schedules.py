"""Schedules that have broken a rule once, as small as they got: each is a bug that must not come again."""

from __future__ import annotations

import pytest

from smabot.testing.simulation.schedule import Action, Schedule
from smabot.testing.simulation.setup import Setup

pytestmark = pytest.mark.plugins

FOUND: dict[str, Schedule] = {
    # An exchange left a DAY order open at its close, and the request to cancel it was lost. The bot gave
    # the order up and never asked again, so that it stood in the way of every exit in its symbol.
    "a cancel that was lost before its order was given up": Schedule(
        412, False, 90,
        (
            Action(39, "line", "lost", 2, "cancel"), Action(41, "want", "AAA", 1, "0"),
            Action(41, "exchange", "left_at_close", 1, "BBB"), Action(48, "want", "AAA", 1, "1"),
            Action(86, "want", "AAA", 0, "0"),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_it_breaks_no_rule_any_more(setup: Setup, name: str) -> None:
    result = setup.play(FOUND[name])
    assert result.violation is None, "\n".join(result.trace[-20:])
