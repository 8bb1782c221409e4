"""A halt counts from the moment it lies in the database, whatever was decided before it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.plugins import Plugins
from smabot.records import Command, Order, Side
from smabot.recovery import apply_command

LONG, FLAT = 1, 0
HALT = Command("1", "halt", "news", datetime(2026, 3, 2, 14, 30, tzinfo=UTC))


def short(world: Any) -> list[tuple[str, str]]:
    return [(order.side.value, order.status.value) for order in world.rows(Order)]


@pytest.fixture
def world(make_world: Any) -> Any:
    return make_world({"SPY": [100.0] * 20})


def test_an_entry_that_was_not_sent_before_a_halt_is_not_sent_after_it(world: Any) -> None:
    world.follow(s={("SPY", 4): LONG})
    world.killed_before_sending()
    assert short(world) == [("buy", "pending")]
    config = world.config()
    assert apply_command(config, Plugins.load(config), HALT).startswith("halted")
    world.play(3)
    assert short(world) == [("buy", "abandoned")]
    assert world.held() == {}


def test_an_exit_that_was_not_sent_before_a_halt_is_sent_after_it(world: Any) -> None:
    world.follow(s={("SPY", 2): LONG})
    world.play(5)
    world.follow(s={("SPY", 6): FLAT})
    world.killed_before_sending()
    config = world.config()
    apply_command(config, Plugins.load(config), HALT)
    world.play(3)
    assert short(world) == [("buy", "filled"), (Side.SELL.value, "filled")]
    assert world.held() == {}


def test_a_halt_that_lies_there_before_the_bar_blocks_what_the_bar_causes(world: Any) -> None:
    world.follow(s={("SPY", 4): LONG})
    with world.started() as (session, engine):
        world.go(engine, 4)
        assert session.journal is not None
        session.journal.send(HALT)
        world.go(engine, 3)
    (order,) = world.rows(Order)
    assert (order.status.value, order.reason) == ("blocked", "halted: news")
    assert order.submitted_at is None
