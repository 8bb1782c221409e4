"""Shares that somebody trades by hand beside an exit: the account never gets short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import RefusalCause, Side, Status

LONG, FLAT = 1, 0
BUY, SELL = Side.BUY, Side.SELL
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
@pytest.mark.parametrize("sold", [10, 3])
@pytest.mark.parametrize("at", [-1, 0], ids=["a minute before", "in the same minute"])
def test_shares_sold_by_hand_end_the_run_before_the_exit_can_sell_them_again(
    calm: Any,
    alive: Any,
    foreign: str,
    sold: int,
    at: int,
    exits: Any,
    kinds: Any,
    ends_in_conflict: Any,
) -> None:
    """The hand's sale fills in the minute in which the strategy's exit is decided, or before it."""
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign=foreign) as bot:
        watch = bot.watch()
        bot.until(7 + at)
        bot.trade_by_hand(SELL, sold)
        with ends_in_conflict():
            bot.until(10)
        assert bot.session.feed.now() == minute(8 + at)
        assert (watch.lowest, bot.account_holds()) == (10 - sold, 10 - sold)
    assert exits(calm, Status.FILLED, Status.ACCEPTED) == []
    assert kinds(calm) == ["conflict", "external_activity"]
    with calm.opened(foreign=foreign) as session:
        assert [int(p.qty) for p in session.broker.positions()] == ([] if sold == 10 else [7])


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_hand_that_takes_the_exits_place_does_not_make_the_account_short(
    make_world: Any, limits: Any, alive: Any, foreign: str, killed: bool, ends_in_conflict: Any
) -> None:
    """The exit is open and has not filled; somebody cancels it and sells the shares himself."""
    bars: list[float | None] = [100.0] * 8 + [None] * 3 + [100.0] * 40
    world = make_world({"SPY": bars, "IBM": [50.0] * 51}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign=foreign) as bot:
        watch = bot.watch()
        bot.until(9)
        (exit_,) = bot.session.book.open_orders()
        at_exchange = bot.exchange
        at_exchange.cancel(at_exchange.order_by_client_id(exit_.client_order_id).id)
        bot.trade_by_hand(SELL, 10)
        if not killed:
            with ends_in_conflict():
                bot.until(20)
        assert (watch.lowest, bot.account_holds()) == ((10, 10) if killed else (0, 0))
    if killed:
        world.pass_by(4)
        with ends_in_conflict(), alive(world, foreign=foreign):
            pass
    with world.opened() as session:
        assert session.broker.positions() == []


@pytest.mark.parametrize(
    ("sold", "asked"),
    [(10, [(10, "rejected")]), (3, [(10, "rejected"), (7, "filled"), (3, "rejected")])],
)
@pytest.mark.parametrize("foreign", ["ignore", "conflict"])
def test_a_hands_resting_sale_that_fills_after_the_exit_was_asked_for(
    make_world: Any,
    limits: Any,
    alive: Any,
    foreign: str,
    sold: int,
    asked: list[Any],
    sizes: Any,
    ends_in_conflict: Any,
) -> None:
    world = make_world({"SPY": [100.0] * 8 + [110.0] * 40}, **limits())
    world.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(world, foreign=foreign) as bot:
        watch = bot.watch()
        bot.until(6)
        bot.trade_by_hand(SELL, sold, limit=105)
        with ends_in_conflict():
            bot.until(12)
        assert (bot.session.feed.now(), watch.lowest, bot.account_holds()) == (minute(9), 0, 0)
    assert sizes(world) == asked


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_a_hand_that_sells_what_another_strategy_holds_beside_an_exit(
    calm: Any, alive: Any, foreign: str, exits: Any, ends_in_conflict: Any
) -> None:
    """The hand's sale, and the exit that the other strategy decides on, meet in one minute."""
    calm.follow(a={("SPY", 2): LONG, ("SPY", 7): FLAT}, b={("SPY", 2): LONG, ("SPY", 8): FLAT})
    with alive(calm, foreign=foreign) as bot:
        watch = bot.watch()
        bot.until(8)
        bot.trade_by_hand(SELL, 10)
        with ends_in_conflict():
            bot.until(12)
        assert (bot.session.feed.now(), watch.lowest, bot.account_holds()) == (minute(9), 0, 0)
    assert [(o.strategy, o.status) for o in exits(calm) if o.status is not Status.PENDING] == [
        ("a", Status.FILLED)
    ]


@pytest.mark.parametrize("killed", [False, True])
def test_an_exit_sells_exactly_ours_of_what_is_held_beside_it(
    calm: Any, alive: Any, killed: bool, sizes: Any, kinds: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 9): FLAT})
    with alive(calm, foreign="ignore") as bot:
        bot.until(6)
        bot.trade_by_hand(BUY, 5)
        bot.until(8 if killed else 14)
        assert bot.session.book.net("SPY") == (10 if killed else 0)
    if killed:
        with alive(calm, foreign="ignore") as bot:
            bot.until(14)
    assert sizes(calm) == [(10, "filled")]
    assert kinds(calm) == ["external_activity"]
    with calm.opened(foreign="ignore") as session:
        assert [int(p.qty) for p in session.broker.positions()] == [5]


def test_shares_bought_by_hand_are_a_conflict_unless_they_are_to_be_ignored(
    calm: Any, alive: Any, ends_in_conflict: Any
) -> None:
    calm.follow(s={("SPY", 2): LONG, ("SPY", 9): FLAT})
    with alive(calm) as bot:
        bot.until(6)
        bot.trade_by_hand(BUY, 5)
        with ends_in_conflict():
            bot.until(14)


def test_an_exit_that_the_account_contradicts_is_compared_and_made_anew(
    calm: Any, limits: Any, alive: Any, exits: Any, sizes: Any, kinds: Any
) -> None:
    """The broker's view of the account lags: the refusal is no failure, and the exit goes again."""
    calm.settings |= limits({"max_failures": 1})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT}, t={("IBM", 12): LONG})
    with alive(calm) as bot:
        bot.until(7)
        watch = bot.watch()
        with lagging(bot, -10):
            bot.until(8)
        assert [o.status for o in bot.session.book.open_orders()] == [Status.ACCEPTED]
        bot.until(14)
        assert watch.lowest == 0
    assert sizes(calm) == [(10, "rejected"), (10, "filled")]
    first, second = exits(calm)
    assert (first.cause, second.attempt) == (RefusalCause.POSITION, 2)
    assert first.created_at == second.created_at
    assert calm.held() == {("t", "IBM"): 10}, "the breaker is armed"
    assert kinds(calm) == ["refused_exit"]


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_exit_that_the_account_contradicts_for_good_ends_in_a_conflict(
    calm: Any,
    limits: Any,
    alive: Any,
    foreign: str,
    exits: Any,
    sizes: Any,
    kinds: Any,
    ends_in_conflict: Any,
) -> None:
    """Shares leave the account with no order that tells of it."""
    calm.settings |= limits({"max_failures": 1})
    calm.follow(s={("SPY", 2): LONG, ("SPY", 7): FLAT})
    with alive(calm, foreign=foreign) as bot:
        bot.until(7)
        bot.exchange.adjust("SPY", Decimal(-10), Decimal(100))
        with ends_in_conflict():
            bot.until(8)
        assert bot.account_holds() == 0
    assert sizes(calm) == [(10, "rejected")]
    assert kinds(calm) == ["conflict", "refused_exit"]
    assert calm.accept() == 0
    calm.play(20)
    assert (calm.held(), len(exits(calm))) == ({}, 1)


@contextmanager
def lagging(bot: Any, qty: int) -> Iterator[None]:
    """The account lacks shares while the next order comes in."""
    send = bot.line._send

    def lacking(orders: Any) -> Any:
        bot.exchange.adjust("SPY", Decimal(qty), Decimal(100))
        try:
            return send(orders)
        finally:
            bot.exchange.adjust("SPY", Decimal(-qty), Decimal(100))
            bot.line._send = send

    bot.line._send = lacking
    yield
    assert bot.line._send is send
