"""What `reconcile --accept broker` takes over has true sums: only what was traded is profit or loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.cash_movements import CashMovement
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import (
    ZERO,
    Account,
    Adjustment,
    Batch,
    Fill,
    Order,
    OrderUpdate,
    Position,
)
from smabot.errors import ConflictError
from smabot_exchange.matching.activity_notes import ActivityNote
from smabot_persistence_sqlite.integrity_check import check_database

LONG, FLAT = 1, 0
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def minute(number: int) -> datetime:
    return OPEN + timedelta(minutes=number)


def at_the_exchange(world: Any, what: Callable[[Any], object]) -> None:
    """Let something happen to the account from outside, while no bot runs."""
    with world.opened() as session:
        what(session.broker._exchange)


def deposit(world: Any, dollars: int) -> None:
    """Move cash that no activity explains."""
    unlisted = ActivityNote("CSD", shown_after=None)
    at_the_exchange(world, lambda exchange: exchange.transfer(Decimal(dollars), unlisted))


def agree(world: Any) -> Decimal:
    """The books agree, in cash too, and what is not from outside is profit or loss; returns that."""
    assert world.compared() == 0
    assert check_database(world.db) == []
    with world.opened() as session:
        book, account = session.book, session.book.account
        assert account.cash == session.broker.account().cash
        held = [p for p in book.positions.values() if p.qty]
        unrealized = book.positions_value() - sum((p.cost for p in held), ZERO)
        profit: Decimal = book.equity() - account.opening_cash
        assert profit == book.realized_pnl() + unrealized
    return profit


def realized(world: Any) -> Decimal:
    return sum((position.realized_pnl for position in world.rows(Position)), ZERO)


@pytest.fixture
def holding(make_world: Any) -> Any:
    """10 SPY bought at 100, which are worth 110 since minute 5."""
    world = make_world({"SPY": [100.0] * 5 + [110.0] * 60, "IBM": [50.0] * 65})
    world.follow(s={("SPY", 2): LONG})
    world.play(7)
    assert world.held() == {("s", "SPY"): 10}
    return world


@pytest.mark.parametrize("dollars", [10_000, -10_000, 1])
def test_cash_from_outside_is_neither_profit_nor_loss(holding: Any, dollars: int) -> None:
    deposit(holding, dollars)
    assert holding.accept() == 0
    assert agree(holding) == 100
    (row,) = holding.rows(Adjustment)
    assert (row.strategy, row.symbol, row.qty, row.cash) == ("", "", 0, dollars)
    (account,) = holding.rows(Account)
    assert account.opening_cash == 100_000 + dollars
    assert holding.accept() == 0
    assert len(holding.rows(Adjustment)) == 1


def earned_in_all(world: Any) -> Decimal:
    """Return equity less opening cash, once the books agree."""
    assert world.compared() == 0
    with world.opened() as session:
        account = session.book.account
        assert account.cash == session.broker.account().cash
        profit: Decimal = session.book.equity() - account.opening_cash
    return profit


@pytest.mark.parametrize(("code", "earned"), [("DIV", 7), ("FEE", 7), ("CSD", 0), ("JNLC", 0)])
def test_cash_that_an_activity_explains_is_booked_by_itself(
    holding: Any, code: str, earned: int
) -> None:
    at_the_exchange(holding, lambda exchange: exchange.transfer(Decimal(7), ActivityNote(code)))
    holding.play(9)
    assert earned_in_all(holding) == 100 + earned
    (row,) = holding.rows(CashMovement)
    assert (row.amount, row.counted) == (7, True)
    assert holding.rows(Adjustment) == []


def test_cash_that_was_adopted_before_its_activity_came_counts_once(holding: Any) -> None:
    late = ActivityNote("DIV", shown_after=timedelta(minutes=5))
    at_the_exchange(holding, lambda exchange: exchange.transfer(Decimal(7), late))
    assert holding.accept() == 0
    assert earned_in_all(holding) == 100
    holding.play(20)
    holding.play(2)
    assert earned_in_all(holding) == 107
    assert sum(row.cash for row in holding.rows(Adjustment)) == 0
    assert len(holding.rows(CashMovement)) == 1


def test_cash_from_outside_is_told_and_changes_nothing_by_itself(
    holding: Any, dumper: Any, capsys: Any
) -> None:
    deposit(holding, 10_000)
    before = dumper(holding.db, without=())
    assert holding.compared() == 0
    assert "cash differs by 10,000.00" in capsys.readouterr().out
    assert dumper(holding.db, without=()) == before


@pytest.mark.parametrize("dollars", [0, 10_000, -300])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_sale_by_hand_realizes_what_it_brought_and_a_deposit_nothing(
    holding: Any, make_order: Any, dollars: int, earlier: bool
) -> None:
    """``earlier``: the bot has marked its equity since."""
    holding.there(make_order(Status.PENDING, side=Side.SELL, client_order_id="hand-1"), minutes=2)
    if earlier:
        time = minute(20)
        with holding.opened() as session:
            session.journal.commit([replace(session.book.point, time=time)])
    if dollars:
        deposit(holding, dollars)
    assert holding.accept() == 0
    assert agree(holding) == realized(holding) == 100
    row = next(row for row in holding.rows(Adjustment) if row.symbol)
    assert (row.qty, row.price, row.cash, row.realized_pnl) == (-10, 110, 1100, 100)


def test_a_purchase_by_hand_costs_what_was_paid(holding: Any, make_order: Any) -> None:
    by_hand = make_order(Status.PENDING, client_order_id="hand-1", qty=Decimal(5))
    holding.there(by_hand, minutes=2)
    assert holding.accept() == 0
    assert agree(holding) == 100
    (position,) = holding.rows(Position)
    assert (position.qty, position.cost) == (15, 1550)


def test_shares_that_come_and_go_with_nothing_to_tell_how_earn_nothing(holding: Any) -> None:
    """Transferred, say: they count at their last price, though they were bought for less."""
    at_the_exchange(holding, lambda exchange: exchange.adjust("IBM", Decimal(100), Decimal(5)))
    assert holding.accept() == 0
    assert agree(holding) == 100
    assert holding.held()["", "IBM"] == 100
    at_the_exchange(holding, lambda exchange: exchange.adjust("IBM", Decimal(-100), Decimal(5)))
    at_the_exchange(holding, lambda exchange: exchange.adjust("SPY", Decimal(-10), Decimal(5)))
    assert holding.accept() == 0
    assert agree(holding) == realized(holding) == 100
    assert holding.held() == {}


@pytest.mark.parametrize(("more", "price"), [(10, 50), (-5, 200)])
def test_a_split_leaves_cost_and_worth_as_they_are(holding: Any, more: int, price: int) -> None:
    def split(exchange: Any) -> None:
        exchange.adjust("SPY", Decimal(-10), Decimal(100))
        exchange.adjust("SPY", Decimal(10 + more), Decimal(price))

    at_the_exchange(holding, split)
    assert holding.accept() == 0
    (position,) = holding.rows(Position)
    assert (position.qty, position.cost, position.realized_pnl) == (10 + more, 1000, 0)
    (account,) = holding.rows(Account)
    assert (account.cash, account.opening_cash) == (99_000, 100_000)
    assert agree(holding) == 100


def test_a_taken_over_sale_of_shares_that_nobody_held_earns_nothing(
    holding: Any, make_order: Any
) -> None:
    """Somebody else's shares, sold under this bot's name."""
    at_the_exchange(holding, lambda exchange: exchange.adjust("IBM", Decimal(4), Decimal(20)))
    sale = make_order(
        Status.PENDING, client_order_id="smabot-s-IBM-20260302T1436Z-1", symbol="IBM",
        side=Side.SELL, qty=Decimal(4),
    )  # fmt: skip
    holding.there(sale, minutes=2)
    assert holding.accept() == 0
    assert agree(holding) == 100
    assert realized(holding) == sum((fill.realized_pnl for fill in holding.rows(Fill)), ZERO) == 0
    assert holding.held() == {("s", "SPY"): 10}


def test_a_taken_over_sale_of_more_than_was_held_earns_what_was_held(
    holding: Any, make_order: Any
) -> None:
    at_the_exchange(holding, lambda exchange: exchange.adjust("SPY", Decimal(4), Decimal(20)))
    sale = make_order(
        Status.PENDING, client_order_id="smabot-s-SPY-20260302T1436Z-1", side=Side.SELL,
        qty=Decimal(14),
    )  # fmt: skip
    holding.there(sale, minutes=2)
    assert holding.accept() == 0
    assert agree(holding) == realized(holding) == 100
    assert holding.held() == {}


def test_an_order_of_another_size_is_taken_over_at_once(holding: Any, make_order: Any) -> None:
    """With its fills: one acceptance is enough."""
    written = make_order(Status.ACCEPTED, minute=7, symbol="IBM", strategy="s")
    holding.here(written)
    holding.there(replace(written, qty=Decimal(7)), minutes=2)
    assert holding.accept() == 0
    assert agree(holding) == 100
    assert holding.held() == {("s", "SPY"): 10, ("s", "IBM"): 7}
    assert holding.rows(Adjustment) == []
    order = holding.rows(Order)[-1]
    assert (order.qty, order.filled_qty, order.status) == (7, 7, Status.FILLED)


@pytest.mark.parametrize("whole", [False, True], ids=["part of a fill", "a whole fill"])
def test_a_busted_fill_that_fills_again_counts_once(
    make_world: Any, dumper: Any, whole: bool
) -> None:
    """The exchange has filled 8 of the exit; the bot was told of 10, and 2 of them were busted."""
    world = make_world({"SPY": [100.0] * 5 + [110.0] * 60}, volume=80)
    world.follow(s={("SPY", 2): LONG, ("SPY", 8): FLAT})
    with world.started() as (session, engine):
        while session.book.holding("s", "SPY") != 2 or session.feed.now() < minute(9):
            world.go(engine, 1)
        (exit_,) = session.book.open_orders()
        told = OrderUpdate(
            exit_.client_order_id, Status.FILLED, session.feed.now(), None, Decimal(10),
            Decimal(110), filled_at=session.feed.now(),
        )  # fmt: skip
        engine.step(Batch(session.feed.now(), updates=(told,)))
        if not whole:
            merged = replace(
                session.journal.row(Fill, exit_.client_order_id, Decimal(10)), qty=Decimal(10),
                realized_pnl=Decimal(100),
            )  # fmt: skip
            first = session.journal.row(Fill, exit_.client_order_id, Decimal(8))
            session.journal.commit([merged, replace(first, qty=ZERO, realized_pnl=ZERO)])
    assert realized(world) == 100
    assert world.refused(dumper) == {"overfilled_locally"}
    assert world.accept() == 0
    assert agree(world) == 100
    assert world.held() == {("s", "SPY"): 2}
    assert realized(world) == world.rows(Order)[-1].realized_pnl == 80
    world.play(5)
    assert world.held() == {}
    assert agree(world) == realized(world) == world.rows(Order)[-1].realized_pnl == 100
    assert sum((fill.realized_pnl for fill in world.rows(Fill)), ZERO) == 100


def test_a_sale_by_hand_that_fills_over_two_acceptances_counts_once(
    make_world: Any, make_order: Any
) -> None:
    """Its rest is no part of a deposit, nor a deposit a part of it."""
    world = make_world(
        {"SPY": [100.0] * 8 + [60.0] * 60}, volume=1000,
        sizing={"method": "shares", "shares": 240},
    )  # fmt: skip
    world.follow(s={("SPY", 1): LONG})
    world.play(6)
    assert world.held() == {("s", "SPY"): 240}
    sale = make_order(
        Status.PENDING, side=Side.SELL, client_order_id="hand-1", qty=Decimal(240)
    )  # fmt: skip
    world.there(sale, minutes=1)
    with pytest.raises(ConflictError, match="remain"):
        world.accept()
    first = world.rows(Adjustment)
    assert 0 < -sum(row.qty for row in first) < 240
    world.pass_by(6)
    deposit(world, 100)
    assert world.accept() == 0
    (account,) = world.rows(Account)
    assert account.opening_cash == 100_100
    rows = [row for row in world.rows(Adjustment) if row.symbol]
    assert {row.client_order_id for row in rows} == {"hand-1"}
    assert sum(row.qty for row in rows) == -240
    assert agree(world) == realized(world)
    assert world.held() == {}


@pytest.mark.parametrize("dollars", [0, 500])
def test_shares_that_others_bought_and_sold_are_profit_and_no_deposit(
    make_world: Any, make_order: Any, capsys: Any, dollars: int
) -> None:
    """10 bought by hand at 100 and sold at 120: no position differs by that."""
    world = make_world({"SPY": [100.0] * 10 + [120.0] * 60})
    world.follow(s={("SPY", 2): LONG})
    world.play(5)
    for number, side in enumerate((Side.BUY, Side.SELL)):
        by_hand = make_order(Status.PENDING, side=side, client_order_id=f"hand-{number}")
        world.there(by_hand, minutes=8)
    if dollars:
        deposit(world, dollars)
    assert world.accept() == 0
    assert "cash differs by 200.00 (others traded SPY)" in capsys.readouterr().out
    world.play(1)
    assert agree(world) == 400
    assert realized(world) == 200
    (account,) = world.rows(Account)
    assert account.opening_cash == 100_000 + dollars
    assert world.held() == {("s", "SPY"): 10}
    written = len(world.rows(Adjustment))
    assert world.accept() == 0
    assert len(world.rows(Adjustment)) == written


def test_shares_that_others_bought_sold_and_bought_again_count_each_time(
    make_world: Any, make_order: Any
) -> None:
    world = make_world({"SPY": [100.0] * 10 + [120.0] * 60})
    world.follow(s={("SPY", 2): LONG})
    world.play(5)
    for number, side in enumerate((Side.BUY, Side.SELL, Side.BUY)):
        by_hand = make_order(
            Status.PENDING, side=side, client_order_id=f"hand-{number}", qty=Decimal(5)
        )
        world.there(by_hand, minutes=8)
    assert world.accept() == 0
    world.play(1)
    assert agree(world) == 300
    assert realized(world) == 100
    assert world.held() == {("s", "SPY"): 15}
    (account,) = world.rows(Account)
    assert account.opening_cash == 100_000
