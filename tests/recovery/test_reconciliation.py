"""Each row of the reconciliation table, driven against the exchange with a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smabot.cli.run import reconcile
from smabot.config import Config
from smabot.disagreement import Disagreement
from smabot.engine import Engine
from smabot.errors import BrokerError
from smabot.plugins import Plugins
from smabot.records import (
    Adjustment,
    Fill,
    Order,
    OrderType,
    Position,
    Side,
    Status,
    TimeInForce,
)
from smabot.recovery import Session, open_session, recover

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TEN = Decimal(10)


class World:
    """A bot without a strategy, over a quiet tape: what is in the two books is up to the test."""

    def __init__(self, folder: Path, tape: Path) -> None:
        self.folder = folder
        self.tape = tape

    def config(self, **settings: Any) -> Config:
        return Config(
            plugins=(),
            db=self.folder / "trades.db",
            tape=str(self.tape),
            speed="max",
            **settings,
        )

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[Session]:
        config = self.config(**settings)
        session = open_session(config, Plugins.load(config))
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def started(self, **settings: Any) -> Iterator[tuple[Session, Engine]]:
        with self.opened(**settings) as session:
            yield session, recover(session)

    def play(self, minutes: int) -> None:
        """Start, let some minutes pass, and leave."""
        with self.started() as (session, engine):
            for _ in range(minutes):
                assert session.feed is not None
                batch = session.feed.next(0)
                assert batch is not None
                engine.process(batch)


@pytest.fixture
def world(tmp_path: Path, tape_writer: Callable[..., Path]) -> World:
    tape = tape_writer(tmp_path / "t.csv", {"SPY": [100.0] * 30, "IBM": [50.0] * 30}, volume=50)
    world = World(tmp_path, tape)
    world.play(3)
    return world


def make_order(status: Status, *, minute: int = 3, **changes: Any) -> Order:
    """A buy of 10 SPY decided when the given number of minutes had passed."""
    decided = OPEN + timedelta(minutes=minute)
    order = Order(
        f"smabot-sma-SPY-{decided - timedelta(minutes=1):%Y%m%dT%H%MZ}-1", "sma", "SPY", Side.BUY,
        TEN, OrderType.MARKET, None, TimeInForce.DAY, decided - timedelta(minutes=1), 1, False,
        decided, status,
    )  # fmt: skip
    return replace(order, **changes)


def here(world: World, *rows: Any) -> None:
    """Write rows into the bot's database as an earlier process would have."""
    with world.opened() as session:
        assert session.journal is not None
        session.journal.commit(rows)


def there(world: World, order: Order, minutes: int = 0) -> None:
    """Send an order to the exchange behind the bot's back, and let minutes pass."""
    with world.opened() as session:
        assert session.broker is not None
        assert session.feed is not None
        session.broker.submit(order)
        for _ in range(minutes):
            session.feed.next(0)


def order_row(world: World, order: Order) -> Order:
    with world.opened() as session:
        assert session.journal is not None
        found = session.journal.row(Order, order.client_order_id)
    assert found is not None
    return found


def conflict_kinds(world: World, dumper: Callable[..., Any], **settings: Any) -> set[str]:
    """Start, expect a refusal that changes nothing, and return the kinds of conflict."""
    before = dumper(world.folder / "trades.db", without=())
    with world.opened(**settings) as session, pytest.raises(Disagreement) as caught:
        recover(session)
    assert dumper(world.folder / "trades.db", without=()) == before
    assert caught.value.exit_code == 6
    for conflict in caught.value.conflicts:
        assert conflict.resolve
    return {conflict.kind for conflict in caught.value.conflicts}


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_there_is_adopted(world: World, status: Status) -> None:
    order = make_order(status)
    here(world, order)
    there(world, order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert len(session.broker.orders()) == 1
    adopted = order_row(world, order)
    assert adopted.status is Status.ACCEPTED
    assert adopted.broker_order_id


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_fresh_is_sent_again_under_the_same_id(world: World, status: Status) -> None:
    order = make_order(status)
    here(world, order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert [seen.client_order_id for seen in session.broker.orders()] == [order.client_order_id]
    assert order_row(world, order).status is Status.ACCEPTED


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_stale_is_abandoned(world: World, status: Status) -> None:
    order = make_order(status, minute=1)
    here(world, order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert session.broker.orders() == []
    assert order_row(world, order).status is Status.ABANDONED


def test_open_here_filled_there_is_applied_once(world: World) -> None:
    order = make_order(Status.ACCEPTED)
    here(world, order)
    there(world, order, minutes=2)
    for _ in range(2):
        with world.started() as (session, _):
            position = session.book.positions["sma", "SPY"]
    assert position.qty == TEN
    assert order_row(world, order).status is Status.FILLED


def test_open_here_partly_filled_there_keeps_the_rest_open(world: World) -> None:
    order = make_order(Status.ACCEPTED)
    here(world, order)
    there(world, order, minutes=1)
    with world.started() as (session, _):
        assert session.book.holding("sma", "SPY") == 5
        assert session.book.open_qty("sma", "SPY") == 5
    assert order_row(world, order).status is Status.PARTIALLY_FILLED


def test_open_here_canceled_there_is_applied(world: World) -> None:
    order = make_order(Status.ACCEPTED)
    here(world, order)
    there(world, order)
    with world.opened() as session:
        assert session.broker is not None
        session.broker.cancel(order)
    with world.started():
        pass
    assert order_row(world, order).status is Status.CANCELED


def test_open_here_expired_there_is_applied(
    tmp_path: Path, tape_writer: Callable[..., Path]
) -> None:
    closing = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = World(tmp_path, tape_writer(tmp_path / "t.csv", {"SPY": [100.0] * 5}, start=closing))
    world.play(1)
    limit = make_order(
        Status.ACCEPTED, type=OrderType.LIMIT, limit_price=Decimal("90.00"),
        created_at=closing + timedelta(minutes=1),
    )  # fmt: skip
    here(world, limit)
    there(world, limit, minutes=10)
    with world.started():
        pass
    assert order_row(world, limit).status is Status.EXPIRED


def test_acknowledged_and_not_there_is_a_conflict(world: World, dumper: Callable[..., Any]) -> None:
    here(world, make_order(Status.ACCEPTED))
    assert conflict_kinds(world, dumper) == {"unknown_at_broker"}


def test_our_prefix_there_and_nothing_here_is_a_conflict(
    world: World, dumper: Callable[..., Any]
) -> None:
    there(world, make_order(Status.PENDING))
    assert conflict_kinds(world, dumper) == {"unknown_locally"}


@pytest.mark.parametrize(
    "changes", [{"qty": Decimal(11)}, {"symbol": "IBM"}], ids=["quantity", "symbol"]
)
def test_another_payload_under_our_id_is_a_conflict(
    world: World, dumper: Callable[..., Any], changes: dict[str, Any]
) -> None:
    order = make_order(Status.PENDING)
    here(world, order)
    there(world, replace(order, **changes))
    assert conflict_kinds(world, dumper) == {"payload_mismatch"}


def test_more_filled_here_than_there_is_a_conflict(
    world: World, dumper: Callable[..., Any]
) -> None:
    order = make_order(Status.ACCEPTED)
    there(world, order, minutes=1)
    filled = replace(
        order, status=Status.PARTIALLY_FILLED, filled_qty=Decimal(7), filled_avg_price=Decimal(100)
    )
    held = Position("sma", "SPY", Decimal(7), Decimal(700), Decimal(100), Decimal(0), OPEN)
    here(world, filled, held)
    assert "overfilled_locally" in conflict_kinds(world, dumper)


def test_another_position_is_a_conflict_and_a_split_is_guessed(
    world: World, dumper: Callable[..., Any]
) -> None:
    order = make_order(Status.ACCEPTED)
    there(world, order, minutes=2)
    done = replace(order, status=Status.FILLED, filled_qty=TEN, filled_avg_price=Decimal(100))
    held = Position("sma", "SPY", Decimal(5), Decimal(500), Decimal(100), Decimal(0), OPEN)
    here(world, done, held)
    assert conflict_kinds(world, dumper) == {"position_mismatch"}
    with world.opened() as session, pytest.raises(Disagreement) as caught:
        recover(session)
    assert "2-for-1 split" in caught.value.conflicts[0].resolve


def test_another_account_is_a_conflict(world: World, dumper: Callable[..., Any]) -> None:
    other = world.folder / "other.exchange.db"
    changed = world.tape.with_name("other.csv")
    changed.write_text(world.tape.read_text().replace("100.0", "101.0"))
    world.tape = changed
    assert conflict_kinds(world, dumper, ledger=other) == {"account_mismatch"}


def test_a_strange_order_or_position_is_a_conflict_unless_ignored(
    world: World, dumper: Callable[..., Any]
) -> None:
    strange = replace(make_order(Status.PENDING), client_order_id="by-hand-1")
    there(world, strange)
    assert conflict_kinds(world, dumper) == {"foreign_activity"}
    with world.started(foreign="ignore"):
        pass
    there(world, replace(strange, client_order_id="by-hand-2", symbol="IBM"), minutes=2)
    assert conflict_kinds(world, dumper) == {"foreign_activity"}
    with world.started(foreign="ignore") as (session, _):
        assert session.book.net("IBM") == 0


def test_a_strange_order_on_a_symbol_that_is_not_traded_is_nobodys_business(world: World) -> None:
    strange = replace(make_order(Status.PENDING), client_order_id="by-hand-1", symbol="IBM")
    there(world, strange, minutes=1)
    with world.started(symbols=("SPY",)):
        pass


def test_a_failed_question_refuses_the_start(
    world: World, dumper: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown is not flat: without the broker's positions there is no start."""
    monkeypatch.setattr("smabot_reconciliation.plugin.RETRY_SECONDS", (0.0, 0.0))
    before = dumper(world.folder / "trades.db", without=())
    asked = []

    def fail() -> None:
        asked.append(1)
        raise BrokerError("504 gateway timeout")

    with world.opened() as session:
        monkeypatch.setattr(session.broker, "positions", fail)
        with pytest.raises(BrokerError, match="did not tell positions"):
            recover(session)
    assert len(asked) == 3
    assert dumper(world.folder / "trades.db", without=()) == before


def test_a_retry_is_enough_when_the_broker_answers_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_reconciliation.plugin.RETRY_SECONDS", (0.0, 0.0))
    failures = [BrokerError("reset"), BrokerError("reset")]
    with world.opened() as session:
        assert session.broker is not None
        ask = session.broker.positions

        def flaky() -> Any:
            if failures:
                raise failures.pop()
            return ask()

        monkeypatch.setattr(session.broker, "positions", flaky)
        recover(session)


@pytest.mark.parametrize("case", ["unknown_at_broker", "unknown_locally", "position_mismatch"])
def test_accepting_the_brokers_word_is_recorded_and_starts_again(world: World, case: str) -> None:
    order = make_order(Status.ACCEPTED)
    if case == "unknown_at_broker":
        here(world, order)
    elif case == "unknown_locally":
        there(world, order)
    else:
        there(world, order, minutes=2)
        done = replace(order, status=Status.FILLED, filled_qty=TEN, filled_avg_price=Decimal(100))
        here(world, done)
    loaded: Any = SimpleNamespace(config=world.config(), origins={})
    with pytest.raises(Disagreement):
        reconcile(loaded, None, False)
    assert reconcile(loaded, "broker", False) == 0
    with world.started() as (session, _):
        assert session.journal is not None
        adjusted = session.journal.rows(Adjustment)
        assert len(adjusted) == (case == "position_mismatch")
        assert session.book.net("SPY") == (10 if case == "position_mismatch" else 0)


def test_an_older_database_takes_over_what_its_orders_did_since(world: World) -> None:
    """A restored copy lacks a buy and half of its sale: both are taken over, by their strategy."""
    bought = make_order(Status.PENDING)
    there(world, bought, minutes=2)
    sold = make_order(Status.PENDING, minute=6, side=Side.SELL, qty=Decimal(5), reduces=True)
    there(world, sold, minutes=1)
    loaded: Any = SimpleNamespace(config=world.config(), origins={})
    with pytest.raises(Disagreement) as caught:
        reconcile(loaded, None, False)
    assert {conflict.kind for conflict in caught.value.conflicts} == {"unknown_locally"}
    assert reconcile(loaded, "broker", False) == 0
    with world.started() as (session, _):
        assert session.journal is not None
        assert session.broker is not None
        assert session.book.holding("sma", "SPY") == 5
        assert [fill.qty for fill in session.journal.rows(Fill)] == [10, 5]
        assert session.journal.rows(Adjustment) == []
        assert session.book.account is not None
        assert session.book.account.cash == session.broker.account().cash


def test_shares_that_are_gone_are_taken_from_their_holder(world: World) -> None:
    order = make_order(Status.ACCEPTED)
    here(world, order)
    there(world, order, minutes=2)
    by_hand = replace(order, client_order_id="by-hand", side=Side.SELL, qty=Decimal(4))
    there(world, by_hand, minutes=2)
    loaded: Any = SimpleNamespace(config=world.config(), origins={})
    assert reconcile(loaded, "broker", False) == 0
    with world.started() as (session, _):
        held = {key: p.qty for key, p in session.book.positions.items() if p.qty}
        assert held == {("sma", "SPY"): Decimal(6)}
