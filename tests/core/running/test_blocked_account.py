"""An account that may not trade: which order of events lets an entry leave, and which must not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import Batch, Order, OrderUpdate
from smabot.engine.dispatcher import (
    DirectDispatcher,
    Dispatcher,
    Request,
    ThreadedDispatcher,
    Withdrawn,
)
from smabot.errors import AccountBlocked
from smabot.hooks.ports import BrokerAccount

Make = Callable[..., Any]
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SECONDS = 60.0
LONG, FLAT = 1, 0
WHY = "trading_blocked"


@pytest.fixture(autouse=True)
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.engine.dispatcher.WORKERS", 1)


@pytest.fixture
def near(local: Any) -> Any:
    """A broker in the same process whose account can be blocked."""
    return _blockable(local)


@pytest.fixture
def far(remote: Any) -> Any:
    """A broker whose account can be blocked, and whose answers can be held back."""
    return _blockable(remote)


def _blockable(kind: Any) -> Any:
    class Blockable(kind):  # type: ignore[misc]
        def __init__(self, bars: Any) -> None:
            super().__init__(bars)
            self.blocked = ""
            self.refuses: set[str] = set()
            """Symbols whose orders are refused for the account, whatever it shows."""
            self.handed: list[str] = []
            self.account_held, self.orders_held = Held(), Held()

        def account(self) -> BrokerAccount:
            answer = replace(super().account(), blocked=self.blocked)
            self.account_held.pass_through()
            return answer

        def submit(self, order: Order) -> OrderUpdate:
            self.handed.append(order.symbol)
            why = self.blocked or (order.symbol in self.refuses and WHY)
            self.orders_held.pass_through()
            if why:
                raise AccountBlocked(f"403 ({why})")
            return super().submit(order)

    return Blockable


class Held:
    """A place that answers come to, and leave when they are let to."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()
        self._open.set()

    def pass_through(self) -> None:
        self.reached.set()
        assert self._open.wait(SECONDS)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Within, an answer is there and does not arrive."""
        self.reached.clear()
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()


def until(bot: Any, what: Callable[[], Any]) -> None:
    """Let steps without news pass, in which no time does."""
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline
        bot.engine.take(Batch(bot.exchange.now()))
        time.sleep(0.001)


def compare(bot: Any) -> None:
    """Ask the broker, and take its answers."""
    bot.engine.take(Batch(bot.exchange.now(), resync=True))
    until(bot, lambda: not bot.engine.comparison.due)


def awaited(bot: Any) -> bool:
    """Whether an answer to an order has not been taken yet."""
    awaits: bool = bot.engine._outbox.awaits_answers
    return awaits


@pytest.fixture(params=["near", "far"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_of_orders_that_leave_together_none_follows_one_that_the_account_may_not_make(
    running: Make, either: Any
) -> None:
    with running({2: LONG}, "SPY IBM", exchange=either) as bot:
        bot.plugin.symbols |= {"IBM"}
        bot.play(2)
        bot.exchange.blocked = WHY
        bot.play(1)
        until(bot, lambda: bot.engine.access.refusal)
        bot.play(1)
        assert bot.exchange.handed == ["IBM"]
        assert {order.status for order in bot.rows(Order)} == {Status.BLOCKED}
        assert [kind for kind, _, _ in bot.events()] == ["account_blocked"]


def test_an_exit_s_acceptance_says_nothing_of_entries(running: Make, either: Any) -> None:
    """Brokers restrict an account to closing positions, too."""
    with running({2: LONG, 5: FLAT}, "SPY IBM", exchange=either, max_bar_age_minutes=5) as bot:
        bot.plugin.more["IBM"] = {4: LONG}
        bot.play(4)
        bot.exchange.refuses.add("IBM")
        bot.play(1)
        until(bot, lambda: bot.engine.access.refusal)
        assert bot.exchange.handed == ["SPY", "IBM"]
        bot.exchange.blocked = ""
        bot.play(1)
        assert bot.exchange.handed[2:] == ["SPY"], "the exit alone"


def test_an_account_s_answer_of_before_a_refusal_ends_nothing(running: Make, far: Any) -> None:
    """The account shows no flag for a moment, in which it is asked for, and the answer is late."""
    with running({2: LONG, 4: FLAT}, exchange=far, reconcile_every_minutes=99) as bot:
        exchange = bot.exchange
        bot.play(4)
        exchange.refuses, exchange.blocked = {"SPY"}, WHY
        bot.play(1)
        until(bot, lambda: bot.engine.access.refusal)
        compare(bot)
        exchange.blocked = ""
        with exchange.account_held.closed():
            bot.at(1)
            bot.at(11)
            assert exchange.account_held.reached.wait(SECONDS)
            refused = len(exchange.handed)
            bot.at(40)
            until(bot, lambda: len(exchange.handed) > refused and not awaited(bot))
            exchange.blocked = WHY
        until(bot, lambda: not bot.engine.comparison.due)
        assert bot.engine.access.refusal
        assert [kind for kind, _, _ in bot.events()] == ["account_blocked"]


def test_an_outdated_answer_still_says_that_the_account_is_blocked(running: Make, far: Any) -> None:
    """Positions have changed meanwhile, so that they are asked for again: the account has told enough."""
    with running({2: LONG}, "SPY IBM", exchange=far, reconcile_every_minutes=99) as bot:
        exchange = bot.exchange
        bot.plugin.more["IBM"] = {3: LONG}
        bot.play(3)
        exchange.blocked = WHY
        with exchange.account_held.closed():
            bot.engine.take(Batch(exchange.now(), resync=True))
            assert exchange.account_held.reached.wait(SECONDS)
            bot.update("hand-1", Status.ACCEPTED)
        asked = exchange.asked
        with exchange.account_held.closed():
            until(bot, lambda: exchange.asked > asked)
            assert WHY in bot.engine.access.refusal


def test_what_was_granted_does_not_leave_once_an_answer_says_that_the_account_is_blocked(
    running: Make, far: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot.engine.dispatcher.PATIENCE", 0.01)
    with running({2: LONG}, "SPY IBM", exchange=far, reconcile_every_minutes=3) as bot:
        exchange = bot.exchange
        bot.plugin.symbols |= {"IBM"}
        bot.play(2)
        exchange.may_answer.clear()
        with exchange.orders_held.closed():
            bot.play(1)
            assert exchange.orders_held.reached.wait(SECONDS)
            exchange.blocked = WHY
            exchange.may_answer.set()
            until(bot, lambda: bot.engine.access.refusal)
        until_there = time.monotonic() + SECONDS
        while not exchange.orders() and time.monotonic() < until_there:
            time.sleep(0.001)
        time.sleep(0.05)
        assert exchange.handed == ["IBM"]


def test_an_exit_is_sent_again_for_as_long_as_the_account_is_blocked(
    running: Make, either: Any
) -> None:
    """After 10, 20, 40, then every 60 seconds, however long it takes."""
    with running({2: LONG, 4: FLAT}, exchange=either, reconcile_every_minutes=9999) as bot:
        bot.play(4)
        bot.exchange.blocked = WHY
        bot.play(1)
        times, handed = [], len(bot.exchange.handed)
        for seconds in range(0, 70 * 60, 10):
            bot.at(seconds)
            until(bot, lambda: not bot.engine.comparison.due)
            if len(bot.exchange.handed) > handed:
                handed = len(bot.exchange.handed)
                times.append(seconds)
        assert times[:6] == [10, 30, 70, 130, 190, 250]
        assert len(times) > 60


@pytest.mark.parametrize("kind", [DirectDispatcher, lambda: ThreadedDispatcher(stepped=True)])
def test_whoever_carries_requests_lets_none_leave_until_a_refusal_is_taken(
    kind: Callable[[], Dispatcher],
) -> None:
    """What needs no grant does, as status queries and cancels."""
    dispatcher, made = kind(), []

    def request(name: str, epoch: int | None) -> Request:
        def ask() -> str:
            made.append(name)
            if name == "refused":
                raise AccountBlocked(WHY)
            return name

        return Request((len(name),), ask, lambda outcome: (), epoch)

    dispatcher.put(request("refused", 0))
    dispatcher.put(request("an entry", 0))
    dispatcher.put(request("a question", None))
    outcomes = [outcome for _, outcome in dispatcher.collect()]
    assert made == ["refused", "a question"]
    assert sum(isinstance(each, Withdrawn) for each in outcomes) == 1
    dispatcher.put(request("an exit", 0))
    assert [outcome for _, outcome in dispatcher.collect()] == ["an exit"]


def test_what_is_granted_while_a_refusal_waits_to_be_taken_does_not_leave() -> None:
    dispatcher, left = ThreadedDispatcher(stepped=False), threading.Event()

    def refuse() -> None:
        raise AccountBlocked(WHY)

    dispatcher.put(Request((1,), refuse, lambda outcome: (), 0))
    deadline = time.monotonic() + SECONDS
    while not dispatcher._shared.outcomes and time.monotonic() < deadline:
        time.sleep(0.001)
    dispatcher.put(Request((1,), left.set, lambda outcome: (), 0))
    refused, withdrawn = [outcome for _, outcome in dispatcher.collect()]
    assert isinstance(refused, AccountBlocked)
    assert isinstance(withdrawn, Withdrawn)
    assert not left.is_set()
