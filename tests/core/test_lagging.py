"""A far broker whose answers are no single moment's: its positions may lag behind its orders.

https://github.com/alpacahq/Alpaca-API/issues/276 tells of some ten seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.calendar import Calendar
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Account, Batch, Order, OrderUpdate
from smabot.engine.loop import Engine
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import BrokerError
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition
from smabot.hooks.recovery_answers import Recovery
from smabot.settings.model import Config

plugin = pytest.importorskip("smabot_reconciliation.plugin")

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SECONDS = 60.0


@dataclass
class Far:
    """Holds what ``held`` says at each time that positions are asked for; the book holds nothing."""

    held: Callable[[int], int]
    lookups: Sequence[float] = (0.01, 0.02, 0.03)
    failing: bool = False
    stepped: bool = False
    visibility_delay: timedelta | None = None
    name: str = "far"
    asked: list[float] = field(default_factory=list)

    def account(self) -> BrokerAccount:
        return BrokerAccount("1", Decimal(1000), Decimal(1000), Decimal(1000))

    def calendar(self) -> Calendar:
        return Calendar()

    def submit(self, order: Order) -> OrderUpdate:
        raise AssertionError(order)

    def cancel(self, order: Order) -> None:
        raise AssertionError(order)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return None

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        return []

    def positions(self) -> list[BrokerPosition]:
        self.asked.append(time.monotonic())
        if self.failing:
            raise BrokerError("GET /v2/positions: 503 without a reason")
        qty = Decimal(self.held(len(self.asked)))
        return [BrokerPosition("SPY", qty, Decimal(100))] if qty else []

    def close(self) -> None:
        return


class Feed:
    """Nothing but a clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def next(self, timeout: float) -> Batch:
        return Batch(self.time)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def parts(far: Far) -> tuple[Config, Book, MemoryJournal, Feed]:
    book = Book()
    book.apply(Account("1", "far", Decimal(1000), Decimal(1000), NOW))
    return Config(plugins=(), symbols=("SPY",)), book, MemoryJournal(), Feed()


# -- at the start ----------------------------------------------------------------------------------


def compared(far: Far) -> Any:
    config, book, journal, feed = parts(far)
    recovery = Recovery(config, book, journal, far, feed, ("SPY",))
    return plugin.ReconciliationPlugin().reconcile(recovery)


def test_positions_that_lag_behind_are_no_conflict() -> None:
    far = Far(lambda time: 10 if time < 4 else 0)
    assert compared(far).conflicts == ()
    assert len(far.asked) == 4


@pytest.mark.parametrize(("lookups", "least"), [((0.1, 0.3), 0.3), ((0.01,), 0.2)])
def test_a_lasting_conflict_is_found_after_as_long_as_an_order_is_looked_up(
    lookups: Sequence[float], least: float
) -> None:
    far = Far(lambda time: 10, lookups)
    (conflict,) = compared(far).conflicts
    assert (conflict.kind, conflict.there) == ("foreign_activity", "10 shares")
    assert len(far.asked) == 3
    assert far.asked[-1] - far.asked[0] >= least


def test_another_account_needs_no_second_look() -> None:
    far = Far(lambda time: 0)
    config, book, journal, feed = parts(far)
    book.apply(Account("2", "far", Decimal(1000), Decimal(1000), NOW))
    recovery = Recovery(config, book, journal, far, feed, ("SPY",))
    (conflict,) = plugin.ReconciliationPlugin().reconcile(recovery).conflicts
    assert conflict.kind == "account_mismatch"
    assert len(far.asked) == 1


# -- while it runs ---------------------------------------------------------------------------------


@dataclass
class Running:
    far: Far
    feed: Feed
    engine: Engine

    def live(self, seconds: int) -> None:
        """Let the feed's clock go on second by second, and each inquiry be answered within one."""
        for _ in range(seconds):
            self.feed.time += timedelta(seconds=1)
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                if self.engine.comparison.due:
                    self.engine.compare()
                inquiry = self.engine.comparison._request
                assert inquiry is not None
                if not inquiry.under_way:
                    break
                time.sleep(0.001)


@pytest.fixture
def running() -> Iterator[Callable[[Far], Running]]:
    def running(far: Far) -> Running:
        config, book, journal, feed = parts(far)
        plugins = Plugins.load(config.model_copy(update={"base_plugins": ("reconciliation",)}))
        engine = Engine(config, plugins, book, journal, far, feed, ("SPY", "IBM"))
        engine.compare()
        return Running(far, feed, engine)

    return running


def test_a_conflict_counts_while_running_when_it_lasts(running: Any) -> None:
    bot = running(Far(lambda time: 10))
    bot.live(15)
    assert "SPY" in bot.engine.comparison.why_degraded
    with pytest.raises(ReconciliationConflict):
        bot.live(15)
    assert len(bot.far.asked) <= 4  # and the broker is not pestered meanwhile


def test_positions_that_lag_behind_while_running_only_hold_entries(running: Any) -> None:
    bot = running(Far(lambda time: 10 if time < 3 else 0))
    bot.live(5)
    assert bot.engine.comparison.why_degraded
    bot.live(60)
    assert not bot.engine.comparison.why_degraded


def test_numbers_that_move_are_no_conflict_that_lasts(running: Any) -> None:
    """Fills stream in: positions are ahead of orders each time, by another number."""
    bot = running(Far(lambda time: time))
    bot.live(90)
    assert bot.engine.comparison.why_degraded


def test_a_broker_that_does_not_answer_is_told_once_and_that_it_does_again(
    running: Any, caplog: Any
) -> None:
    from loguru import logger

    told: list[str] = []
    sink = logger.add(lambda message: told.append(str(message)), format="{level} {message}")
    try:
        bot = running(Far(lambda time: 0, failing=True))
        bot.live(60)
        assert [line.split()[0] for line in told] == ["WARNING"]
        assert "503" in told[0]
        bot.far.failing = False
        bot.live(30)
        assert [line.split()[0] for line in told] == ["WARNING", "INFO"]
    finally:
        logger.remove(sink)


@dataclass
class Slow(Far):
    """Takes one order, and answers when it is let."""

    posts: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def submit(self, order: Order) -> OrderUpdate:
        self.posts.append(order.client_order_id)
        assert self.gate.wait(SECONDS)
        return OrderUpdate(order.client_order_id, Status.ACCEPTED, NOW)


def test_nothing_leaves_after_a_conflict(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry is under way, the next was granted and waits behind it."""
    monkeypatch.setattr("smabot.engine.dispatcher.PATIENCE", 0.05)
    monkeypatch.setattr("smabot.engine.dispatcher.WORKERS", 1)
    far = Slow(lambda time: 0 if time < 2 else 10)
    bot = running(far)
    bot.live(1)
    for name in ("a", "b"):
        entry = Order(
            name, "s", "IBM", Side.BUY, Decimal(1), OrderType.MARKET, None, TimeInForce.DAY, NOW, 1,
            False, NOW,
        )  # fmt: skip
        bot.engine.book.apply(entry)
        bot.engine._outbox.add(entry)
    bot.engine.step(Batch(NOW))
    assert far.posts == ["a"]
    bot.engine.comparison.external_activity_seen("SPY")
    with pytest.raises(ReconciliationConflict):
        bot.live(40)
    far.gate.set()
    assert [a.client_order_id for a in bot.engine._outbox.stop_sending(SECONDS)] == ["a"]
    assert far.posts == ["a"]
    assert [e.kind for e in bot.engine._commit._journal.rows(Event)] == ["conflict"]


# -- an order that was ended here, and perhaps not there -----------------------------------------------


@dataclass
class Forgetful(Far):
    """Left an order open after its session: it lists it no more, and tells of it by its id."""

    status: Status = Status.ACCEPTED
    filled: int = 0
    looks: int = 0

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self.looks += 1
        qty, price = Decimal(self.filled), Decimal(100) if self.filled else None
        return BrokerOrder(
            client_order_id, "id", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None,
            TimeInForce.DAY, self.status, qty, price, NOW, NOW,
        )  # fmt: skip


def give_up(bot: Running, days: int = 0) -> None:
    yesterday = NOW - timedelta(days=1)
    bot.engine.book.now = NOW
    bot.engine.book.apply(
        Order(
            "smabot-s-SPY-1-1", "s", "SPY", Side.BUY, Decimal(10), OrderType.MARKET, None,
            TimeInForce.DAY, yesterday, 1, False, yesterday, Status.EXPIRED,
            given_up_at=NOW - timedelta(days=days),
        )
    )  # fmt: skip


def test_a_fill_of_an_order_that_was_given_up_is_found_by_the_next_comparison(
    running: Any,
) -> None:
    """No stream told of it."""
    bot = running(Forgetful(lambda time: 0))
    give_up(bot)
    bot.live(16 * 60)
    assert not bot.engine.comparison.why_degraded
    bot.far.filled, bot.far.held = 10, lambda time: 10
    with pytest.raises(ReconciliationConflict) as caught:
        bot.live(16 * 60)
    kinds = [conflict.kind for conflict in caught.value.conflicts]
    assert kinds == ["filled_after_its_end"]


def test_an_order_that_was_given_up_is_asked_for_until_the_broker_has_ended_it(
    running: Any,
) -> None:
    bot = running(Forgetful(lambda time: 0))
    give_up(bot)
    bot.live(31 * 60)
    asked = bot.far.looks
    assert asked >= 2
    bot.far.status = Status.CANCELED
    bot.live(61 * 60)
    assert bot.far.looks == asked + 1
    assert bot.engine.book.unconfirmed() == []


def test_an_order_that_was_given_up_long_ago_is_not_asked_for(running: Any) -> None:
    bot = running(Forgetful(lambda time: 0))
    give_up(bot, days=8)
    bot.live(16 * 60)
    assert bot.far.looks == 0
