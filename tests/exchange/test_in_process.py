"""The front in process: what a bot sees as its broker and its feed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import Order
from smabot.errors import BrokerError, ConfigError, ConflictError, LockHeld, UnknownOutcome
from smabot.hooks.ports import Broker, BrokerPosition, Feed
from smabot.settings.model import Config
from smabot.system.pace import Pace
from smabot_exchange.in_process import ExchangeBroker, ExchangeFeed
from smabot_exchange.plugin import ExchangePlugin, ExchangeSettings


class Desk:
    """A bot's broker and feed."""

    def __init__(self, config: Config, **settings: Any) -> None:
        plugin = ExchangePlugin(ExchangeSettings(**settings))
        feed, broker = plugin.open_feed(config), plugin.open_broker(config)
        assert feed is not None
        assert broker is not None
        self.feed: ExchangeFeed = feed
        self.broker: ExchangeBroker = broker
        typed: tuple[Feed, Broker] = (feed, broker)
        assert typed

    def order(self, id: str, qty: object = 1, side: Side = Side.BUY, limit: Any = None) -> Order:
        return Order(
            id, "sma", "SPY", side, Decimal(str(qty)),
            OrderType.MARKET if limit is None else OrderType.LIMIT,
            None if limit is None else Decimal(str(limit)),
            TimeInForce.DAY, self.feed.now(), 1, False, self.feed.now(),
        )  # fmt: skip

    def close(self) -> None:
        self.broker.close()
        self.feed.close()


@pytest.fixture
def config(lab: Any) -> Config:
    tape = lab.tape(
        lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12, 13, 14])
        + lab.rows("KO", "2026-03-02 09:30", [5, 6, 7])
    )
    return Config(broker="exchange", db=lab.folder / "trades.db", data=str(tape), speed="max")


@pytest.fixture
def desk(config: Config) -> Iterator[Desk]:
    desk = Desk(config)
    desk.feed.subscribe(["SPY"])
    yield desk
    desk.close()


def test_a_batch_is_a_minute_of_the_subscribed_symbols(desk: Desk, lab: Any) -> None:
    assert desk.feed.now() == lab.time("2026-03-02 09:30")
    batch = desk.feed.next(1)
    assert batch is not None
    assert batch.time == desk.feed.now() == lab.time("2026-03-02 09:31")
    assert [(bar.symbol, bar.close) for bar in batch.bars] == [("SPY", 10)]
    desk.feed.subscribe(desk.feed.tradable(()))
    batch = desk.feed.next(1)
    assert batch is not None
    assert [bar.symbol for bar in batch.bars] == ["KO", "SPY"]


def test_order_updates_come_with_the_minute_they_happen_in(desk: Desk, lab: Any) -> None:
    desk.feed.next(1)
    answer = desk.broker.submit(desk.order("a", 3))
    assert (answer.status, answer.submitted_at) == (Status.ACCEPTED, desk.feed.now())
    batch = desk.feed.next(1)
    assert batch is not None
    (update,) = batch.updates
    assert update.client_order_id == "a"
    assert update.broker_order_id == answer.broker_order_id
    assert (update.status, update.time) == (Status.FILLED, lab.time("2026-03-02 09:31"))
    assert update.filled_qty == 3
    assert update.filled_avg_price == 11
    assert batch.updates == (desk.broker.order("a").update(),)  # type: ignore[union-attr]


def test_the_end_is_none_after_the_last_expiry(desk: Desk, lab: Any) -> None:
    for _ in range(5):
        desk.feed.next(1)
    desk.broker.submit(desk.order("a"))
    batch = desk.feed.next(1)
    assert batch is not None
    assert batch.time == lab.time("2026-03-02 16:00")
    assert batch.bars == ()
    assert [update.status for update in batch.updates] == [Status.EXPIRED]
    assert desk.feed.next(1) is None
    assert desk.feed.next(1) is None
    assert desk.feed.progress().done == desk.feed.progress().total == 5  # type: ignore[union-attr]


def test_a_refusal_is_a_rejected_order(desk: Desk) -> None:
    update = desk.broker.submit(desk.order("a", 99_999))
    assert update.status is Status.REJECTED
    assert update.reason == (
        "403 insufficient buying power (buying_power 200000, cost_basis 999990)"
    )
    assert desk.broker.order("a") is None


def test_the_same_order_again_is_its_present_state(desk: Desk) -> None:
    order = desk.order("a", "3.0")
    desk.broker.submit(order)
    desk.feed.next(1)
    again = desk.broker.submit(order)
    assert again.status is Status.FILLED
    assert again.filled_qty == 3
    assert len(desk.broker.orders(since=order.created_at)) == 1


@pytest.mark.parametrize("other", [{"qty": 4}, {"side": Side.SELL}, {"limit": 9}])
def test_another_order_under_the_same_id_is_a_conflict(desk: Desk, other: Any) -> None:
    desk.broker.submit(desk.order("a", 3))
    with pytest.raises(ConflictError, match="the exchange has another order under this id"):
        desk.broker.submit(desk.order("a", **{"qty": 3, **other}))


def test_orders_sent_together_are_answered_each(desk: Desk) -> None:
    desk.broker.submit(desk.order("a", 3))
    sent = [desk.order("b"), desk.order("c", 99_999), desk.order("a", 3), desk.order("d")]
    answers = desk.broker.submit_many(sent)
    assert [(answer.client_order_id, str(answer.status)) for answer in answers] == [
        ("b", "accepted"), ("c", "rejected"), ("a", "accepted"), ("d", "accepted"),
    ]  # fmt: skip
    assert [order.client_order_id for order in desk.broker.orders()] == ["a", "b", "d"]
    with pytest.raises(ConflictError, match="another order under this id"):
        desk.broker.submit_many([desk.order("e"), desk.order("a", 4)])


def test_a_cancel_comes_back_as_an_update(desk: Desk) -> None:
    order = desk.order("a", 3, limit=5)
    desk.broker.submit(order)
    desk.broker.cancel(order)
    before = desk.feed.now()
    batch = desk.feed.next(1)
    assert batch is not None
    assert (batch.time, batch.bars) == (before, ())
    assert [update.status for update in batch.updates] == [Status.CANCELED]
    desk.broker.cancel(order)
    batch = desk.feed.next(1)
    assert batch is not None
    assert batch.updates == ()
    with pytest.raises(BrokerError, match="404 order not found for b"):
        desk.broker.cancel(desk.order("b"))


def test_queries_of_a_bot(desk: Desk) -> None:
    assert (desk.broker.name, desk.broker.visibility_delay.total_seconds()) == ("exchange", 0)
    desk.broker.submit(desk.order("a", 2))
    desk.feed.next(1)
    desk.feed.next(1)
    desk.broker.submit(desk.order("b", 1, limit=9))
    assert [order.client_order_id for order in desk.broker.orders()] == ["b"]
    first_open = desk.broker.calendar().sessions[0].open
    assert [o.client_order_id for o in desk.broker.orders(first_open)] == ["a", "b"]
    assert [o.client_order_id for o in desk.broker.orders(desk.feed.now())] == ["b"]
    (position,) = desk.broker.positions()
    assert position == BrokerPosition("SPY", Decimal(2), Decimal(10), Decimal(2), Decimal(11))
    account = desk.broker.account()
    assert account.cash == 99_980
    assert account.equity == 100_002
    assert account.buying_power == 199_973


def test_history_ends_now_and_is_limited(desk: Desk, lab: Any) -> None:
    for _ in range(4):
        desk.feed.next(1)
    closes = [[bar.close for bar in bars] for bars in desk.feed.history(["SPY"], None, 2)]
    assert closes == [[12], [13]]
    since = lab.time("2026-03-02 09:31")
    both = list(desk.feed.history(["KO", "SPY"], since, 1))
    assert [[bar.symbol for bar in bars] for bars in both] == [["KO", "SPY"], ["SPY"]]


def test_an_unknown_symbol_is_named(desk: Desk) -> None:
    assert desk.feed.tradable(["SPY"]) == ("SPY",)
    with pytest.raises(
        ConfigError, match=r"'SPX' is not in the data \(did you mean 'SPY'\?\); it has KO, SPY"
    ):
        desk.feed.tradable(["KO", "SPX"])


def test_a_broken_exchange_leaves_the_outcome_unknown(desk: Desk) -> None:
    desk.feed._exchange._ledger._db.close()
    with pytest.raises(UnknownOutcome):
        desk.broker.submit_many([desk.order("a"), desk.order("b")])
    with pytest.raises(BrokerError, match="has stopped"):
        desk.broker.order("a")


def test_orders_without_an_answer_are_unknown_each(desk: Desk) -> None:
    desk.feed._exchange._ledger._db.close()
    with pytest.raises(UnknownOutcome):
        desk.broker.submit_many([desk.order("a"), desk.order("b")])


def test_ledger_and_lock_are_free_when_both_are_closed(config: Config) -> None:
    desk = Desk(config)
    assert config.ledger_path.exists()
    desk.broker.close()
    with pytest.raises(LockHeld):
        Desk(config)
    desk.feed.next(1)
    desk.feed.close()
    desk.feed.close()
    again = Desk(config)
    assert again.feed.progress().done == 1  # type: ignore[union-attr]
    again.close()


def test_a_plugin_can_open_anew_what_it_closed(config: Config) -> None:
    plugin = ExchangePlugin(ExchangeSettings())
    for _ in range(2):
        broker = plugin.open_broker(config)
        assert broker is not None
        broker.close()


def test_with_real_money_it_steps_aside(config: Config) -> None:
    live = config.model_copy(update={"live": True})
    plugin = ExchangePlugin(ExchangeSettings())
    assert plugin.open_broker(live) is None
    assert plugin.open_feed(live) is None


def test_settings_shape_the_account(config: Config) -> None:
    desk = Desk(config, cash=500, max_volume_share=0.5, multiplier=2)
    account = desk.broker.account()
    assert account.cash == 500
    assert account.buying_power == 1000
    desk.close()
    for wrong in ({"cash": 0}, {"max_volume_share": 2}, {"multiplier": 0.5}, {"chas": 1}):
        with pytest.raises(ValidationError):
            ExchangeSettings(**wrong)


def test_notes_tell_what_was_imported(desk: Desk) -> None:
    first, *others, costs = desk.feed.notes
    assert costs.startswith("fills cost nothing: no spread, slippage or fees are counted")
    assert first.startswith("data tape.csv, 2 symbols, 1 session, 8 bars, imported in ")
    assert others == [
        "KO: 387 minutes without a bar in 1 session, the first 2026-03-02 09:33–15:59 New York; "
        "1 more symbol with 385 minutes missing"
    ]


def test_a_minute_that_is_not_due_is_an_empty_batch(config: Config) -> None:
    desk = Desk(config.model_copy(update={"speed": 0.01}))
    desk.feed.subscribe(["SPY"])
    assert desk.feed.next(0).bars  # type: ignore[union-attr]
    batch = desk.feed.next(0.01)
    assert batch is not None
    assert (batch.bars, batch.time) == ((), desk.feed.now())
    desk.close()


def test_a_minute_is_waited_for_until_it_is_due(config: Config) -> None:
    desk = Desk(config.model_copy(update={"speed": 20.0}))
    desk.feed.subscribe(["SPY"])
    began = time.monotonic()
    assert desk.feed.next(0).bars  # type: ignore[union-attr]
    assert desk.feed.next(60).bars  # type: ignore[union-attr]
    assert time.monotonic() - began >= 0.05
    desk.close()


class HandClock:
    """A clock that only sleeping moves, and each look at it a little."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_the_pace_keeps_its_deadlines() -> None:
    clock = HandClock()
    pace = Pace(4, clock, clock.sleep)
    turns = []
    for _ in range(9):
        assert pace.wait(1)
        turns.append(clock.time)
        clock.time += 0.1  # work in between does not add up
    assert turns == pytest.approx([index * 0.25 for index in range(9)])


def test_the_pace_waits_no_longer_than_allowed() -> None:
    clock = HandClock()
    pace = Pace(0.1, clock, clock.sleep)
    assert pace.wait(1)
    assert [pace.wait(4) for _ in range(3)] == [False, False, True]
    assert clock.time == pytest.approx(10)


def test_the_pace_makes_up_for_one_second_only() -> None:
    clock = HandClock()
    pace = Pace(10, clock, clock.sleep)
    pace.wait(1)
    clock.time += 60
    burst = 0
    while pace.wait(0):
        burst += 1
    assert burst in (10, 11)


def test_a_second_start_is_the_same_exchange(config: Config, tmp_path: Path) -> None:
    desk = Desk(config)
    account = desk.broker.account().account_id
    desk.close()
    desk = Desk(config)
    assert desk.broker.account().account_id == account
    desk.close()


def reducing(desk: Desk, id: str, qty: object, side: Side = Side.SELL, limit: Any = None) -> Order:
    return replace(desk.order(id, qty, side, limit), reduces=True)


def test_an_order_that_reduces_never_opens(desk: Desk) -> None:
    update = desk.broker.submit(reducing(desk, "a", 1))
    assert (update.status, update.symbol) == (Status.REJECTED, "SPY")
    assert (update.cause, update.available) == (RefusalCause.POSITION, None)
    assert "inferred: sell_to_open, specified: sell_to_close" in update.reason
    assert desk.broker.submit(desk.order("b", 1, Side.SELL)).status is Status.ACCEPTED
    desk.feed.next(1)
    update = desk.broker.submit(reducing(desk, "c", 1))
    assert update.cause is RefusalCause.POSITION
    assert desk.broker.submit(reducing(desk, "d", 1, Side.BUY)).status is Status.ACCEPTED


def test_a_refusal_says_how_many_shares_are_free(desk: Desk) -> None:
    desk.broker.submit(desk.order("a", 10))
    desk.feed.next(1)
    desk.broker.submit(reducing(desk, "b", 7, limit=20))
    update = desk.broker.submit(reducing(desk, "c", 4))
    assert (update.cause, update.available) == (RefusalCause.AVAILABLE, Decimal(3))
    (position,) = desk.broker.positions()
    assert (position.qty, position.available) == (10, 3)


def test_a_refusal_for_an_order_of_the_other_side(desk: Desk) -> None:
    desk.broker.submit(desk.order("a", 1, limit=5))
    update = desk.broker.submit(desk.order("b", 1, Side.SELL))
    assert (update.cause, update.available) == (RefusalCause.WASH, None)
    assert desk.broker.submit(desk.order("c", 99_999)).cause is RefusalCause.OTHER


def test_every_update_has_its_symbol(desk: Desk) -> None:
    resting = desk.order("a", 1, limit=5)
    assert desk.broker.submit(resting).symbol == "SPY"
    desk.broker.submit(desk.order("b", 1))
    desk.broker.cancel(resting)
    updates = [update for _ in range(2) for update in desk.feed.next(1).updates]  # type: ignore[union-attr]
    assert [(u.client_order_id, u.symbol) for u in updates] == [("a", "SPY"), ("b", "SPY")]
