"""Orders whose fate is not known for a while: sent again, waited for or given up, never doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Account, Batch, Order, OrderUpdate
from smabot.engine.loop import Engine
from smabot.engine.start.recovery import recover
from smabot.errors import BrokerError, UnknownOutcome
from smabot.hooks.ports import BrokerOrder, BrokerPosition

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
LONG, FLAT = 1, 0
ONCE = {"SPY": [100.0] * 40}


class Line:
    """The line to the broker: what is sent may be lost, or arrive unanswered and not be seen yet.

    ``seconds`` go by beside the tape's minutes.
    """

    def __init__(
        self, session: Any, faults: Sequence[str], monkeypatch: Any, delay: int = 0
    ) -> None:
        self.seconds = 0.0
        self._delay = delay
        self.sent: list[tuple[str, float]] = []
        self._faults = list(faults)
        self._hidden: dict[str, float] = {}
        self._broker = session.broker
        self._feed = session.feed
        self._send, self._look = self._broker.submit_many, self._broker.order
        self._now = self._feed.now
        monkeypatch.setattr(type(self._broker), "visibility_delay", timedelta(seconds=delay))
        monkeypatch.setattr(self._broker, "submit", self.submit)
        monkeypatch.setattr(self._broker, "submit_many", lambda orders: [*map(self.submit, orders)])
        monkeypatch.setattr(self._broker, "order", self.look)
        monkeypatch.setattr(
            self._feed, "now", lambda: self._now() + timedelta(seconds=self.seconds)
        )

    def submit(self, order: Order) -> OrderUpdate:
        self.sent.append((order.client_order_id[-1], self.seconds))
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "lost":
            raise UnknownOutcome("timeout")
        if fault == "refused":
            return OrderUpdate(order.client_order_id, Status.REJECTED, self._now(), reason="no")
        answer: OrderUpdate = self._send([order])[0]
        if fault == "unanswered":
            self._hidden[order.client_order_id] = self.seconds
            raise UnknownOutcome("timeout")
        return answer

    def look(self, client_order_id: str) -> BrokerOrder | None:
        landed = self._hidden.get(client_order_id)
        if landed is not None and self.seconds - landed < self._delay:
            return None
        found: BrokerOrder | None = self._look(client_order_id)
        return found

    def later(self, engine: Engine, seconds: float) -> None:
        """Let the engine take a step that many seconds after the newest bar."""
        self.seconds = seconds
        engine.process(Batch(self._feed.now()))


def short(world: Any) -> list[tuple[str, str, int]]:
    return [(o.side.value, o.status.value, o.attempt) for o in world.rows(Order)]


def test_an_order_that_was_sent_again_is_not_given_up_before_it_can_be_seen(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit given up too early would get another id, and be sold twice."""
    world = make_world(ONCE)
    world.follow(a={("SPY", 2): LONG, ("SPY", 10): FLAT}, b={("SPY", 2): LONG})
    with world.started() as (session, engine):
        world.go(engine, 10)
        line = Line(session, ["lost", "unanswered"], monkeypatch, delay=15)
        world.go(engine, 1)
        line.later(engine, 57)
        line.later(engine, 67)
        assert line.sent == [("1", 0), ("1", 57)]
        line.later(engine, 75)
        line.seconds = 0
        for _ in range(4):  # what the feed tells of orders is a hint: here it is lost
            engine.process(replace(session.feed.next(0), updates=()))
        assert [p.qty for p in session.broker.positions()] == [10]
    monkeypatch.undo()
    world.play(0)
    assert short(world) == [("buy", "filled", 1), ("buy", "filled", 1), ("sell", "filled", 1)]
    assert world.held() == {("b", "SPY"): 10}


def test_orders_that_a_killed_process_left_unsent_are_no_failures(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the broker may not show at once what it has: they are sent again under their ids."""
    symbols = ["A", "B", "C", "D", "E"]
    world = make_world({symbol: [100.0] * 20 for symbol in symbols}, plugins=("risk",))
    world.follow(s={(symbol, 4): LONG for symbol in symbols})
    world.killed_before_sending()
    with world.opened() as session:
        monkeypatch.setattr(type(session.broker), "visibility_delay", timedelta(seconds=5))
        world.go(recover(session), 3)
    assert short(world) == [("buy", "filled", 1)] * 5
    assert world.ask("SELECT tripped, failure_count FROM circuit_breaker") == [(0, 0)]


def test_an_order_that_is_first_unanswered_and_then_refused_is_one_failure(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(ONCE, plugins=("risk",))
    world.follow(s={("SPY", 2): LONG})
    with world.started() as (session, engine):
        Line(session, ["lost", "refused"], monkeypatch)
        world.go(engine, 5)
    assert short(world) == [("buy", "rejected", 1)]
    assert world.ask("SELECT failure_count FROM circuit_breaker") == [(1,)]


def test_an_entry_that_its_strategy_took_back_is_not_sent_after_a_restart(make_world: Any) -> None:
    world = make_world(ONCE, max_bar_age_minutes=10)
    world.follow(s={("SPY", 4): LONG, ("SPY", 6): FLAT})
    world.killed_before_sending()
    world.pass_by(4)
    world.play(6)
    assert short(world) == [("buy", "abandoned", 1)]


def test_a_step_ends_while_an_order_stays_unanswered(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(ONCE)
    world.follow(s={("SPY", 4): LONG})
    with world.started() as (session, engine):
        line = Line(session, ["lost"] * 100, monkeypatch)
        world.go(engine, 8)
    assert len(line.sent) < 5
    assert short(world) == [("buy", "abandoned", 1)]


def test_a_fill_between_the_brokers_two_answers_is_no_conflict(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(ONCE, volume=50)
    world.follow(s={("SPY", 2): LONG})
    with world.started() as (session, engine):
        world.go(engine, 4)
        ask, meanwhile = session.broker.positions, [session.feed.next]

        def positions() -> list[BrokerPosition]:
            if meanwhile:
                meanwhile.pop()(0)
            answer: list[BrokerPosition] = ask()
            return answer

        monkeypatch.setattr(session.broker, "positions", positions)
        engine.compare()
        assert not meanwhile
        assert session.book.holding("s", "SPY") == session.broker.positions()[0].qty


def test_a_broker_that_does_not_answer_holds_entries_up_and_lets_exits_pass(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_reconciliation.plugin.RETRY_SECONDS", (0.0,))
    world = make_world({"SPY": [100.0] * 40, "IBM": [50.0] * 40}, reconcile_every_minutes=15)
    world.follow(
        s={("SPY", 2): LONG, ("SPY", 17): FLAT, ("IBM", 17): LONG, ("IBM", 30): FLAT},
        late={("IBM", 30): LONG},
    )
    with world.started() as (session, engine):
        ask = session.broker.positions

        def positions() -> list[BrokerPosition]:
            if session.feed.now() < OPEN + timedelta(minutes=22):
                raise BrokerError("503")
            answer: list[BrokerPosition] = ask()
            return answer

        monkeypatch.setattr(session.broker, "positions", positions)
        assert engine.run() == "ended"
    orders = {(o.strategy, o.symbol, o.side): o for o in world.rows(Order)}
    assert orders["s", "SPY", Side.SELL].status is Status.FILLED
    waited = orders["s", "IBM", Side.BUY]
    assert (waited.status, "has not confirmed" in waited.reason) == (Status.BLOCKED, True)
    assert orders["late", "IBM", Side.BUY].status is Status.FILLED


def test_a_fill_without_its_price_waits_for_the_price(make_order: Any) -> None:
    book = Book()
    book.apply(Account("x", "y", Decimal(10_000), Decimal(10_000), OPEN))
    bought = make_order(Status.ACCEPTED)
    book.apply(bought)
    update = OrderUpdate(bought.client_order_id, Status.FILLED, OPEN, filled_qty=Decimal(10))
    book.apply(update)
    assert book.holding("sma", "SPY") == 0
    assert book.orders[bought.client_order_id] == bought
    book.apply(replace(update, filled_avg_price=Decimal(100)))
    assert book.positions["sma", "SPY"].cost == 1000
    assert book.account is not None
    assert book.account.cash == 9000
