"""`smabot flatten`: whatever is held and at work, everything ends flat, and nothing is sold twice."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Event
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Adjustment,
    Bar,
    Fill,
    Order,
    OrderIntent,
    Signal,
    SignalState,
)
from smabot.domain.risk_answers import Veto
from smabot.engine.execution.flattening import FLATTEN, Left, left_over
from smabot.engine.start.offline_command import apply_command_offline
from smabot.engine.start.recovery import recover_orders
from smabot.engine.surroundings import Surroundings
from smabot.hooks.plugins import Plugins
from smabot.hooks.specifications import hookimpl

LONG, FLAT = 1, 0
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def command(symbol: str = "", name: str = "1") -> Command:
    return Command(name, "flatten", symbol, OPEN)


def flatten(world: Any, symbol: str = "", minutes: int = 60, **settings: Any) -> list[Left]:
    """Flatten with no bot running; returns what is left after some minutes."""
    with world.opened(**settings) as session:
        engine = recover_orders(session, command(symbol))
        for _ in range(minutes):
            if not left_over(session.book, symbol):
                break
            batch = session.feed.next(0)
            if batch is None:
                break
            engine.process(batch)
        return left_over(session.book, symbol)


def tell(world: Any, session: Any, symbol: str = "", name: str = "1") -> None:
    session.journal.send(command(symbol, name))


def agree(world: Any) -> None:
    """Nothing was sold twice: what the broker filled is what is in our trades, order by order."""
    with world.opened() as session:
        filled = {o.client_order_id: o.filled_qty for o in session.broker.orders(OPEN)}
        held = {p.symbol: p.qty for p in session.broker.positions()}
        ours = {position.symbol: session.book.net(position.symbol) for position in
                session.book.positions.values()}  # fmt: skip
    traded: Counter[str] = Counter()
    for fill in world.rows(Fill):
        traded[fill.client_order_id] += fill.qty  # type: ignore[assignment]
    assert dict(traded) == {name: qty for name, qty in filled.items() if qty}
    assert held == {symbol: qty for symbol, qty in ours.items() if qty}


def halted(world: Any) -> str:
    blocks = world.rows(Block, plugin="core", scope="entries", until=None)
    return blocks[0].reason if blocks else ""


@pytest.fixture
def world(make_world: Any) -> Any:
    """Two strategies hold SPY, one of them IBM."""
    world = make_world({"SPY": [100.0] * 60, "IBM": [50.0] * 60})
    world.follow(a={("SPY", 2): LONG, ("IBM", 2): LONG}, b={("SPY", 3): LONG})
    world.play(6)
    assert world.held() == {("a", "SPY"): 10, ("a", "IBM"): 10, ("b", "SPY"): 10}
    return world


def test_all_is_sold_in_the_next_minute_and_entries_are_halted(world: Any) -> None:
    world.follow(a={}, b={})
    assert flatten(world, minutes=2) == []
    assert world.held() == {}
    assert halted(world) == "flattened by hand"
    states = world.rows(SignalState)
    assert {(s.last_signal, s.target) for s in states} == {(FLATTEN, 0)}
    agree(world)


def test_of_one_symbol_the_rest_stays_and_nothing_is_halted(world: Any) -> None:
    assert flatten(world, "SPY") == []
    assert world.held() == {("a", "IBM"): 10}
    assert halted(world) == ""
    agree(world)


def test_of_a_flatten_that_expired_the_halt_is_left(world: Any) -> None:
    before = world.held()
    with world.opened() as session:
        session.journal.send(replace(command(), expires_at=OPEN + timedelta(minutes=1)))
    world.play(3)
    assert world.held() == before
    assert halted(world) == "a flatten expired before it was carried out"
    assert {event.kind for event in world.rows(Event)} == {"halt", "command_expired"}


def test_a_flatten_without_a_bot_stands_from_when_it_is_sent(world: Any) -> None:
    """However long its own start took."""
    given = OPEN + timedelta(hours=1)
    with world.opened() as session:
        session.surroundings = Surroundings(lambda: given)
        recover_orders(session, command())
    (row,) = world.rows(Command)
    assert (row.created_at, row.expires_at) == (given, given + timedelta(minutes=1))
    assert row.answer.startswith("closes 3 positions")
    (event,) = [event for event in world.rows(Event) if event.kind == "flatten"]
    assert (event.subject, event.text) == ("", row.answer)


def test_an_earlier_halt_keeps_its_reason(world: Any) -> None:
    config = world.config()
    apply_command_offline(config, Plugins.load(config), Command("0", "halt", "lunch", OPEN))
    assert flatten(world) == []
    assert halted(world) == "lunch"


def test_again_where_all_is_flat_orders_nothing(world: Any) -> None:
    assert flatten(world) == flatten(world) == []
    assert len([order for order in world.rows(Order) if order.reduces]) == 3


def test_strategies_find_the_minutes_of_a_flatten_as_a_gap(world: Any) -> None:
    """They were not asked in it, and are asked afterwards, as if the bot had been down."""
    flatten(world, "IBM")
    world.pass_by(3)
    world.follow(a={("SPY", 7): FLAT}, b={})
    world.play(4)
    (missed,) = world.rows(Signal, symbol="SPY", label="SELL", missed=True)
    assert missed.bar_time == OPEN.replace(minute=37)
    assert world.held() == {("b", "SPY"): 10}
    agree(world)


# -- by the running bot ----------------------------------------------------------------------------


def test_a_running_bot_does_it_in_its_next_step(world: Any) -> None:
    world.follow(a={("IBM", 9): LONG}, b={("SPY", 9): LONG})
    with world.started() as (session, engine):
        tell(world, session)
        world.go(engine, 1)
        assert {o.status for o in session.book.open_orders()} == {Status.ACCEPTED}
        world.go(engine, 5)
        assert left_over(session.book) == []
    (done,) = world.rows(Command)
    assert done.answer.startswith("closes 3 positions; new entries are halted")
    blocked = [order for order in world.rows(Order) if order.status is Status.BLOCKED]
    assert [(o.strategy, o.symbol, o.reason) for o in blocked] == [
        ("a", "IBM", "halted: flattened by hand"), ("b", "SPY", "halted: flattened by hand"),
    ]  # fmt: skip
    assert world.held() == {}
    agree(world)


class Eager:
    """Wants to be long at every bar."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar)


def test_a_strategy_that_wants_in_again_waits_until_all_is_out(make_world: Any) -> None:
    """One share a minute: the exit takes ten minutes, and every one has another entry signal."""
    world = make_world({"SPY": [100.0] * 60}, volume=10)
    world.strategies = {"e": Eager()}
    with world.started() as (session, engine):
        world.go(engine, 13)
        assert world_held(session) == 10
        tell(world, session, "SPY")
        world.go(engine, 5)
        assert 0 < world_held(session) < 10
        assert [order.reduces for order in session.book.open_orders()] == [True]
        world.go(engine, 7)
        assert min(fill_levels(session)[10:]) == 0
        world.go(engine, 10)
        assert world_held(session) > 0, "entries were not halted"


def world_held(session: Any) -> int:
    return int(session.book.net("SPY"))


def fill_levels(session: Any) -> list[int]:
    """What was held after each fill."""
    levels, held = [], 0
    for fill in sorted(session.journal.rows(Fill), key=lambda f: f.time):
        held += int(fill.qty) * fill.side.sign
        levels.append(held)
    return levels


def test_when_entries_are_halted_the_eager_strategy_stays_out(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 60}, volume=10)
    world.strategies = {"e": Eager()}
    world.play(13)
    with world.started() as (session, engine):
        tell(world, session)
        world.go(engine, 30)
        assert left_over(session.book) == []
    agree(world)


# -- what is at work -------------------------------------------------------------------------------


def test_an_entry_at_work_is_called_off_and_its_shares_are_sold(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 60}, volume=10)
    world.follow(s={("SPY", 2): LONG})
    world.play(6)
    (entry,) = world.rows(Order)
    assert (entry.status, 0 < entry.filled_qty < 10) == (Status.PARTIALLY_FILLED, True)
    assert flatten(world) == []
    orders = world.rows(Order)
    assert [(o.side, o.status) for o in orders] == [
        (Side.BUY, Status.CANCELED), (Side.SELL, Status.FILLED),
    ]  # fmt: skip
    assert orders[0].filled_qty == orders[1].filled_qty == entry.filled_qty
    agree(world)


def test_no_exit_meets_another_strategys_entry_of_the_symbol(make_world: Any) -> None:
    """A broker refuses a sale that would meet our own resting buy: the entry ends first."""
    world = make_world({"SPY": [100.0] * 60}, volume=10)
    world.follow(a={("SPY", 2): LONG}, b={("SPY", 14): LONG})
    world.play(17)
    assert flatten(world) == []
    buys = [order for order in world.rows(Order) if order.side is Side.BUY]
    sells = [order for order in world.rows(Order) if order.side is Side.SELL]
    assert [order.status for order in buys] == [Status.FILLED, Status.CANCELED]
    assert {order.status for order in sells} == {Status.FILLED}
    assert {order.strategy for order in sells} == {"a", "b"}
    agree(world)


def test_an_exit_at_work_is_not_doubled(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 60}, volume=10)
    world.follow(s={("SPY", 2): LONG, ("SPY", 15): FLAT})
    world.play(18)
    (exit_,) = [order for order in world.rows(Order) if order.reduces]
    assert exit_.status is Status.PARTIALLY_FILLED
    assert flatten(world) == []
    assert [o.client_order_id for o in world.rows(Order) if o.reduces] == [exit_.client_order_id]
    agree(world)


class FarExit:
    """Sells only at a price that never comes."""

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.target:
            return None
        return OrderIntent(
            signal.symbol, Side.SELL, Decimal(10), OrderType.LIMIT, Decimal(500), TimeInForce.GTC
        )


def test_a_limit_exit_that_rests_gives_way_to_a_market_order(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 60})
    world.follow(s={("SPY", 2): LONG, ("SPY", 5): FLAT})
    world.strategies["far"] = FarExit()
    world.play(8)
    assert world.held() == {("s", "SPY"): 10}
    assert flatten(world, minutes=2) == []
    resting, market = [order for order in world.rows(Order) if order.reduces]
    assert (resting.status, market.status) == (Status.CANCELED, Status.FILLED)
    agree(world)


def test_shares_that_belong_to_no_strategy_are_sold_too(make_world: Any, make_order: Any) -> None:
    world = make_world({"SPY": [100.0] * 60})
    world.play(2)
    world.there(make_order(Status.PENDING, client_order_id="by-hand"), minutes=3)
    assert world.accept() == 0
    assert world.held() == {("", "SPY"): 10}
    assert world.rows(Adjustment)
    assert flatten(world) == []
    assert world.held() == {}
    (sold,) = world.rows(Order)
    assert (sold.strategy, sold.client_order_id.startswith("smabot--SPY-")) == ("", True)


# -- what does not get through ---------------------------------------------------------------------


def test_an_exit_that_a_rule_blocks_is_told_and_tried_again(world: Any) -> None:
    limits = {"daily_limits": {"block": "all", "max_orders": 4}}
    settings = {"plugins": ("risk",), "plugin": {"risk": limits}}
    left = flatten(world, minutes=3, **settings)
    assert [(each.strategy, each.symbol, each.blocked) for each in left] == [
        ("a", "SPY", True), ("b", "SPY", True),
    ], "three entries were made, one more order may pass, and was IBM's"  # fmt: skip
    assert "was blocked: max_orders 4" in left[0].why
    assert flatten(world) == []
    agree(world)


class Never:
    """Lets nothing pass."""

    @hookimpl
    def before_submit(self) -> Veto:
        return Veto("never")


def test_the_same_word_again_does_not_wait_for_the_pause(world: Any) -> None:
    world.strategies["never"] = Never()
    with world.started() as (session, engine):
        tell(world, session, "IBM", "1")
        world.go(engine, 1)
        tell(world, session, "IBM", "2")
        world.go(engine, 1)
    exits = [order for order in world.rows(Order) if order.reduces]
    assert [order.status for order in exits] == [Status.BLOCKED] * 2
    assert len({order.client_order_id for order in exits}) == 2


def test_after_the_close_the_orders_wait_for_the_next_session(make_world: Any) -> None:
    last = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = make_world({"SPY": [100.0] * 5}, start=last)
    world.strategies = {"e": Eager()}
    world.play()
    assert world.held() == {("e", "SPY"): 10}
    (left,) = flatten(world)
    assert left.why.endswith("is accepted")
    assert not left.blocked


# -- killed in the middle --------------------------------------------------------------------------


def _to_the_end(world: Any) -> None:
    assert flatten(world) == []


@pytest.fixture
def busy(make_world: Any) -> Any:
    """An entry at work beside two holdings, in a thin market."""
    world = make_world({"SPY": [100.0] * 90, "IBM": [50.0] * 90}, volume=20)
    world.follow(a={("SPY", 2): LONG, ("IBM", 2): LONG}, b={("SPY", 10): LONG})
    world.play(13)
    world.follow(a={}, b={})
    assert {order.strategy for order in world.rows(Order, status="partially_filled")} == {"b"}
    return world


def copied(world: Any, name: str) -> Any:
    folder = world.folder / name
    shutil.copytree(world.folder, folder, ignore=lambda _, names: {n for n in names if n == name})
    copy = type(world)(folder, world.tape, world.settings)
    copy.strategies = world.strategies
    return copy


def outcome(world: Any) -> Any:
    orders = [
        (o.strategy, o.symbol, o.side, o.filled_qty) for o in world.rows(Order) if o.filled_qty
    ]
    return sorted(orders), world.rows(Account)[0].cash, world.held()


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("then", ["flatten", "run"])
def test_killed_at_every_commit_and_gone_on_with(
    busy: Any, child: Any, late: bool, then: str
) -> None:
    """The bot's commits and the exchange's. A run goes on with it as another flatten does."""
    whole = copied(busy, "whole")
    commits = child(partial(_to_the_end, whole)).wait()
    expected = outcome(whole)
    assert commits > 10
    assert expected[2] == {}
    for kill_at in range(1, commits + 1):
        world = copied(busy, f"killed-{kill_at}")
        assert child(partial(_to_the_end, world), kill_at, late).wait() == -1
        if then == "flatten":
            _to_the_end(world)
        elif world.rows(Command):
            world.play(50)
        else:
            continue
        assert outcome(world) == expected, f"killed at {kill_at}"
        agree(world)
        shutil.rmtree(world.folder)


def test_a_flatten_that_was_not_carried_out_is_carried_out_by_the_next_run(busy: Any) -> None:
    config = busy.config()
    apply_command_offline(config, Plugins.load(config), command())
    assert len(busy.held()) == 3
    busy.play(40)
    assert busy.held() == {}
    agree(busy)
