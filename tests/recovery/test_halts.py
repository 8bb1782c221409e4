"""A halt counts from the moment it lies in the database, whatever was decided before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Command, Event
from smabot.domain.order_terms import Side
from smabot.domain.records import Batch, Order
from smabot.engine.start.offline_command import apply_command_offline
from smabot.engine.start.recovery import recover
from smabot.engine.surroundings import Surroundings
from smabot.hooks.plugins import Plugins

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
    assert apply_command_offline(config, Plugins.load(config), HALT).startswith("halted")
    world.play(3)
    assert short(world) == [("buy", "abandoned")]
    assert world.held() == {}


def test_an_exit_that_was_not_sent_before_a_halt_is_sent_after_it(world: Any) -> None:
    world.follow(s={("SPY", 2): LONG})
    world.play(5)
    world.follow(s={("SPY", 6): FLAT})
    world.killed_before_sending()
    config = world.config()
    apply_command_offline(config, Plugins.load(config), HALT)
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


# -- the operator's last word ----------------------------------------------------------------------

RESUME = Command(
    "2", "resume", "", HALT.created_at, expires_at=HALT.created_at + timedelta(minutes=1)
)


def clock(seconds: float) -> Any:
    """A wall clock that stands so long after the halt was given."""
    return lambda: HALT.created_at + timedelta(seconds=seconds)


def leave(world: Any, *commands: Command) -> None:
    """Leave commands for whoever starts next."""
    with world.opened() as session:
        for command in commands:
            session.journal.send(command)


def answers(world: Any) -> dict[str, str]:
    return {row.verb: row.answer for row in world.rows(Command)}


@pytest.mark.parametrize(
    ("seconds", "resumed"), [(30, True), (59.9, True), (60, False), (9e6, False)]
)
def test_a_start_asks_its_own_wall_clock(world: Any, seconds: float, resumed: bool) -> None:
    world.play(2)
    apply_command_offline(world.config(), Plugins.load(world.config()), HALT, clock(0))
    leave(world, RESUME)
    with world.opened() as session:
        session.surroundings = Surroundings(clock(seconds))
        recover(session)
        assert session.book.halted == ("" if resumed else "news")
    kinds = [(event.kind, event.grave) for event in world.rows(Event)]
    assert (("command_expired", True) in kinds) is not resumed


def test_a_halt_without_a_bot_ends_a_resume_that_waits(world: Any) -> None:
    world.play(2)
    leave(world, RESUME)
    later = replace(HALT, created_at=HALT.created_at + timedelta(seconds=10))
    assert apply_command_offline(world.config(), Plugins.load(world.config()), later, clock(10)).startswith("halted")  # fmt: skip
    assert answers(world)["resume"] == "not carried out: a newer 'halt news' took its place"
    world.follow(s={("SPY", 6): LONG})
    with world.opened() as session:
        session.surroundings = Surroundings(clock(11))
        world.go(recover(session), 8)
        assert session.book.halted == "news"
    assert short(world) == [("buy", "blocked")]


def test_a_halt_that_is_older_than_a_waiting_resume_by_its_clock_is_newer_all_the_same(
    world: Any,
) -> None:
    """The wall clock was set back meanwhile: what is typed now is the last word."""
    world.play(2)
    leave(world, RESUME)
    earlier = replace(HALT, created_at=HALT.created_at - timedelta(hours=1))
    apply_command_offline(world.config(), Plugins.load(world.config()), earlier, clock(-3600))
    world.play(2)
    with world.opened() as session:
        assert session.book.halted == "news"


def test_a_running_bot_lets_a_command_expire(world: Any) -> None:
    with world.opened() as session:
        seconds = [0.0]
        session.surroundings = Surroundings(lambda: clock(seconds[0])())
        engine = recover(session)
        session.journal.send(HALT)
        world.go(engine, 2)
        seconds[0] = 100
        session.journal.send(RESUME)
        world.go(engine, 2)
        assert session.book.halted == "news"
    assert answers(world)["resume"] == "expired at 2026-03-02 14:31:00 UTC: not carried out"


def test_a_command_that_a_bot_carried_out_is_not_carried_out_again(world: Any) -> None:
    world.play(2)
    done = replace(RESUME, applied_at=HALT.created_at, answer="resumed by the bot")
    apply_command_offline(world.config(), Plugins.load(world.config()), HALT, clock(0))
    world.here(done)
    assert apply_command_offline(world.config(), Plugins.load(world.config()), RESUME, clock(1)) == "resumed by the bot"  # fmt: skip
    with world.opened() as session:
        assert session.book.halted == "news"


def test_a_command_that_waits_is_carried_out_once(world: Any) -> None:
    world.play(2)
    leave(world, HALT)
    assert apply_command_offline(world.config(), Plugins.load(world.config()), HALT, clock(0)).startswith("halted")  # fmt: skip
    assert len(world.rows(Command)) == 1


# -- the events of commands ------------------------------------------------------------------------


def told(world: Any, *kinds: str) -> list[tuple[str, str]]:
    """Kinds and texts of events, oldest first."""
    events = [event for event in world.rows(Event) if event.kind in kinds]
    events.sort(key=lambda event: event.time)
    return [(event.kind, event.text) for event in events]


def give(world: Any, number: int, verb: str, argument: str = "") -> str:
    """Carry a command out while no bot runs."""
    command = replace(HALT, id=f"{number}", verb=verb, argument=argument)
    return apply_command_offline(world.config(), Plugins.load(world.config()), command, clock(0))


def test_each_halt_and_resume_has_its_event_in_order_while_no_bot_runs(world: Any) -> None:
    world.play(2)
    given = [("halt", "A"), ("resume", ""), ("halt", "B"), ("resume", ""), ("halt", "A")]
    for number, (verb, argument) in enumerate(given):
        give(world, number, verb, argument)
        give(world, number, verb, argument)  # as after a kill before the answer: done once
    events = told(world, "halt", "resume")
    assert [(kind, text if kind == "halt" else "") for kind, text in events] == given


def test_commands_of_several_kinds_keep_their_order(make_world: Any) -> None:
    world = make_world({"SPY": [100.0] * 30}, plugins=("risk",))
    world.play(2)
    verbs = [
        ("flatten", "SPY"), ("halt", "A"), ("flatten", "SPY"), ("breaker reset", ""), ("resume", ""),
        ("flatten", ""), ("breaker reset", ""),
    ]  # fmt: skip
    for number, (verb, argument) in enumerate(verbs):
        give(world, number, verb, argument)
    kinds = [kind for kind, _ in told(world, "flatten", "halt", "resume", "breaker_reset")]
    assert kinds == [
        "flatten", "halt", "flatten", "breaker_reset", "resume", "flatten", "halt", "breaker_reset",
    ]  # fmt: skip


def test_commands_in_one_standing_minute_of_a_running_bot_keep_their_order(world: Any) -> None:
    with world.opened() as session:
        engine = recover(session)
        now = session.feed.now()
        for number, (verb, why) in enumerate([("halt", "A"), ("resume", ""), ("halt", "B")]):
            session.journal.send(replace(HALT, id=f"{number}", verb=verb, argument=why))
            engine.process(Batch(now))
    assert [text for kind, text in told(world, "halt")] == ["A", "B"]
    assert [kind for kind, _ in told(world, "halt", "resume")] == ["halt", "resume", "halt"]


def test_two_external_orders_in_a_minute_leave_two_events() -> None:
    book = Book()
    book.now = HALT.created_at
    for name in ("X1", "X2", "X2"):
        book.apply(Event(book.now, "external_activity", "SPY", f"external order {name} is new"))
    assert [row.text[15:17] for row in book.drain()[0]] == ["X1", "X2"]
