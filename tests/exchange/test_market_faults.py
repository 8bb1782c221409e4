"""Faults of the market: orders that don't end, or end otherwise, and symbols that don't trade.

They need no server: `Exchange.faults` and `Exchange.halts` switch them on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.errors import BrokerError, UnknownOutcome
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_plan import FaultPlan
from smabot_exchange.faults.market_kinds import (
    FrozenCancel,
    LeftAtClose,
    LostAnswer,
    RejectedLater,
    StuckPending,
    TradingHalt,
)
from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed, SharedExchange
from smabot_exchange.matching.orders import OrderChange, OrderFilter, OrderRequest, RequestRefused

DAY, NEXT = "2026-03-02", "2026-03-03"


@pytest.fixture
def trader(lab: Any, client: Any) -> Any:
    """A client at the first minute's end; 100 shares trade a minute, of which an order gets 10."""
    rows = lab.rows("SPY", f"{DAY} 09:30", [10] * 8, 100) + lab.rows("KO", f"{DAY} 09:30", [5] * 8)
    rows += lab.rows("SPY", f"{DAY} 15:58", [10, 10], 100) + lab.rows(
        "SPY", f"{NEXT} 09:30", [10] * 3
    )
    exchange = lab.open(lab.tape(rows), "ledger.db")
    exchange.advance()
    return client(exchange)


@pytest.fixture
def told(trader: Any) -> list[str]:
    """The events, as listeners are told them."""
    events: list[str] = []
    trader.exchange.listen(
        lambda news: events.extend(f"{e.order.client_order_id} {e.event}" for e in news)
    )
    return events


@pytest.fixture
def again(lab: Any, trader: Any, client: Any) -> Callable[[], Any]:
    """Stop the exchange, start another one on its ledger, without any fault."""

    def again() -> Any:
        trader.exchange.close()
        return client(lab.open(lab.folder / "tape.csv", "ledger.db"))

    return again


def play(trader: Any, minutes: int = 1) -> None:
    for _ in range(minutes):
        trader.exchange.advance()


def to_the_close(trader: Any) -> None:
    while trader.exchange.is_open:
        trader.exchange.advance()


# -- a cancel that does not come through -----------------------------------------------------------


def test_a_frozen_cancel_leaves_the_rest_for_good(trader: Any, told: list[str], again: Any) -> None:
    trader.exchange.faults.add([FrozenCancel()])
    order = trader.buy(25, id="a")
    whole = trader.buy(5, limit=5, id="b")
    play(trader)
    event = trader.exchange.cancel(order.id)
    assert (event.event, event.order.status, event.order.filled_qty) == (
        "pending_cancel", "pending_cancel", 10,
    )  # fmt: skip
    trader.exchange.cancel(order.id)
    trader.exchange.cancel(whole.id)  # nothing of it has filled
    assert trader.now(whole).status == "canceled"
    to_the_close(trader)
    trader = again()
    play(trader, 2)
    order = trader.now(order)
    assert (order.status, order.filled_qty, order.open) == ("pending_cancel", 10, True)
    assert trader.exchange.orders() == [order]
    assert told.count("a partial_fill") == 1
    assert "a expired" not in told


def test_a_frozen_cancel_may_come_through_late(trader: Any, told: list[str]) -> None:
    trader.exchange.faults.add([FrozenCancel(partial=False, minutes=2)])
    order = trader.buy(5, limit=5, id="a")
    assert trader.exchange.cancel_all() == [(order.id, 200)]
    play(trader)
    assert trader.now(order).status == "pending_cancel"
    play(trader)
    order = trader.now(order)
    assert (order.status, order.canceled_at) == ("canceled", trader.exchange.now)
    assert told == ["a new", "a pending_cancel", "a canceled"]
    assert trader.exchange.faults.counts() == {"frozen_cancel": 1}


def test_a_frozen_order_holds_its_shares(trader: Any) -> None:
    trader.exchange.faults.add([FrozenCancel()])
    trader.exchange.adjust("SPY", Decimal(20), Decimal(10))
    order = trader.sell(15)
    play(trader)
    trader.exchange.cancel(order.id)
    assert trader.exchange.available("SPY") == 5
    with pytest.raises(RequestRefused, match="available: 5"):
        trader.sell(6)
    with pytest.raises(RequestRefused, match='in "pending_cancel" state'):
        trader.exchange.replace(order.id, OrderChange(qty=Decimal(12)))


# -- left open at the close ------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["done_for_day", "calculated", "stopped", "suspended"])
def test_an_order_left_at_the_close(trader: Any, told: list[str], again: Any, value: Any) -> None:
    trader.exchange.faults.add([LeftAtClose(value=value, client_order_id="a")])
    order = trader.buy(5, limit=5, id="a")
    trader.buy(5, limit=5, id="b")
    to_the_close(trader)
    assert trader.now(order).status == value
    assert told[-2:] == [f"a {value}", "b expired"]
    trader = again()
    while trader.exchange.advance():
        pass
    order = trader.now(order)
    assert (order.status, order.filled_qty) == (value, 0)
    assert trader.exchange.cancel(order.id).order.status == "canceled"
    assert trader.exchange.orders() == []


def test_orders_that_outlive_the_day_end_as_ever(trader: Any) -> None:
    trader.exchange.faults.add([LeftAtClose()])
    lasting = trader.buy(5, limit=5, tif="gtc")
    at_close = trader.buy(5, limit=5, tif="cls")
    to_the_close(trader)
    assert (trader.now(lasting).status, trader.now(at_close).status) == ("new", "canceled")


# -- rejected after it was accepted ----------------------------------------------------------------


def test_an_order_that_is_rejected_later(trader: Any, told: list[str], again: Any) -> None:
    trader.exchange.faults.add([RejectedLater(minutes=3, symbol="SPY")])
    order = trader.buy(5, id="a")
    assert order.status == "new"
    play(trader, 2)
    assert trader.now(order).status == "new"
    assert told == ["a new"]
    trader = again()
    minute = trader.exchange.advance()
    order = trader.now(order)
    assert [event.event for event in minute.events] == ["rejected"]
    assert (order.status, order.filled_qty, order.failed_at) == ("rejected", 0, minute.time)
    assert (trader.exchange.positions(), trader.exchange.account().held_for_orders) == ([], 0)
    with pytest.raises(RequestRefused, match='order is already in "rejected" state'):
        trader.exchange.cancel(order.id)


# -- pending for ever ------------------------------------------------------------------------------


def test_an_order_stays_pending_until_its_day_ends(trader: Any, told: list[str]) -> None:
    trader.exchange.faults.add([StuckPending()])
    order = trader.buy(5, id="a")
    assert order.status == "pending_new"
    with pytest.raises(RequestRefused, match="isn't sent to exchange yet"):
        trader.exchange.replace(order.id, OrderChange(qty=Decimal(6)))
    other = trader.buy(5, id="b")
    trader.exchange.cancel(other.id)
    to_the_close(trader)
    assert trader.now(order).status == "expired"
    assert told == ["a pending_new", "b pending_new", "b canceled", "a expired"]


def test_an_order_stays_pending_for_some_minutes(trader: Any, told: list[str], again: Any) -> None:
    trader.exchange.faults.add([StuckPending(minutes=2)])
    order = trader.buy(5, id="a")
    play(trader)
    trader = again()
    assert trader.now(order).status == "pending_new"
    play(trader)
    assert trader.now(order).status == "new"
    play(trader)
    assert trader.now(order).status == "filled"


# -- an answer that is lost ------------------------------------------------------------------------


def test_a_lost_order_is_hidden_and_then_fills(trader: Any, told: list[str], again: Any) -> None:
    exchange = trader.exchange
    exchange.faults.add([LostAnswer(times=1)])
    order = trader.buy(5, id="a")
    assert order.hidden

    def hidden(exchange: Exchange) -> None:
        for lookup in (lambda: exchange.order(order.id), lambda: exchange.order_by_client_id("a")):
            with pytest.raises(RequestRefused, match="order not found for"):
                lookup()
        assert exchange.orders() == exchange.orders("all") == exchange.find_orders() == []
        assert exchange.find_orders(OrderFilter(status="all")) == []
        with pytest.raises(RequestRefused, match="client_order_id must be unique"):
            exchange.submit(OrderRequest("SPY", Side.BUY, Decimal(5), client_order_id="a"))

    hidden(exchange)
    assert exchange.account().held_for_orders == 50
    play(trader)
    trader = again()
    hidden(trader.exchange)
    minute = trader.exchange.advance()
    assert [event.event for event in minute.events] == ["new"]
    assert trader.exchange.orders() == [trader.now(order)]
    minute = trader.exchange.advance()
    assert [event.event for event in minute.events] == ["fill"]
    assert told == []


def test_an_order_without_an_id_of_its_own_is_not_lost(trader: Any) -> None:
    trader.exchange.faults.add([LostAnswer()])
    assert not trader.buy(5).hidden
    play(trader)
    assert not trader.exchange.close_position("SPY").hidden


def test_all_orders_are_canceled_also_a_lost_one(trader: Any, told: list[str]) -> None:
    trader.exchange.faults.add([LostAnswer()])
    order = trader.buy(5, id="a")
    trader.exchange.cancel_all()
    assert trader.now(order).status == "canceled"
    assert told == ["a canceled"]


# -- halts -----------------------------------------------------------------------------------------


def test_a_halted_symbol_does_not_trade(lab: Any, trader: Any, again: Any) -> None:
    exchange = trader.exchange
    exchange.faults.add([TradingHalt(symbol="SPY", minutes=2, since=lab.time(f"{DAY} 09:32"))])
    orders = [trader.buy(1), trader.buy(1, "KO")]
    play(trader)
    orders += [trader.buy(1), trader.buy(1, tif="ioc"), trader.buy(1, "KO")]
    first, second, third = (exchange.advance() for _ in range(3))
    assert [first.halted, second.halted, third.halted] == [("SPY",), (), ()]
    assert [first.resumed, second.resumed, third.resumed] == [(), (), ("SPY",)]
    assert [[bar.symbol for bar in minute.bars] for minute in (first, second, third)] == [
        ["KO"], ["KO"], ["KO", "SPY"],
    ]  # fmt: skip
    assert [trader.now(order).status.value for order in orders] == [
        "filled", "filled", "filled", "canceled", "filled",
    ]  # fmt: skip
    assert trader.now(orders[2]).filled_at == lab.time(f"{DAY} 09:34")
    trader = again()
    times = [
        bar.time for bar in trader.exchange.bars(["SPY"], lab.time(f"{DAY} 09:30"), third.time)
    ]
    assert times == [lab.time(f"{DAY} 09:{minute}") for minute in (30, 31, 34)]


def test_a_halt_by_hand(trader: Any) -> None:
    trader.exchange.halts.halt("SPY")
    order = trader.buy(1)
    play(trader, 3)
    assert trader.now(order).status == "new"
    trader.exchange.halts.resume("SPY")
    minute = trader.exchange.advance()
    assert minute.resumed == ("SPY",)
    assert trader.now(order).status == "filled"


def test_a_minute_in_which_all_are_halted_is_played(trader: Any) -> None:
    before = trader.exchange.minutes[0]
    trader.exchange.faults.add([TradingHalt(symbol="*", times=2)])
    order = trader.buy(1, tif="ioc")
    minute = trader.exchange.advance()
    assert (minute.bars, minute.halted, trader.exchange.minutes[0]) == (
        [],
        ("KO", "SPY"),
        before + 1,
    )
    assert trader.now(order).status == "canceled"


# -- the front in process --------------------------------------------------------------------------


class Desk:
    """A bot's broker and feed."""

    def __init__(self, exchange: Exchange) -> None:
        line = SharedExchange(exchange)
        self.exchange = exchange
        self.broker, self.feed = ExchangeBroker(line), ExchangeFeed(line)
        self.feed.subscribe(["SPY"])

    def order(self, id: str, qty: int = 5, limit: str | None = None) -> Order:
        now = self.feed.now()
        return Order(
            id, "sma", "SPY", Side.BUY, Decimal(qty), OrderType.LIMIT if limit else OrderType.MARKET,
            Decimal(limit) if limit else None, TimeInForce.DAY, now, 1, False, now,
        )  # fmt: skip

    def heard(self) -> list[tuple[str, Status]]:
        batch = self.feed.next(1)
        assert batch is not None
        assert all(update.symbol == "SPY" for update in batch.updates)
        return [(update.client_order_id, update.status) for update in batch.updates]


@pytest.fixture
def desk(trader: Any) -> Desk:
    return Desk(trader.exchange)


def test_in_process_a_lost_answer_is_an_unknown_outcome(desk: Desk) -> None:
    assert desk.broker.visibility_delay is not None
    assert not desk.exchange.hides_orders
    desk.exchange.faults.add([LostAnswer(client_order_id="a")])
    order = desk.order("a")
    for _ in range(2):  # sent again, its id is taken
        with pytest.raises(UnknownOutcome):
            desk.broker.submit(order)
    assert desk.broker.visibility_delay is None
    assert ExchangeBroker(SharedExchange(desk.exchange)).visibility_delay is None
    assert (desk.broker.order("a"), desk.broker.orders(order.created_at)) == (None, [])
    with pytest.raises(BrokerError, match="not found"):
        desk.broker.cancel(order)
    assert [desk.heard(), desk.heard()] == [[], [("a", Status.ACCEPTED)]]
    assert desk.broker.submit(order).status is Status.ACCEPTED
    assert desk.heard() == [("a", Status.FILLED)]


def test_in_process_a_later_rejection_is_an_update(desk: Desk) -> None:
    desk.exchange.faults.add([RejectedLater()])
    assert desk.broker.submit(desk.order("a")).status is Status.ACCEPTED
    batch = desk.feed.next(1)
    assert batch is not None
    (update,) = batch.updates
    assert (update.status, update.reason) == (Status.REJECTED, "rejected by the broker")


def test_in_process_the_states_are_the_ones_of_core(desk: Desk) -> None:
    desk.exchange.faults.add(
        [StuckPending(client_order_id="p"), FrozenCancel(), LeftAtClose(client_order_id="l")]
    )
    assert desk.broker.submit(desk.order("p")).status is Status.SUBMITTED
    frozen, left = desk.order("f", 25), desk.order("l", limit="5")
    desk.broker.submit(frozen)
    desk.broker.submit(left)
    assert desk.heard() == [("f", Status.PARTIALLY_FILLED)]
    desk.broker.cancel(frozen)
    assert desk.heard() == [("f", Status.PARTIALLY_FILLED)]
    while desk.exchange.is_open:
        last = desk.heard()
    assert last == [("p", Status.EXPIRED), ("l", Status.ACCEPTED)]
    assert [(o.client_order_id, o.status) for o in desk.broker.orders()] == [
        ("f", Status.PARTIALLY_FILLED), ("l", Status.ACCEPTED),
    ]  # fmt: skip


def test_in_process_a_halted_symbol_has_no_bar(desk: Desk) -> None:
    desk.exchange.halts.halt("SPY")
    desk.broker.submit(desk.order("a"))
    batch = desk.feed.next(1)
    assert batch is not None
    assert (batch.bars, batch.updates) == ((), ())


def test_in_process_several_lost_orders(desk: Desk) -> None:
    """A bot's order that is lost is found again by the same payload, and a conflict by another."""
    desk.exchange.faults.add([LostAnswer()])
    order = desk.order("a")
    with pytest.raises(UnknownOutcome):
        desk.broker.submit_many([order, desk.order("b")])
    desk.heard()
    desk.heard()
    assert desk.broker.submit(order).status is Status.ACCEPTED
    with pytest.raises(Exception, match="another order under this id"):
        desk.broker.submit(replace(order, qty=Decimal(9)))


# -- all of them -----------------------------------------------------------------------------------


def test_a_restart_at_every_minute_changes_nothing(lab: Any, player: dict[str, Any]) -> None:
    """What a fault has done is in the ledger, and chance is drawn from the seed and the order."""

    def faults(seed: int) -> FaultPlan:
        return FaultPlan(
            [
                FrozenCancel(probability=0.5, minutes=3),
                FrozenCancel(name="whole", probability=0.8, partial=False, minutes=5),
                LeftAtClose(probability=0.5),
                RejectedLater(probability=0.1, minutes=2),
                StuckPending(probability=0.1, minutes=3),
                LostAnswer(probability=0.1),
            ],
            seed,
        )

    rng = Random(5)
    rows = []
    for day in (DAY, NEXT):
        for symbol, price in (("KO", 70.0), ("SPY", 60.0)):
            for minute in range(30):
                price = round(price * (1 + rng.uniform(-0.004, 0.004)), 2)
                four = [price, round(price + 0.3, 2), round(price - 0.3, 2), price]
                rows.append(lab.row(symbol, f"{day} 15:{30 + minute}", four, 90))
    tape = lab.tape(rows)
    struck: Counter[str] = Counter()
    for seed in range(3):
        whole, parts = lab.folder / f"whole{seed}.db", lab.folder / f"parts{seed}.db"
        exchange = Exchange(whole, str(tape), faults=faults(seed))
        player["play"](exchange)
        exchange.close()
        struck += Counter(exchange.faults.counts())
        going = True
        while going:
            exchange = Exchange(parts, str(tape), faults=faults(seed))
            player["act"](exchange, lambda: None)
            going = exchange.advance() is not None
            exchange.close()
        assert player["contents"](parts) == player["contents"](whole)
    assert set(struck) == set(faults(0).counts())
