"""A refused exit: when it is tried again, with how many shares, and what the breaker makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.domain.order_terms import Side, Status

LONG, FLAT = 1, 0
BUY, SELL = Side.BUY, Side.SELL
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


# -- less is free than is held ---------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_free_is_sold_at_once_and_the_rest_as_soon_as_it_is(
    calm: Any, alive: Any, killed: bool, exits: Any, sizes: Any
) -> None:
    """Somebody's resting sale holds 4 of the 10 back, until he cancels it."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign="ignore") as bot:
        bot.until(6)
        resting = bot.trade_by_hand(SELL, 4, limit=500)
        bot.until(9 if killed else 16)
    if killed:
        with alive(calm, foreign="ignore") as bot:
            bot.until(16)
    assert calm.held() == {("s", "SPY"): 4}
    assert sizes(calm) == [(10, "rejected"), (6, "filled"), (4, "rejected"), (4, "rejected")]
    with alive(calm, foreign="ignore") as bot:
        bot.exchange.cancel(resting.id)
        bot.until(30)
        assert bot.account_holds() == 0
    assert sizes(calm)[4:] == [(4, "filled")]
    at = [(o.created_at - OPEN) // timedelta(minutes=1) for o in exits(calm)]
    assert at == [8, 8, 8, 12, 20]


# -- exits are tried again by the clock ------------------------------------------------------------


@pytest.mark.parametrize("by", ["another symbol's bars", "the clock alone"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_refused_exit_is_tried_again_where_its_symbol_has_no_bars(
    make_world: Any, limits: Any, alive: Any, by: str, killed: bool, exits: Any, sizes: Any
) -> None:
    """It met somebody's resting buy, which has gone before the pause is over."""
    world = make_world({"SPY": [100.0] * 8 + [None] * 30, "IBM": [50.0] * 38}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign="ignore") as bot:
        bot.until(6)
        resting = bot.trade_by_hand(BUY, 1, limit=90)
        bot.until(8)
        assert sizes(bot) == [(10, "rejected")]
        bot.exchange.cancel(resting.id)
        if by == "the clock alone":
            bot.pass_to(minute(8.9))
            assert len(exits(bot)) == 1
            bot.pass_to(minute(9))
        elif not killed:
            bot.until(9)
        assert len(exits(bot)) == (1 if killed and by != "the clock alone" else 2)
    if killed:
        with alive(world, foreign="ignore") as bot:
            bot.until(9)
    assert sizes(world) == [(10, "rejected"), (10, "accepted")]
    assert exits(world)[1].created_at == minute(9)


# -- refused exits and the breaker -----------------------------------------------------------------


def failures(world: Any) -> tuple[int, bool]:
    ((count, tripped),) = world.ask("SELECT failure_count, tripped FROM circuit_breaker")
    return count, bool(tripped)


def test_refused_exits_of_one_symbol_block_no_entries_in_another(
    make_world: Any, limits: Any, alive: Any, exits: Any
) -> None:
    """Ten strategies' exits meet somebody's resting buy."""
    world = make_world({"SPY": [100.0] * 60, "IBM": [50.0] * 60}, **limits({"max_failures": 5}))
    holders = {f"s{n}": {("SPY", 2): LONG, ("SPY", 7): FLAT} for n in range(10)}
    world.follow(**holders, t={("IBM", 12): LONG})
    with alive(world, foreign="ignore") as bot:
        bot.until(6)
        bot.trade_by_hand(BUY, 1, limit=90)
        bot.until(8)
        assert len(exits(bot, Status.REJECTED)) == 10
        assert failures(world) == (1, False)
    with alive(world, foreign="ignore") as bot:
        bot.until(12)
        assert failures(world) == (1, False)
        bot.until(15)
    assert world.held()["t", "IBM"] == 10
    assert not failures(world)[1]


def test_the_refusals_of_one_exit_count_once(
    calm: Any, limits: Any, alive: Any, exits: Any
) -> None:
    calm.settings |= limits({"max_failures": 2})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign="ignore") as bot:
        bot.until(6)
        bot.trade_by_hand(BUY, 1, limit=90)
        bot.until(30)
    with alive(calm, foreign="ignore") as bot:
        bot.until(80)
    assert len(exits(calm, Status.REJECTED)) == 8
    assert failures(calm) == (1, False)
