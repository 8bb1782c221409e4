"""What a decision leaves in the database beside its orders, so that an operator can ask why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.domain.risk_answers import read_checks
from smabot.engine.start.recovery import recover

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
LONG, FLAT = 1, 0
FLAT_SPY = {"SPY": [100.0] * 20}


def events(world: Any) -> list[tuple[str, str, str]]:
    found = sorted(world.rows(Event), key=lambda event: event.time)
    return [(event.kind, event.subject, event.text) for event in found]


@pytest.mark.parametrize("killed", [False, True])
def test_a_signal_that_leads_to_no_order_says_why(
    make_world: Any, dumper: Any, killed: bool
) -> None:
    """Once, also where the process dies before it is committed."""
    sizing = {"method": "notional", "notional": 50}
    world = make_world(FLAT_SPY, sizing=sizing)
    world.follow(s={("SPY", 4): LONG})
    if killed:
        world.killed_at("journal", "commit", when=lambda rows, bars=(): any(
            isinstance(row, Event) for row in rows
        ))  # fmt: skip
    world.play()
    assert world.rows(Order) == []
    ((kind, subject, text),) = events(world)
    assert (kind, subject) == ("no_order", "smabot-s-SPY-20260302T1434Z-1")
    assert text.startswith("the sizer ordered nothing: 0 held, 0 in open orders")


def test_a_signal_while_its_last_entry_is_open_leads_to_no_order(make_world: Any) -> None:
    world = make_world(FLAT_SPY, volume=10)
    world.follow(s={("SPY", 2): LONG, ("SPY", 3): FLAT, ("SPY", 4): LONG})
    with world.started() as (session, engine):
        session.broker.cancel = lambda order: None  # it never gets through
        world.go(engine, 6)
    assert [event[:2] for event in events(world) if event[0] == "no_order"] == [
        ("no_order", "smabot-s-SPY-20260302T1434Z-1")
    ]


@pytest.mark.parametrize(
    ("sizing", "why"),
    [
        ({}, "sizing.shares 10; 0 held"),
        ({"method": "notional", "notional": 450}, "sizing.notional 450.00 at 100.00; 0 held"),
        ({"method": "fraction"}, "sizing.fraction 0.1 of 100,000.00 at 100.00; 0 held"),
    ],
    ids=["shares", "notional", "fraction"],
)
def test_an_order_keeps_how_its_size_came(make_world: Any, sizing: Any, why: str) -> None:
    world = make_world(FLAT_SPY, sizing=sizing)
    world.follow(s={("SPY", 2): LONG, ("SPY", 6): FLAT})
    world.play()
    entry, exit_ = world.rows(Order)
    size = read_checks(entry.checks)[0]
    assert (size.name, size.passed, size.value) == ("size", True, f"{entry.qty:f}")
    assert size.reason == why
    assert read_checks(exit_.checks)[0].reason == f"the target is flat; {entry.qty:f} held"


def test_an_order_that_is_not_answered_keeps_its_story(
    make_world: Any, lose_first_order: Any
) -> None:
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 2): LONG})
    with world.started() as (session, engine):
        lose_first_order(session)
        world.go(engine, 6)
    (order,) = world.rows(Order)
    assert order.status is Status.FILLED
    assert {kind: text for kind, _, text in events(world)} == {
        "order_unanswered": "no answer, so its status is queried: timeout",
        "order_resent": "sent again under its id, 2 times in all",
        "order_answered": "after no answer it is known to be accepted",
    }
    assert {subject for _, subject, _ in events(world)} == {order.client_order_id}


def test_a_start_keeps_what_it_passed_over_and_asked_for(make_world: Any) -> None:
    """With the run, not with what was decided: that is the same with and without a kill."""
    world = make_world(FLAT_SPY)
    world.follow(s={("SPY", 4): LONG})
    world.killed_before_sending()
    world.pass_by(6)
    with world.opened() as session:
        recover(session)
        steps = {step["step"]: step for step in json.loads(session.report.steps_json())}
    assert steps["backfill"]["too_old"] == ["2026-03-02T14:35Z", "2026-03-02T14:39Z"]
    assert steps["backfill"]["found"] == "6 bars; 5 minutes too old to decide on"
    assert steps["subscribe"]["queried"] == ["smabot-s-SPY-20260302T1434Z-1"]
    assert steps["subscribe"]["market_time"] == "2026-03-02T14:41:00Z"
    assert steps["subscribe"]["found"] == ("1 symbol; queried the status of 1 unanswered order")
    assert events(world) == []
