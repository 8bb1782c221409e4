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
    # A start requested no price at the bars that it decides on, so that an entry which is canceled at them
    # had no mark, as it has in a bot that was running.
    "a price that a start did not request": Schedule(
        265, False, 83,
        (
            Action(78, "kill", "after on_fill", 1, "0"), Action(80, "want", "BBB", 1, "0"),
            Action(80, "want", "AAA", 1, "0"),
        ), compared=True,
    ),
    # A start took an entry of its own, which waits for the collar's second bar, for an earlier process's.
    "an order that a start made": Schedule(
        193, False, 13,
        (
            Action(9, "want", "BBB", 1, "0"), Action(9, "kill", "taken from the feed: bars", 1, "0"),
            Action(10, "want", "BBB", 0, "0"),
        ), compared=True,
    ),
    # Exits of two symbols left at one instant, after a kill in the other order.
    "a fault for the first of two orders": Schedule(
        199, False, 11,
        (
            Action(1, "want", "BBB", 1, "0"), Action(1, "kill", "after broker.order", 3, "0"),
            Action(2, "want", "AAA", 1, "0"), Action(5, "want", "BBB", 1, "1"),
            Action(5, "kill", "before broker.submit", 1, "0"), Action(8, "want", "BBB", 0, "0"),
            Action(8, "want", "AAA", 0, "0"), Action(8, "exchange", "stuck_pending", 3, "AAA"),
        ), compared=True,
    ),
    # A start during the close missed a signal, and looked after no order of that position until the signal
    # could be acted on, in the next session: not even after one that was left open at the close.
    "an order of a position whose signal was missed": Schedule(
        491, True, 54,
        (
            Action(40, "want", "AAA", 1, "0"), Action(45, "kill", "before broker.submit", 2, "1"),
            Action(48, "want", "BBB", 1, "0"), Action(49, "want", "AAA", 0, "0"),
            Action(49, "kill", "after broker.cancel", 3, "7"), Action(51, "want", "AAA", 1, "0"),
        ),
    ),
}  # fmt: skip
FOUND_WITH_SMA: dict[str, Schedule] = {
    # The key was refused for two minutes, and the next step came minutes later: the bot gave up without
    # asking again.
    "a key that is accepted again while nothing happens": Schedule(
        3349, True, 83, (Action(80, "refused", "key", 2),)
    ),
    # An entry was committed while the limits were off, and left at a start at which they were on again.
    "an entry beyond a limit that was off when it was made": Schedule(
        3969, False, 90,
        (
            Action(1, "want", "BBB", 1, "0"), Action(1, "line", "lost", 5, "cancel"),
            Action(2, "want", "BBB", 0, "0"), Action(2, "want", "AAA", 1, "1"),
            Action(4, "want", "AAA", 1, "0"), Action(8, "want", "BBB", 1, "1"),
            Action(9, "want", "AAA", 0, "0"), Action(17, "want", "BBB", 0, "1"),
            Action(18, "want", "AAA", 1, "0"), Action(28, "want", "BBB", 1, "0"),
            Action(30, "want", "AAA", 0, "0"), Action(30, "want", "BBB", 1, "1"),
            Action(39, "without_plugin", "risk.daily_limits"), Action(44, "without_plugin"),
            Action(40, "want", "BBB", 1, "1"), Action(40, "want", "AAA", 1, "0"),
            Action(40, "kill", "before commit", 1, "0"), Action(41, "want", "AAA", 0, "0"),
            Action(43, "kill_start", "start: journal"), Action(44, "want", "AAA", 1, "0"),
            Action(44, "kill", "after commit", 1, "0"), Action(44, "kill_start", "start: journal"),
        ),
    ),
    # An entry within `max_orders` was not sent again after a kill, as an exit beyond it had been made by then.
    "an exit that is made before an entry leaves": Schedule(
        819, False, 84,
        (
            Action(54, "want", "AAA", 1, "0"), Action(60, "want", "BBB", 1, "0"),
            Action(61, "want", "BBB", 1, "1"), Action(61, "want", "AAA", 0, "0"),
            Action(64, "want", "BBB", 0, "1"), Action(65, "want", "AAA", 1, "1"),
            Action(66, "want", "BBB", 0, "0"), Action(67, "want", "AAA", 0, "1"),
            Action(73, "want", "AAA", 1, "1"), Action(73, "want", "BBB", 1, "0"),
            Action(74, "want", "AAA", 0, "1"), Action(77, "want", "AAA", 1, "1"),
            Action(78, "want", "BBB", 1, "1"), Action(79, "want", "AAA", 0, "1"),
            Action(79, "kill", "before broker.submit", 2, "0"), Action(81, "want", "AAA", 1, "1"),
            Action(81, "want", "BBB", 0, "0"),
        ), compared=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_it_breaks_no_rule_any_more(setup: Setup, name: str) -> None:
    result = setup.play(FOUND[name])
    assert result.violation is None, "\n".join(result.trace[-20:])


@pytest.mark.parametrize("name", FOUND_WITH_SMA)
def test_it_breaks_no_rule_beside_sma_any_more(name: str) -> None:
    pytest.importorskip("smabot_sma")
    result = Setup(("sma", "risk")).play(FOUND_WITH_SMA[name])
    assert result.violation is None, "\n".join(result.trace[-20:])
