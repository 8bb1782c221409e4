"""Each row of the reconciliation table, driven against the exchange with a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import Adjustment, Fill, Order, Position
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.recovery import recover
from smabot.errors import BrokerError
from smabot.hooks.recovery_answers import Conflict, Recovery, RecoveryStep
from smabot.hooks.specifications import hookimpl

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
TEN = Decimal(10)


@pytest.fixture
def world(make_world: Any) -> Any:
    """A bot without a strategy, over a quiet tape: what is in the two books is up to the test."""
    world = make_world({"SPY": [100.0] * 30, "IBM": [50.0] * 30}, volume=50)
    world.play(3)
    return world


def order_row(world: Any, order: Order) -> Order:
    rows: list[Order] = world.rows(Order, client_order_id=order.client_order_id)
    (found,) = rows
    return found


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_there_is_adopted(world: Any, status: Status, make_order: Any) -> None:
    order = make_order(status)
    world.here(order)
    world.there(order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert len(session.broker.orders()) == 1
    adopted = order_row(world, order)
    assert adopted.status is Status.ACCEPTED
    assert adopted.broker_order_id


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_fresh_is_sent_again_under_the_same_id(
    world: Any, status: Status, make_order: Any
) -> None:
    order = make_order(status)
    world.here(order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert [seen.client_order_id for seen in session.broker.orders()] == [order.client_order_id]
    assert order_row(world, order).status is Status.ACCEPTED


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_unanswered_and_stale_is_abandoned(world: Any, status: Status, make_order: Any) -> None:
    order = make_order(status, minute=1)
    world.here(order)
    with world.started() as (session, _):
        assert session.broker is not None
        assert session.broker.orders() == []
    assert order_row(world, order).status is Status.ABANDONED


def test_given_up_here_and_filled_there_after_all_is_applied(world: Any, make_order: Any) -> None:
    order = make_order(Status.ABANDONED)
    world.here(order)
    world.there(order, minutes=2)
    with world.started() as (session, _):
        assert session.book.positions["sma", "SPY"].qty == TEN
    assert order_row(world, order).status is Status.FILLED


def test_canceled_here_and_filled_there_is_applied(world: Any, make_order: Any) -> None:
    """The cancel came too late, and nothing told of the fill."""
    order = make_order(Status.CANCELED, updated_at=OPEN + timedelta(minutes=3))
    world.here(order)
    world.there(order, minutes=2)
    with world.started() as (session, _):
        assert session.book.positions["sma", "SPY"].qty == TEN
    assert order_row(world, order).status is Status.FILLED


def test_open_here_filled_there_is_applied_once(world: Any, make_order: Any) -> None:
    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order, minutes=2)
    for _ in range(2):
        with world.started() as (session, _):
            position = session.book.positions["sma", "SPY"]
    assert position.qty == TEN
    assert order_row(world, order).status is Status.FILLED


def test_open_here_partly_filled_there_keeps_the_rest_open(world: Any, make_order: Any) -> None:
    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order, minutes=1)
    with world.started() as (session, _):
        assert session.book.holding("sma", "SPY") == 5
        assert session.book.open_qty("sma", "SPY") == 5
    assert order_row(world, order).status is Status.PARTIALLY_FILLED


def test_open_here_canceled_there_is_applied(world: Any, make_order: Any) -> None:
    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order)
    with world.opened() as session:
        assert session.broker is not None
        session.broker.cancel(order)
    with world.started():
        pass
    assert order_row(world, order).status is Status.CANCELED


def test_open_here_expired_there_is_applied(make_world: Any, make_order: Any) -> None:
    closing = datetime(2026, 3, 2, 20, 55, tzinfo=UTC)
    world = make_world({"SPY": [100.0] * 5}, start=closing)
    world.play(1)
    limit = make_order(
        Status.ACCEPTED, type=OrderType.LIMIT, limit_price=Decimal("90.00"),
        created_at=closing + timedelta(minutes=1),
    )  # fmt: skip
    world.here(limit)
    world.there(limit, minutes=10)
    with world.started():
        pass
    assert order_row(world, limit).status is Status.EXPIRED


def test_acknowledged_and_not_there_is_a_conflict(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    world.here(make_order(Status.ACCEPTED))
    assert world.refused(dumper) == {"unknown_at_broker"}


def test_our_prefix_there_and_nothing_here_is_a_conflict(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    world.there(make_order(Status.PENDING))
    assert world.refused(dumper) == {"unknown_locally"}


@pytest.mark.parametrize(
    "changes", [{"qty": Decimal(11)}, {"symbol": "IBM"}], ids=["quantity", "symbol"]
)
def test_another_payload_under_our_id_is_a_conflict(
    world: Any, dumper: Callable[..., Any], changes: dict[str, Any], make_order: Any
) -> None:
    order = make_order(Status.PENDING)
    world.here(order)
    world.there(replace(order, **changes))
    assert world.refused(dumper) == {"payload_mismatch"}


def test_more_filled_here_than_there_is_a_conflict(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    order = make_order(Status.ACCEPTED)
    world.there(order, minutes=1)
    filled = replace(
        order, status=Status.PARTIALLY_FILLED, filled_qty=Decimal(7), filled_avg_price=Decimal(100)
    )
    held = Position("sma", "SPY", Decimal(7), Decimal(700), Decimal(100), Decimal(0), OPEN)
    world.here(filled, held)
    assert "overfilled_locally" in world.refused(dumper)


def test_another_position_is_a_conflict_and_a_split_is_guessed(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    order = make_order(Status.ACCEPTED)
    world.there(order, minutes=2)
    done = replace(order, status=Status.FILLED, filled_qty=TEN, filled_avg_price=Decimal(100))
    held = Position("sma", "SPY", Decimal(5), Decimal(500), Decimal(100), Decimal(0), OPEN)
    world.here(done, held)
    assert world.refused(dumper) == {"position_mismatch"}
    with world.opened() as session, pytest.raises(ReconciliationConflict) as caught:
        recover(session)
    assert "2-for-1 split" in caught.value.conflicts[0].resolve


def test_another_account_is_a_conflict(world: Any, dumper: Callable[..., Any]) -> None:
    other = world.again("other")
    other.play(1)
    ledger = other.config().ledger_path
    assert world.refused(dumper, ledger=ledger) == {"account_mismatch"}
    world.settings["ledger"] = ledger
    with pytest.raises(ReconciliationConflict) as caught:
        world.compared()
    assert str(caught.value).endswith(
        "nothing was changed; each one's `resolve` above says what to do"
    )


def test_a_comparison_on_demand_says_what_is_next(world: Any) -> None:
    world.here(Position("sma", "SPY", Decimal(7), Decimal(700), Decimal(100), Decimal(0), OPEN))
    with pytest.raises(ReconciliationConflict) as caught:
        world.compared()
    assert str(caught.value).endswith(
        "nothing was changed; if the broker is right, the same command with `--accept broker` accepts "
        "the broker's state"
    )
    assert world.accept() == 0


def test_a_strange_order_or_position_is_a_conflict_unless_ignored(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    strange = replace(make_order(Status.PENDING), client_order_id="by-hand-1")
    world.there(strange)
    assert world.refused(dumper) == {"foreign_activity"}
    with world.started(foreign="ignore"):
        pass
    world.there(replace(strange, client_order_id="by-hand-2", symbol="IBM"), minutes=2)
    assert world.refused(dumper) == {"foreign_activity"}
    with world.started(foreign="ignore") as (session, _):
        assert session.book.net("IBM") == 0


def test_a_strange_order_on_a_symbol_that_is_not_traded_is_nobodys_business(
    world: Any, make_order: Any
) -> None:
    strange = replace(make_order(Status.PENDING), client_order_id="by-hand-1", symbol="IBM")
    world.there(strange, minutes=1)
    with world.started(symbols=("SPY",)):
        pass


def test_a_plugins_own_conflict_changes_nothing(
    world: Any, dumper: Callable[..., Any], make_order: Any
) -> None:
    """Not even what the broker has news of."""

    class Unhappy:
        @hookimpl
        def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
            return RecoveryStep("nothing", (Conflict("mine", "a", "b", "c", "mend it"),))

    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order, minutes=2)
    world.strategies = {"unhappy": Unhappy()}
    assert world.refused(dumper) == {"mine"}


def test_an_order_of_the_bots_old_name_is_still_its_own(world: Any, make_order: Any) -> None:
    order = make_order(Status.ACCEPTED, type=OrderType.LIMIT, limit_price=Decimal("90.00"))
    world.here(order)
    world.there(order)
    world.play(1, bot="other")
    assert order_row(world, order).status is Status.ACCEPTED


def test_a_symbol_that_is_no_longer_held_or_traded_is_anyones(
    make_world: Any, make_order: Any
) -> None:
    world = make_world({"SPY": [100.0] * 40, "IBM": [50.0] * 40})
    world.follow(s={("IBM", 2): 1, ("IBM", 5): 0})
    world.play(9)
    world.there(make_order(Status.PENDING, client_order_id="hand-1", symbol="IBM"), minutes=2)
    with world.started(symbols=("SPY",)) as (session, _):
        assert session.book.net("IBM") == 0


def test_a_failed_question_refuses_the_start(
    world: Any, dumper: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
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
        with pytest.raises(BrokerError, match="did not return positions"):
            recover(session)
    assert len(asked) == 3
    assert dumper(world.folder / "trades.db", without=()) == before


def test_a_retry_is_enough_when_the_broker_answers_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
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
def test_accepting_the_brokers_word_is_recorded_and_starts_again(
    world: Any, case: str, make_order: Any
) -> None:
    order = make_order(Status.ACCEPTED)
    if case == "unknown_at_broker":
        world.here(order)
    elif case == "unknown_locally":
        world.there(order)
    else:
        world.there(order, minutes=2)
        done = replace(order, status=Status.FILLED, filled_qty=TEN, filled_avg_price=Decimal(100))
        world.here(done)
    with pytest.raises(ReconciliationConflict):
        world.compared()
    assert world.accept() == 0
    with world.started() as (session, _):
        assert session.journal is not None
        adjusted = session.journal.rows(Adjustment)
        assert len(adjusted) == (case == "position_mismatch")
        assert session.book.net("SPY") == (10 if case == "position_mismatch" else 0)


def test_an_older_database_takes_over_what_its_orders_did_since(
    world: Any, make_order: Any
) -> None:
    """A restored copy lacks a buy and half of its sale: both are taken over, by their strategy."""
    bought = make_order(Status.PENDING)
    world.there(bought, minutes=2)
    sold = make_order(Status.PENDING, minute=6, side=Side.SELL, qty=Decimal(5), reduces=True)
    world.there(sold, minutes=1)
    with pytest.raises(ReconciliationConflict) as caught:
        world.compared()
    assert {conflict.kind for conflict in caught.value.conflicts} == {"unknown_locally"}
    assert world.accept() == 0
    with world.started() as (session, _):
        assert session.journal is not None
        assert session.broker is not None
        assert session.book.holding("sma", "SPY") == 5
        assert [fill.qty for fill in session.journal.rows(Fill)] == [10, 5]
        assert session.journal.rows(Adjustment) == []
        assert session.book.account is not None
        assert session.book.account.cash == session.broker.account().cash


def test_shares_that_are_gone_are_taken_from_their_holder(world: Any, make_order: Any) -> None:
    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order, minutes=2)
    by_hand = replace(order, client_order_id="by-hand", side=Side.SELL, qty=Decimal(4))
    world.there(by_hand, minutes=2)
    assert world.accept() == 0
    with world.started() as (session, _):
        held = {key: p.qty for key, p in session.book.positions.items() if p.qty}
        assert held == {("sma", "SPY"): Decimal(6)}


def test_shares_of_others_beside_ours_are_let_be_where_that_is_wanted(
    world: Any, make_order: Any, dumper: Any
) -> None:
    """What is more than ours is theirs; what is less is a conflict all the same."""
    order = make_order(Status.ACCEPTED)
    world.here(order)
    world.there(order, minutes=2)
    by_hand = replace(order, client_order_id="by-hand", qty=Decimal(4))
    world.there(by_hand, minutes=2)
    with world.started(foreign="ignore") as (session, _):
        assert session.book.net("SPY") == TEN
    world.there(replace(by_hand, client_order_id="sold", side=Side.SELL, qty=Decimal(6)), minutes=3)
    assert world.refused(dumper, foreign="ignore") == {"position_mismatch"}
