"""A guard is judged when an order leaves, whatever happened between its decision and that moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Event
from smabot.domain.order_terms import OrderType, Status
from smabot.domain.records import Bar, Batch, Order
from smabot.errors import RiskHalt

LONG, FLAT = 1, 0
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
HALT = Command("1", "halt", "news", OPEN)


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


@pytest.fixture
def calm(make_world: Any, limits: Any) -> Any:
    """Two symbols that stand still, and no limits."""
    return make_world({"SPY": [100.0] * 60, "IBM": [50.0] * 60}, **limits())


# -- trips, limits and what the minute shows ---------------------------------------------------------


FALL = {"SPY": [100.0] * 10 + [80.0] * 20, "IBM": [50.0] * 30}
BIG = {"sizing": {"method": "shares", "shares": 500}, "price_collar": 0}


@pytest.mark.parametrize(
    "guard", [{"breaker": {"max_session_drawdown": "0.05"}}, {"max_loss": 5000}], ids=str
)
def test_an_entry_decided_on_the_bar_that_trips_is_blocked(
    make_world: Any, limits: Any, orders_of: Any, guard: dict[str, Any]
) -> None:
    world = make_world(FALL, **limits(**guard), **BIG)
    world.follow(a={("SPY", 2): LONG}, b={("IBM", 10): LONG})
    world.play(14)
    assert orders_of(world) == [("a", "buy", "filled", 500), ("b", "buy", "blocked", 0)]


def test_a_late_bar_after_a_fill_is_marked_and_trips(
    make_world: Any, limits: Any, alive: Any, filled: Any
) -> None:
    """A fill at 14:36:00.2 by the stream, then the bar of 14:35, by REST, 10 % down."""
    world = make_world(
        {"SPY": [100.0] * 30, "IBM": [50.0] * 30}, **limits({"max_session_drawdown": "0.05"}), **BIG
    )
    world.follow(s={("SPY", 2): LONG}, t={("IBM", 4): LONG})
    with alive(world) as bot:
        bot.live(5)
        bot.line.fault = lambda order: "lost"
        (entry,) = [o for o in bot.session.book.open_orders() if o.symbol == "IBM"]
        late = minute(6) + timedelta(seconds=0.2)
        bot.engine.process(Batch(late, (filled(entry, 50.0, late),)))
        bot.engine.process(
            Batch(minute(6), bars=(Bar("SPY", minute(5), 100.0, 100.0, 90.0, 90.0, 1e4),))
        )
        assert bot.session.book.point.equity == Decimal(95_000)
        assert [b.plugin for b in bot.session.book.blocking()] == ["risk.circuit_breaker"]


def test_two_unanswered_entries_that_trip_the_breaker_are_looked_up_and_not_sent_again(
    calm: Any, limits: Any, alive: Any, orders_of: Any
) -> None:
    calm.settings |= limits({"max_failures": 2})
    calm.follow(a={("SPY", 2): LONG}, b={("IBM", 2): LONG})
    with alive(calm, max_bar_age_minutes=10) as bot:
        bot.line.fault = lambda order: "lost"
        bot.live(3)
        bot.line.fault = lambda order: ""
        bot.live(3)
        assert len(bot.line.sent) == 2
    assert orders_of(calm) == [("a", "buy", "abandoned", 0), ("b", "buy", "abandoned", 0)]
    assert all("circuit breaker" in order.reason for order in calm.rows(Order))


def test_an_unanswered_entry_that_arrived_is_adopted_and_canceled_after_a_trip(
    calm: Any, limits: Any, alive: Any, orders_of: Any
) -> None:
    calm.settings |= limits({"max_failures": 1})
    calm.follow(a={("SPY", 2): LONG})
    with alive(calm) as bot:
        bot.line.fault = lambda order: "unanswered"
        bot.live(6)
    assert orders_of(calm) == [("a", "buy", "canceled", 0)]
    assert calm.held() == {}


# -- an entry that waits -------------------------------------------------------------------------------


def trip_by_fall(world: Any, limits: Any) -> None:
    world.settings |= limits({"max_session_drawdown": "0.05"}) | BIG


@pytest.mark.parametrize("killed", [False, True])
def test_an_entry_that_waits_for_the_stream_is_blocked_by_a_trip(
    make_world: Any, limits: Any, alive: Any, orders_of: Any, killed: bool
) -> None:
    world = make_world({"SPY": [100.0] * 5 + [80.0] * 20, "IBM": [50.0] * 30})
    trip_by_fall(world, limits)
    wants = {"a": {("SPY", 2): LONG}, "b": {("IBM", 4): LONG}}
    world.follow(**wants)
    settings = {"max_bar_age_minutes": 10}
    with alive(world, **settings) as bot:
        bot.live(4)
        bot.down = "trade stream"
        bot.live(1)  # b decides at minute 4, a loses 10 % at minute 5
        assert [o.status for o in bot.session.book.open_orders()] == [Status.PENDING]
        if not killed:
            bot.live(1)
            bot.down = ""
            bot.step()
    if killed:
        world.pass_by(1)
        world.follow(**wants)
        with alive(world, **settings) as bot:
            bot.live(1)
    assert orders_of(world)[-1] == ("b", "buy", "blocked" if not killed else "abandoned", 0)
    assert world.held() == {("a", "SPY"): 500}


@pytest.mark.parametrize("what", ["halt", "its own flat signal"])
def test_an_entry_that_waits_does_not_leave_in_the_step_that_takes_its_end_in(
    calm: Any, alive: Any, orders_of: Any, what: str
) -> None:
    calm.follow(a={("SPY", 4): LONG, ("SPY", 5): FLAT} if what != "halt" else {("SPY", 4): LONG})
    with alive(calm, max_bar_age_minutes=10) as bot:
        bot.live(4)
        bot.down = "trade stream"
        bot.live(1)
        assert bot.session.book.open_orders()[0].reason.endswith("trade stream")
        bot.down = ""
        if what == "halt":
            bot.session.journal.send(HALT)
        bot.live(1)
        assert bot.line.sent == []
    assert orders_of(calm) == [("a", "buy", "blocked", 0)]


def test_an_unanswered_entry_is_only_looked_up_while_entries_wait(
    calm: Any, alive: Any, orders_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm.follow(a={("SPY", 2): LONG})
    with alive(calm, max_bar_age_minutes=10) as bot:
        bot.live(2)
        bot.line.fault = lambda order: "lost"
        bot.down = ""
        delay = timedelta(minutes=1)
        monkeypatch.setattr(type(bot.session.broker), "visibility_delay", delay)
        bot.live(1)
        bot.down = "trade stream"
        bot.line.fault = lambda order: ""
        bot.live(4)
        assert len(bot.line.sent) == 1
        bot.down = ""
        bot.step()
        bot.live(1)
        assert len(bot.line.sent) == 2
    assert orders_of(calm) == [("a", "buy", "filled", 10)]


# -- what is open ends, too ------------------------------------------------------------------------------


class Rests:
    """A strategy's sizer that buys at a limit far below."""

    from smabot.domain.order_terms import Side
    from smabot.domain.records import OrderIntent
    from smabot.hooks.specifications import hookimpl

    def __init__(self, limit: int = 40, timeout: int | None = None) -> None:
        self.limit, self.timeout = limit, timeout

    @hookimpl
    def on_signal(self, signal: Any) -> Any:
        from smabot.domain.order_terms import Side
        from smabot.domain.records import OrderIntent

        if signal.symbol == "IBM" and signal.target:
            limit = Decimal(self.limit)
            return OrderIntent(
                "IBM", Side.BUY, Decimal(10), OrderType.LIMIT, limit, timeout_minutes=self.timeout
            )
        return None


@pytest.mark.parametrize("by", ["halt", "trip", "loss"])
@pytest.mark.parametrize("cancel", [True, False])
def test_resting_entries_are_canceled_by_a_halt_a_trip_and_a_loss(
    make_world: Any, limits: Any, alive: Any, orders_of: Any, by: str, cancel: bool
) -> None:
    guards: dict[str, Any] = {
        "halt": {}, "trip": {"breaker": {"max_session_drawdown": "0.05"}}, "loss": {"max_loss": 5000},
    }  # fmt: skip
    world = make_world({"SPY": [100.0] * 10 + [80.0] * 20, "IBM": [50.0] * 30})
    world.settings |= limits(**guards[by]) | BIG | {"cancel_entries": cancel}
    world.follow(a={("SPY", 2): LONG}, b={("IBM", 4): LONG})
    world.strategies["rests"] = Rests()
    with alive(world) as bot:
        bot.live(8)
        if by == "halt":
            bot.session.journal.send(HALT)
        bot.live(4)
    assert orders_of(world)[-1] == ("b", "buy", "canceled" if cancel else "accepted", 0)


def test_a_trip_a_limit_and_a_halt_are_rows_of_blocks_and_events(
    make_world: Any, limits: Any, alive: Any, events_of: Any
) -> None:
    world = make_world({"SPY": [100.0] * 10 + [80.0] * 20})
    world.settings |= limits({"max_session_drawdown": "0.05"}, max_loss=5000) | BIG
    world.follow(a={("SPY", 2): LONG})
    with alive(world) as bot:
        bot.live(8)
        bot.session.journal.send(HALT)
        bot.live(4)
        bot.session.journal.send(Command("2", "resume", "", OPEN))
        bot.session.journal.send(Command("3", "breaker reset", "", OPEN))
        bot.live(1)
    assert events_of(world) == [
        ("halt", "core", True), ("breaker_tripped", "risk.circuit_breaker", True),
        ("limit_reached", "risk.daily_limits", True),
        ("resume", "core", False), ("breaker_reset", "risk.circuit_breaker", False),
    ]  # fmt: skip
    blocks = {block.plugin: block for block in world.rows(Block)}
    assert blocks["core"].until == blocks["risk.circuit_breaker"].until == minute(13)
    assert blocks["risk.daily_limits"].until == datetime(2026, 3, 3, 5, tzinfo=UTC)


def test_a_block_whose_plugin_is_not_part_of_the_run_refuses_the_start(
    make_world: Any, limits: Any, orders_of: Any
) -> None:
    world = make_world(FALL, **limits({"max_session_drawdown": "0.05"}), **BIG)
    world.follow(a={("SPY", 2): LONG}, b={("IBM", 15): LONG})
    world.play(13)
    world.settings["plugins"], world.settings["plugin"] = (), {}
    world.follow(a={("SPY", 2): LONG}, b={("IBM", 15): LONG})
    with pytest.raises(
        RiskHalt, match=r"risk.circuit_breaker blocks entries: circuit breaker TRIPPED"
    ):
        world.play(6)
    assert orders_of(world) == [("a", "buy", "filled", 500)]


# -- bad prints -------------------------------------------------------------------------------------------


NOTIONAL = {"sizing": {"method": "notional", "notional": 10_000}}


def test_an_entry_on_a_bad_print_is_sized_by_the_price_before_and_waits(
    make_world: Any, limits: Any, events_of: Any
) -> None:
    world = make_world({"AAA": [100.0] * 5 + [10.0] + [100.0] * 20}, **limits(), **NOTIONAL)
    world.follow(s={("AAA", 5): LONG})
    world.play(9)
    (order,) = world.rows(Order)
    assert (order.qty, order.status) == (100, Status.BLOCKED)
    assert "price collar" in order.reason
    assert events_of(world) == [("price_collar", "AAA", False)]


def test_an_entry_on_a_real_fall_leaves_after_the_second_bar(make_world: Any, limits: Any) -> None:
    world = make_world({"AAA": [100.0] * 5 + [80.0] * 20}, **limits(), **NOTIONAL)
    world.follow(s={("AAA", 5): LONG})
    world.play(9)
    (order,) = world.rows(Order)
    assert (order.qty, order.status, order.filled_avg_price) == (100, Status.FILLED, 80)
    assert order.collared


def test_a_restart_between_the_two_bars_changes_nothing(make_world: Any, limits: Any) -> None:
    world = make_world({"AAA": [100.0] * 5 + [80.0] * 20}, **limits(), **NOTIONAL)
    world.follow(s={("AAA", 5): LONG})
    world.play(6)
    assert [o.status for o in world.rows(Order)] == [Status.PENDING]
    world.follow(s={("AAA", 5): LONG})
    world.play(3)
    (order,) = world.rows(Order)
    assert (order.qty, order.status) == (100, Status.FILLED)


@pytest.mark.parametrize("lives", [(9,), (6, 3)])
def test_an_entry_that_waits_for_the_second_bar_never_left_for_a_restart_either(
    make_world: Any, limits: Any, lives: tuple[int, ...]
) -> None:
    world = make_world({"AAA": [100.0] * 5 + [80.0] * 20}, **limits(), **NOTIONAL)
    for minutes in lives:
        world.follow(s={("AAA", 5): LONG, ("AAA", 6): FLAT})
        world.play(minutes)
    (order,) = world.rows(Order)
    assert order.status is Status.BLOCKED
    assert order.reason == (
        "its target is now flat; it waited: price collar: it waits for a second bar"
    )


def test_exits_are_not_collared_and_marks_take_the_bar_as_it_is(
    make_world: Any, limits: Any, orders_of: Any
) -> None:
    world = make_world({"AAA": [100.0] * 5 + [80.0] * 20}, **limits())
    world.follow(s={("AAA", 2): LONG, ("AAA", 5): FLAT})
    with world.started() as (session, engine):
        world.go(engine, 6)
        assert session.book.point.equity == 100_000 - 10 * 20
    world.play(3)
    assert orders_of(world) == [("s", "buy", "filled", 10), ("s", "sell", "filled", 10)]


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ({"max_order_notional": 999}, "blocked"),
        ({"max_order_notional": 1000}, "filled"),
        ({"max_order_qty": 9}, "blocked"),
        ({"max_order_qty": 10}, "filled"),
    ],
    ids=str,
)
def test_one_order_is_as_large_as_its_limits(
    make_world: Any, limits: Any, limit: dict[str, int], status: str
) -> None:
    world = make_world({"AAA": [100.0] * 20}, **limits(**limit))
    world.follow(s={("AAA", 2): LONG})
    world.play(5)
    (order,) = world.rows(Order)
    assert order.status.value == status
    name = next(iter(limit))
    assert [name, status == "filled"] in [check[:2] for check in world_checks(order)]


def world_checks(order: Order) -> list[list[Any]]:
    from smabot.domain import risk_answers as checks

    return [[c.name, c.passed, c.value, c.limit] for c in checks.read_checks(order.checks)]


# -- life and prices of an entry ------------------------------------------------------------------------


def test_an_entry_that_could_only_fill_in_a_later_session_is_blocked(
    make_world: Any, limits: Any, script: Any
) -> None:
    start = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = make_world({"SPY": [100.0] * 5 + [None] * 1050 + [100.0] * 10}, start=start, **limits())
    world.strategies = {
        "early": script({("SPY", 3): LONG}, start), "late": script({("SPY", 4): LONG}, start)
    }  # fmt: skip
    world.play()
    early, late = world.rows(Order)
    assert (early.status, late.status) == (Status.FILLED, Status.BLOCKED)
    assert "later session" in late.reason


def test_a_market_entry_that_does_not_fill_is_canceled_in_time(
    make_world: Any, limits: Any
) -> None:
    """A symbol is halted right after the decision: no bars, no fills, for an hour."""
    bars = [50.0] * 6 + [None] * 30 + [70.0] * 10
    world = make_world({"IBM": bars, "SPY": [100.0] * 46}, **limits())
    world.follow(s={("IBM", 5): LONG})
    world.play(45)
    (order,) = world.rows(Order)
    assert (order.status, order.updated_at) == (Status.CANCELED, minute(11))
    assert order.reason == "not filled within 5 minutes"


def test_the_unfilled_rest_of_an_entry_is_canceled(make_world: Any, limits: Any) -> None:
    bars = [50.0] * 8 + [None] * 30 + [70.0] * 10
    world = make_world({"IBM": bars, "SPY": [100.0] * 48}, volume=40, **limits())
    world.follow(s={("IBM", 5): LONG})
    world.play(40)
    (order,) = world.rows(Order)
    assert (order.status, order.filled_qty) == (Status.CANCELED, 8)
    assert world.held() == {("s", "IBM"): 8}


@pytest.mark.parametrize(("timeout", "ended"), [(None, "expired"), (0, "expired"), (7, "canceled")])
def test_a_limit_entry_lives_by_its_time_in_force_unless_the_strategy_says_otherwise(
    make_world: Any, limits: Any, timeout: int | None, ended: str
) -> None:
    world = make_world({"IBM": [50.0] * 400}, **limits())
    world.follow(s={("IBM", 2): LONG})
    world.strategies["rests"] = Rests(timeout=timeout)
    world.play()
    (order,) = world.rows(Order)
    assert order.status.value == ended


def test_a_limit_off_the_grid_is_rounded_to_the_passive_side_and_told(
    make_world: Any, limits: Any, events_of: Any
) -> None:
    world = make_world({"IBM": [50.0] * 20}, **limits())
    world.follow(s={("IBM", 2): LONG})
    rests = Rests()
    rests.limit = Decimal("49.987")  # type: ignore[assignment]
    world.strategies["rests"] = rests
    world.play(5)
    (order,) = world.rows(Order)
    assert (order.limit_price, order.status) == (Decimal("49.98"), Status.ACCEPTED)
    assert events_of(world) == [("price_rounded", "IBM", False)]


def test_an_event_says_what_happened_and_when(calm: Any) -> None:
    calm.follow()
    with calm.started() as (session, engine):
        calm.go(engine, 3)
        session.journal.send(replace(HALT, argument="the news"))
        calm.go(engine, 1)
    (event,) = calm.rows(Event)
    assert event == Event(minute(4), "halt", "core", "the news", grave=True)
