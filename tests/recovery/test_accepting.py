"""What `reconcile --accept broker` leaves behind is a database that trades on rightly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Adjustment, Fill, Order, Position

LONG, FLAT = 1, 0


def test_shares_that_are_gone_are_sold_by_nobody_again(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 40})
    world.follow(a={("SPY", 2): LONG}, b={("SPY", 2): LONG})
    world.play(6)
    world.there(make_order(Status.PENDING, side=Side.SELL, client_order_id="hand-1"), minutes=2)
    assert world.accept() == 0
    assert world.held() == {("b", "SPY"): 10}
    world.follow(a={("SPY", 12): FLAT}, b={("SPY", 12): FLAT})
    world.play(20)
    assert world.held() == {}
    sells = [(o.strategy, o.qty) for o in world.rows(Order) if o.side is Side.SELL]
    assert sells == [("b", 10)]


def test_each_adjustment_has_its_event(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 40})
    world.follow(a={("SPY", 2): LONG}, b={("SPY", 2): LONG})
    world.play(6)
    gone = make_order(Status.PENDING, side=Side.SELL, client_order_id="hand-1", qty=D(20))
    world.there(gone, minutes=3)
    assert world.accept() == 0
    events = [e for e in world.rows(Event) if e.kind == "adjustment"]
    adjustments = world.rows(Adjustment)
    assert [(e.time, e.subject) for e in events] == [(a.time, "SPY") for a in adjustments]
    assert [e.text.split(":")[0] for e in events] == [
        f"-10 shares of {who}, +{cash:,.2f} cash"
        for who, cash in [(a.strategy, a.cash) for a in adjustments]
    ]
    assert {a.strategy for a in adjustments} == {"a", "b"}


def test_a_position_that_is_gone_whole_is_flat_here_too(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 40})
    world.follow(a={("SPY", 2): LONG})
    world.play(6)
    world.there(make_order(Status.PENDING, side=Side.SELL, client_order_id="hand-1"), minutes=2)
    assert world.accept() == 0
    assert [(a.strategy, a.symbol, a.qty) for a in world.rows(Adjustment)] == [("a", "SPY", -10)]
    assert world.held() == {}
    world.follow(a={("SPY", 12): FLAT})
    world.play(20)
    assert [o for o in world.rows(Order) if o.side is Side.SELL] == []
    with world.opened() as session:
        assert session.broker.positions() == []
        assert session.book.account.cash == session.broker.account().cash
        assert session.book.positions_value() == 0


def test_an_order_of_the_other_side_closes_what_is_held(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 5 + [110.0] * 30})
    world.follow(sma={("SPY", 2): LONG})
    world.play(6)
    written = make_order(Status.PENDING, minute=6)
    world.here(written)
    world.there(replace(written, side=Side.SELL))
    assert world.accept() == 0
    world.play(6)
    sold = world.rows(Order)[-1]
    assert (sold.side, sold.reduces, sold.realized_pnl) == (Side.SELL, True, 100)
    (position,) = world.rows(Position)
    assert (position.qty, position.cost, position.realized_pnl) == (0, 0, 100)


def test_fills_that_are_found_count_for_the_day(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 40, "IBM": [50.0] * 40}, plugins=("risk",))
    world.play(3)
    mine = make_order(Status.ACCEPTED)
    world.here(mine)
    world.there(mine, replace(mine, client_order_id="hand-1", symbol="IBM"), minutes=2)
    assert world.accept() == 0
    world.play(3)
    assert len(world.rows(Fill)) == 1
    assert world.ask("SELECT trade_count FROM daily_limits") == [(1,)]


def test_an_own_order_that_filled_while_the_bot_was_down_is_brought_up_to_date(
    make_world: Any, make_order: Any, dumper: Callable[..., Any], capsys: Any
) -> None:
    world = make_world({"SPY": [100.0] * 40})
    world.play(3)
    mine = make_order(Status.ACCEPTED)
    world.here(mine)
    world.there(mine, minutes=2)
    before = dumper(world.db, without=())
    assert world.compared() == 0
    assert dumper(world.db, without=()) == before
    assert "up to date" not in capsys.readouterr().out
    assert world.accept() == 0
    assert "1 order brought up to date" in capsys.readouterr().out
    assert [order.status for order in world.rows(Order)] == [Status.FILLED]
    assert len(world.rows(Fill)) == 1
    assert world.held() == {("sma", "SPY"): 10}
    after = dumper(world.db, without=())
    assert world.accept() == 0
    assert dumper(world.db, without=()) == after


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_own_order_that_is_not_written_here_is_never_ignored(
    make_world: Any, make_order: Any, dumper: Callable[..., Any], foreign: str
) -> None:
    world = make_world({"SPY": [100.0] * 40}, foreign=foreign)
    world.play(3)
    world.there(make_order(Status.PENDING), minutes=2)
    assert world.refused(dumper) == {"unknown_locally"}


def test_an_order_that_is_taken_over_half_filled_belongs_to_its_strategy_whole(
    make_world: Any, make_order: Any
) -> None:
    world = make_world({"SPY": [100.0] * 40}, volume=50)
    world.play(3)
    world.there(make_order(Status.PENDING), minutes=1)
    assert world.accept() == 0
    assert world.held() == {("sma", "SPY"): 5}
    world.play(3)
    assert world.held() == {("sma", "SPY"): 10}
    world.follow(sma={("SPY", 8): LONG, ("SPY", 12): FLAT})
    world.play(20)
    assert world.held() == {}
