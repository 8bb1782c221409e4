"""An exit that meets an entry in its symbol: another strategy's, or one whose cancel is not answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.cli import main
from smabot.domain.bot_records import Command
from smabot.domain.order_terms import RefusalCause, Status
from smabot.domain.records import Order
from smabot.engine.execution.flattening import left_over
from smabot.hooks.specifications import hookimpl

LONG, FLAT = 1, 0
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def minute(number: float) -> datetime:
    return OPEN + timedelta(minutes=number)


# -- an own entry in the way -----------------------------------------------------------------------


class Told:
    """Keeps what becomes of a strategy's orders, as plugins are told."""

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy
        self.told: list[tuple[str, str]] = []

    @hookimpl
    def on_order(self, order: Order) -> None:
        if order.strategy == self._strategy:
            self.told.append((order.status.value, order.reason))


TAKES_PRIORITY = "an exit in the symbol takes priority"


@pytest.mark.parametrize("killed", [False, True])
def test_another_strategys_resting_entry_gives_way_to_an_exit(
    calm: Any, alive: Any, killed: bool, sizes: Any, resting: Any
) -> None:
    calm.follow(
        a={("SPY", 2): LONG, ("SPY", 9): FLAT},
        b={("SPY", 5): LONG, ("SPY", 15): FLAT, ("SPY", 18): LONG},
    )
    calm.strategies |= {"rests": resting(), "told": (told := Told("b"))}
    with alive(calm) as bot:
        bot.until(8)
        assert [(o.strategy, o.status) for o in bot.session.book.open_orders()] == [
            ("b", Status.ACCEPTED)
        ]
        if not killed:
            bot.until(10)
            assert [o.strategy for o in bot.session.book.open_orders()] == ["a"]
            bot.until(11)
    if killed:
        with alive(calm) as bot:
            bot.until(11)
    assert calm.held() == {}
    assert sizes(calm) == [(10, "filled")]
    entry, exit_ = [order for order in calm.rows(Order) if order.created_at > minute(5)]
    assert (entry.status, entry.reason) == (Status.CANCELED, TAKES_PRIORITY)
    assert entry.cancel_requested_at == exit_.created_at == minute(10)
    assert told.told[-1] == ("canceled", TAKES_PRIORITY)
    with alive(calm) as bot:
        bot.until(17)
        assert bot.session.book.open_orders() == [], "no entry before its next signal"
        bot.until(20)
        assert [o.strategy for o in bot.session.book.open_orders()] == ["b"]
    assert [o.status for o in calm.rows(Order)].count(Status.REJECTED) == 0


def test_an_exit_and_another_strategys_entry_of_one_bar(
    calm: Any, alive: Any, orders_of: Any, resting: Any
) -> None:
    calm.follow(a={("SPY", 2): LONG, ("SPY", 9): FLAT}, b={("SPY", 9): LONG})
    calm.strategies |= {"rests": resting(), "told": (told := Told("b"))}
    with alive(calm) as bot:
        bot.until(15)
    assert orders_of(calm)[1:] == [("a", "sell", "filled", 10), ("b", "buy", "blocked", 0)]
    assert len(told.told) == 1
    assert "would cross the exit" in told.told[0][1]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("limit", [90, None], ids=["limit", "market"])
def test_an_entry_decided_after_the_exit_is_blocked_here_not_refused_there(
    make_world: Any,
    limits: Any,
    alive: Any,
    orders_of: Any,
    killed: bool,
    limit: int | None,
    resting: Any,
) -> None:
    world = make_world({"SPY": [100.0] * 60}, volume=10, **limits())
    world.follow(a={("SPY", 2): LONG, ("SPY", 20): FLAT}, b={("SPY", 23): LONG})
    if limit:
        world.strategies["rests"] = resting()
    with alive(world) as bot:
        bot.until(22 if killed else 40)
    if killed:
        with alive(world) as bot:
            bot.until(40)
    assert orders_of(world)[1:] == [("a", "sell", "filled", 10), ("b", "buy", "blocked", 0)]


# -- a cancel that is not answered -----------------------------------------------------------------


@pytest.fixture
def partly(make_world: Any, limits: Any) -> Any:
    """Six of an entry's ten shares fill in a minute, and then none for half an hour."""
    bars: list[float | None] = [100.0] * 4 + [None] * 30 + [100.0] * 60
    closes = {"SPY": bars, "IBM": [50.0] * 94}
    return make_world(closes, volume=60, entry_timeout_minutes=0, **limits({"max_failures": 2}))


def wants_out(bot: Any, by: str) -> None:
    """At minute 5, by the strategy's own signal or by the operator."""
    if by == "flatten":
        bot.until(4)
        bot.session.journal.send(Command("1", "flatten", "", OPEN))
    bot.until(5)


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("by", ["signal", "flatten"])
def test_what_an_entry_has_filled_is_sold_though_its_cancel_never_ends(
    partly: Any, alive: Any, monkeypatch: pytest.MonkeyPatch, by: str, killed: bool, kinds: Any
) -> None:
    """At a broker that does not mind an order whose cancel it has taken."""
    monkeypatch.setattr("smabot_exchange.order_entry.check_wash_trade", lambda *given: None)
    partly.follow(
        s={("SPY", 2): LONG} | ({("IBM", 4): FLAT, ("SPY", 3): FLAT} if by == "signal" else {})
    )
    with alive(partly) as bot:
        bot.freeze_cancels()
        wants_out(bot, by)
        assert bot.session.book.net("SPY") == 6
        if not killed:
            bot.until(40)
    if killed:
        with alive(partly) as bot:
            bot.freeze_cancels()
            bot.until(40)
    entry, exit_ = partly.rows(Order)
    assert (entry.status, entry.filled_qty) == (Status.PARTIALLY_FILLED, 6)
    assert (exit_.qty, exit_.status) == (6, Status.FILLED)
    assert exit_.created_at - entry.cancel_requested_at == timedelta(minutes=1)
    assert partly.held() == {}
    assert kinds(partly).count("cancel_unanswered") == 1


@pytest.mark.parametrize("by", ["signal", "flatten"])
@pytest.mark.parametrize("minutes", [None, 20])
def test_an_exit_that_meets_a_frozen_entry_is_refused_and_tried_again_after_pauses(
    partly: Any, alive: Any, by: str, minutes: int | None, exits: Any, kinds: Any
) -> None:
    """The exchange counts an order whose cancel it has taken among those that a sale may not meet.

    Nothing but the end of that order helps, so the bot asks again after 1, 2, 4, 8 and 16 minutes;
    each refusal is among the events, and none of them counts as a failing line to the broker.
    """
    partly.follow(s={("SPY", 2): LONG} | ({("SPY", 3): FLAT} if by == "signal" else {}))
    with alive(partly) as bot:
        bot.freeze_cancels(minutes)
        wants_out(bot, by)
        bot.until(60)
        assert bot.session.book.blocking() == [] or by == "flatten"
    asked = exits(partly)
    assert {o.qty for o in asked} == {6}
    begun = asked[0].created_at
    assert [(o.created_at - begun) // timedelta(minutes=1) for o in asked][:6] == [
        0, 1, 3, 7, 15, 31,
    ]  # fmt: skip
    refused = [o for o in asked if o.status is Status.REJECTED]
    assert {o.cause for o in refused} == {RefusalCause.WASH}
    assert kinds(partly).count("refused_exit") == len(refused)
    assert kinds(partly).count("cancel_unanswered") == 1
    assert partly.held() == ({("s", "SPY"): 6} if minutes is None else {})
    assert (asked[-1].status is Status.FILLED) == (minutes is not None)


@pytest.mark.parametrize("restart_at", [5, 6, 12])
def test_a_restart_changes_nothing_while_an_exit_waits_for_a_frozen_entry(
    partly: Any, alive: Any, restart_at: int, exits: Any, kinds: Any
) -> None:
    """The pause after a refusal goes on, and the unanswered cancel is not told of again."""
    partly.follow(s={("SPY", 2): LONG, ("SPY", 3): FLAT})
    with alive(partly) as bot:
        bot.freeze_cancels()
        bot.until(restart_at)
    with alive(partly) as bot:
        bot.freeze_cancels()
        bot.until(40)
    asked = exits(partly)
    assert [(o.created_at - asked[0].created_at) // timedelta(minutes=1) for o in asked] == [
        0, 1, 3, 7, 15, 31,
    ]  # fmt: skip
    assert [o.attempt for o in asked] == [1, 2, 3, 4, 5, 6]
    assert kinds(partly).count("cancel_unanswered") == 1


def test_a_cancel_that_is_not_answered_is_shown(
    partly: Any, alive: Any, capsys: pytest.CaptureFixture[str], in_tmp: Any, the_event: Any
) -> None:
    partly.follow(s={("SPY", 2): LONG, ("SPY", 3): FLAT})
    with alive(partly) as bot:
        bot.freeze_cancels()
        bot.until(8)
        (left,) = left_over(bot.session.book)
        assert (left.qty, "its cancel of 14:34:00 UTC is unanswered" in left.why) == (6, True)
    event = the_event(partly, "cancel_unanswered")
    assert (event.grave, "its cancel of 14:34:00 UTC" in event.text) == (True, True)
    for words in (["status"], ["orders", "--open"]):
        assert main([*words, "--db", str(partly.db)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert re.search("cancel( is)? unanswered since 2026-03-02 09:34 ET", shown), shown
    given = ["--db", str(partly.db), "--broker", "exchange", "--data", str(partly.tape)]
    assert main(["flatten", "--yes", "--timeout", "20", "--speed", "max", *given]) == 1
    assert "its cancel of 14:34:00 UTC is unanswered" in capsys.readouterr().out
