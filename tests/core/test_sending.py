"""Orders on their way to a broker in the same process, and what the executor makes of positions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Block, Command, Event
from smabot.domain.order_terms import OrderType, Side, Status
from smabot.domain.records import Bar, Batch, Order, OrderIntent, OrderUpdate, Position, Signal
from smabot.engine.loop import Engine
from smabot.errors import BrokerError, ConflictError, NotSent, PluginError, UnknownOutcome
from smabot.hooks.ports import BrokerOrder
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Sizing
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
D = Decimal
LONG, FLAT = 1, 0


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


class Exchange(FakeExchange):
    """``faults`` befall what is sent, in turn; it may hide what it has."""

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.faults: list[str] = []
        self.hides = False
        self.calls: list[tuple[str, str]] = []

    def submit(self, order: Order) -> OrderUpdate:
        self.calls.append(("send", order.client_order_id))
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "full":
            raise NotSent("no room", 1.0)
        if fault == "lost":
            raise UnknownOutcome("timeout")
        if fault == "refused":
            name = order.client_order_id
            return OrderUpdate(name, Status.REJECTED, self.now(), reason="no")
        answer = super().submit(order)
        if fault == "unanswered":
            raise UnknownOutcome("reset")
        return answer

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self.calls.append(("look", client_order_id))
        if self.hides:
            return None
        return super().order(client_order_id)

    def cancel(self, order: Order) -> None:
        self.calls.append(("cancel", order.client_order_id))
        super().cancel(order)

    def of(self, kind: str) -> list[str]:
        return [name for each, name in self.calls if each == kind]


class Script:
    """Wants what it is told to; ``limit`` is the price of its entries, ``out`` of its exits."""

    def __init__(
        self, wants: dict[int, int], limit: str | None = None, out: str | None = None
    ) -> None:
        self._wants = {minute(n): target for n, target in wants.items()}
        self._limit, self._out = limit, out

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get(bar.time)
        if target is None or bar.symbol != "SPY":
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def on_signal(self, signal: Signal, book: Any) -> OrderIntent | None:
        price = self._limit if signal.target else self._out
        if price is None:
            return None
        held = book.holding(signal.strategy, signal.symbol)
        side, qty = (Side.BUY, D(10)) if signal.target else (Side.SELL, held)
        return OrderIntent(signal.symbol, side, qty, OrderType.LIMIT, D(price))


class Bot:
    def __init__(self, engine: Engine, exchange: Exchange, bot: FakeBot) -> None:
        self.engine, self.book, self.exchange, self.rows = engine, engine.book, exchange, bot.rows
        self.journal = bot.journal
        self.send = bot.journal.send

    def play(self, minutes: int) -> None:
        for _ in range(minutes):
            batch = self.exchange.next(0)
            assert batch is not None
            self.engine.take(batch)

    def at(self, seconds: float) -> None:
        self.exchange.shift = seconds * SECOND
        self.engine.take(Batch(self.exchange.now()))

    def orders(self) -> list[Order]:
        return sorted(self.rows(Order), key=lambda o: (o.created_at, o.client_order_id))

    def short(self) -> list[tuple[str, str, int]]:
        return [(o.side.value, o.status.value, o.attempt) for o in self.orders()]


Make = Callable[..., Any]


@pytest.fixture
def running() -> Make:
    @contextmanager
    def running(
        wants: dict[int, int],
        *,
        low: float = 0.5,
        script: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Iterator[Bot]:
        bars = [
            Bar("SPY", minute(n), 100.0, 100.0 + low, 100.0 - low, 100.0, 1000) for n in range(60)
        ]
        exchange = Exchange(bars)
        bot = FakeBot(exchange, s=lambda: Script(wants, **(script or {})))
        with bot.started(**settings) as engine:
            yield Bot(engine, exchange, bot)

    return running


# -- unanswered, in the same process -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "calls"),
    [
        ([], ["send"]),
        (["unanswered"], ["send", "look"]),
        (["lost"], ["send", "look", "send"]),
        (["lost", "unanswered"], ["send", "look", "send", "look"]),
        (["full"], ["send", "send"]),
        (["full", "full"], ["send", "send", "send"]),
    ],
    ids=str,
)
def test_an_order_is_sent_until_it_is_known_to_be_there(
    running: Make, faults: list[str], calls: list[str]
) -> None:
    """One sending a step, each after a look where it may have arrived."""
    with running({2: LONG}) as bot:
        bot.exchange.faults = faults
        bot.play(3)
        for seconds in range(4):
            bot.at(seconds)
        assert [kind for kind, _ in bot.exchange.calls] == calls
        assert bot.short() == [("buy", "accepted", 1)]


def test_an_entry_that_stays_unanswered_is_given_up_when_it_is_old(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.exchange.faults = ["lost"] * 99
        bot.play(3)
        assert bot.short() == [("buy", "unknown", 1)]
        bot.at(59)
        assert bot.short() == [("buy", "unknown", 1)]
        bot.at(60)
        assert bot.short() == [("buy", "abandoned", 1)]
        assert bot.orders()[0].reason.startswith(
            "never arrived, and not sent again: decided 1 minute"
        )
        sent = len(bot.exchange.of("send"))
        bot.at(61)
        assert len(bot.exchange.of("send")) == sent


def test_a_miss_proves_nothing_before_the_broker_s_delay_has_passed(
    running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Exchange, "visibility_delay", 15 * SECOND)
    with running({2: LONG}) as bot:
        bot.exchange.faults, bot.exchange.hides = ["unanswered"], True
        bot.play(3)
        bot.at(14)
        assert bot.exchange.of("send") == [bot.orders()[0].client_order_id]
        bot.at(15)
        assert len(bot.exchange.of("send")) == 2
        assert bot.short() == [("buy", "accepted", 1)]


def test_an_earlier_process_s_order_is_given_up_when_the_delay_has_passed_since_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Exchange, "visibility_delay", 15 * SECOND)
    exchange = Exchange([Bar("SPY", minute(n), 100, 100, 100, 100, 1) for n in range(9)])
    bot = FakeBot(exchange, s=lambda: Script({2: LONG}))
    with bot.started() as engine:
        exchange.faults, exchange.hides = ["unanswered"], True
        running = Bot(engine, exchange, bot)
        running.play(3)
    exchange.shift = 61 * SECOND
    with bot.started() as engine:
        running = Bot(engine, exchange, bot)
        running.at(75)
        assert running.short() == [("buy", "unknown", 1)]
        running.at(76)
        assert running.short() == [("buy", "abandoned", 1)]
        assert len(exchange.of("send")) == 1


def test_another_order_under_our_id_ends_the_run(running: Make) -> None:
    with running({2: LONG}) as bot:
        bot.play(2)
        name = "smabot-s-SPY-20260302T1432Z-1"
        other = Order(
            name, "s", "SPY", Side.BUY, D(99), OrderType.MARKET, None, "day", OPEN, 1, False, OPEN
        )  # type: ignore[arg-type]
        FakeExchange.submit(bot.exchange, other)
        bot.exchange.faults = ["lost"]
        with pytest.raises(ConflictError, match=r"payload_mismatch.*99"):
            bot.play(1)


# -- what goes first -----------------------------------------------------------------------------------


def test_cancels_go_before_exits_and_exits_before_entries() -> None:
    names = {"out": {1: LONG, 5: FLAT}, "new": {5: LONG}, "rests": {1: LONG, 5: FLAT}}
    exchange = Exchange([Bar("SPY", minute(n), 100, 100, 100, 100, 1) for n in range(20)])
    bot = FakeBot(
        exchange,
        out=lambda: Script(names["out"]),
        new=lambda: _Only(Script(names["new"], "90"), "new"),
        rests=lambda: _Only(Script(names["rests"], "90"), "rests"),
    )
    with bot.started() as engine:
        running = Bot(engine, exchange, bot)
        running.play(5)
        exchange.calls.clear()
        running.play(1)
    sent = [(kind, name.split("-")[1]) for kind, name in exchange.calls if kind != "look"]
    assert sent[:2] == [("cancel", "rests"), ("send", "out")]


class _Only:
    """A sizer for one strategy's signals alone."""

    def __init__(self, script: Script, name: str) -> None:
        self._script, self._name = script, name

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return self._script.on_bar(bar)

    @hookimpl
    def on_signal(self, signal: Signal, book: Any) -> OrderIntent | None:
        return self._script.on_signal(signal, book) if signal.strategy == self._name else None


class Bulk(Exchange):
    """Takes several orders in one call; ``fails`` says that nobody knows which of them arrived."""

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.bulks: list[int] = []
        self.fails = False

    def submit_many(self, orders: list[Order]) -> list[OrderUpdate]:
        self.bulks.append(len(orders))
        if self.fails:
            raise UnknownOutcome("timeout")
        return [FakeExchange.submit(self, order) for order in orders]


@pytest.mark.parametrize("fails", [False, True])
def test_several_orders_of_a_step_go_in_one_call_where_the_broker_takes_them(fails: bool) -> None:
    bars = [Bar("SPY", minute(n), 100, 100, 100, 100, 1) for n in range(9)]
    exchange = Bulk(bars)
    bot = FakeBot(exchange, a=lambda: Script({2: LONG}), b=lambda: Script({2: LONG, 5: FLAT}))
    with bot.started() as engine:
        running = Bot(engine, exchange, bot)
        exchange.fails = fails
        running.play(3)
        assert set(exchange.bulks) == {2}
        assert exchange.of("send") == []
        status = Status.UNKNOWN if fails else Status.ACCEPTED
        assert [o.status for o in running.orders()] == [status] * 2
        exchange.fails = False
        running.play(5)
        names = [o.client_order_id for o in running.orders()]
        assert exchange.of("send") == ([] if fails else names[2:])
        ended = Status.ABANDONED if fails else Status.FILLED
        assert {o.status for o in running.orders()} == {ended}


# -- cancels -------------------------------------------------------------------------------------------


def test_an_entry_that_does_not_fill_is_canceled_once_in_time(running: Make) -> None:
    with running({2: LONG}, low=0.0, script={"limit": "99.00"}, entry_timeout_minutes=5) as bot:
        bot.play(30)
        assert bot.short() == [("buy", "accepted", 1)]
    with running({2: LONG, 6: FLAT}, low=0.0, script={"limit": "99.00"}) as bot:
        bot.play(9)
        (order,) = bot.orders()
        assert (order.status, order.reason) == (Status.CANCELED, "its target is now flat")
        assert order.cancel_requested_at == minute(7)
        assert len(bot.exchange.of("cancel")) == 1


def test_a_cancel_that_is_not_answered_is_asked_for_once_a_minute_and_told(
    running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeExchange, "cancel", lambda self, order: None)
    with running({2: LONG, 4: FLAT}, low=0.0, script={"limit": "99.00"}) as bot:
        bot.play(5)
        for seconds in (0, 59, 60, 119, 120):
            bot.at(seconds)
        assert len(bot.exchange.of("cancel")) == 3
        events = [e for e in bot.rows(Event) if e.kind == "cancel_unanswered"]
        assert [(e.time, e.grave) for e in events] == [(minute(6), True)]
        assert "its cancel of 14:35:00 UTC is unanswered (its target is now flat)" in events[0].text


@pytest.mark.parametrize("cancels", [True, False])
def test_a_block_cancels_open_entries_where_that_is_set(running: Make, cancels: bool) -> None:
    with running({2: LONG}, low=0.0, script={"limit": "99.00"}, cancel_entries=cancels) as bot:
        bot.play(3)
        bot.book.apply(Block("s", "entries", "lost", minute(3)))
        bot.book.apply(Block("core", "entries", "news", minute(3)))
        bot.play(2)
        (order,) = bot.orders()
        assert order.reason == ("halted: news; lost" if cancels else "")
        assert order.status is (Status.CANCELED if cancels else Status.ACCEPTED)


# -- exits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [1, 10])
@pytest.mark.parametrize("out", [None, "100.20"])
def test_an_exit_is_the_sizer_s_and_the_operator_s_is_a_market_order(
    running: Make, shares: int, out: str | None
) -> None:
    with running(
        {2: LONG, 5: FLAT}, script={"out": out}, sizing=Sizing(method="shares", shares=shares)
    ) as bot:
        bot.play(6)
        exit_ = bot.orders()[-1]
        assert (exit_.side, exit_.qty, exit_.reduces) == (Side.SELL, shares, True)
        assert exit_.limit_price == (D(out) if out else None)
        bot.send(Command("1", "flatten", "SPY", OPEN))
        bot.at(1)
        bot.at(2)
        bot.play(2)
        assert bot.orders()[-1].type is OrderType.MARKET
        assert [p.qty for p in bot.rows(Position)] == [0]


def test_an_exit_that_is_lost_gives_way_to_another_one(
    running: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it arrived, and for a minute it has not been wanted any more."""
    monkeypatch.setattr(Exchange, "visibility_delay", None)
    with running({2: LONG, 5: FLAT}, script={"out": "100.20"}) as bot:
        bot.exchange.faults = ["", *["lost"] * 9]
        bot.exchange.hides = True
        bot.play(6)
        bot.send(Command("1", "flatten", "SPY", OPEN))
        bot.at(1)
        assert [o.cancel_requested_at is not None for o in bot.orders()] == [False, True]
        bot.exchange.faults.clear()
        bot.at(60)
        assert len(bot.orders()) == 2
        bot.at(61)
        lost, market = bot.orders()[1:]
        assert (lost.status, market.status) == (Status.UNKNOWN, Status.ACCEPTED)
        assert (market.qty, market.type, market.attempt) == (10, OrderType.MARKET, 2)


def test_a_new_decision_to_exit_counts_its_attempts_anew(running: Make) -> None:
    with running({2: LONG, 5: FLAT, 8: LONG, 9: FLAT}) as bot:
        bot.exchange.faults = ["", *["refused"] * 3]
        bot.play(12)
        assert [(o.attempt, o.created_at, o.status) for o in bot.orders()[1:]] == [
            (1, minute(6), Status.REJECTED),
            (2, minute(7), Status.REJECTED),
            (1, minute(10), Status.REJECTED),
            (2, minute(11), Status.FILLED),
        ]


def test_an_attempt_whose_id_is_taken_is_passed_over(running: Make) -> None:
    with running({2: LONG, 5: FLAT}) as bot:
        bot.play(5)
        taken = replace(
            bot.orders()[0], client_order_id="smabot-s-SPY-20260302T1435Z-1", reduces=True,
            status=Status.ABANDONED, bar_time=OPEN,
        )  # fmt: skip
        bot.journal.commit([taken])
        bot.play(2)
        assert bot.orders()[-1].client_order_id == "smabot-s-SPY-20260302T1435Z-2"
        assert bot.orders()[-1].status is Status.FILLED


def test_an_entry_whose_id_is_taken_is_none(running: Make) -> None:
    with running({2: LONG, 3: FLAT, 4: LONG}) as bot:
        bot.play(2)
        taken = Order(
            "smabot-s-SPY-20260302T1432Z-1", "s", "SPY", Side.BUY, D(10), OrderType.MARKET, None,
            "day", minute(2), 1, False, minute(3), Status.CANCELED,
        )  # type: ignore[arg-type]  # fmt: skip
        bot.journal.commit([taken])
        bot.play(1)
        assert bot.exchange.of("send") == []


# -- prices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "rounded"),
    [
        ("99.999", "99.99"),
        ("99.99", "99.99"),
        ("1", "1"),
        ("1.009", "1.00"),
        ("0.99999", "0.9999"),
        ("0.9999", "0.9999"),
    ],
)
def test_a_buy_s_limit_is_rounded_down_to_the_grid(running: Make, limit: str, rounded: str) -> None:
    with running({2: LONG}, script={"limit": limit}) as bot:
        bot.play(3)
        (order,) = bot.orders()
        assert order.limit_price == D(rounded)
        told = [(e.kind, e.subject, e.text) for e in bot.rows(Event)]
        text = f"buy limit {limit} is off the exchange's price grid: rounded to {rounded}"
        assert told == ([("price_rounded", "SPY", text)] if limit != rounded else [])


@pytest.mark.parametrize(
    ("limit", "rounded"), [("100.201", "100.21"), ("100.20", "100.20"), ("101.0001", "101.01")]
)
def test_a_sale_s_limit_is_rounded_up(running: Make, limit: str, rounded: str) -> None:
    with running({2: LONG, 5: FLAT}, script={"out": limit}) as bot:
        bot.play(6)
        assert bot.orders()[-1].limit_price == D(rounded)


@pytest.mark.parametrize("limit", ["0", "-1", "NaN", "Infinity", "0.00001"])
def test_a_limit_that_is_no_price_is_the_sizer_s_error(running: Make, limit: str) -> None:
    with running({2: LONG}, script={"limit": limit}) as bot:
        if limit == "0.00001":
            bot.play(3)
            assert bot.orders()[0].limit_price == D(limit)
            return
        with pytest.raises(PluginError, match="an order needs"):
            bot.play(3)


def test_an_entry_after_a_jump_waits_and_is_told() -> None:
    closes = [100.0, 100.0, 120.0, 120.0, 120.0]
    bars = [Bar("SPY", minute(n), close, close, close, close, 1) for n, close in enumerate(closes)]
    exchange = Exchange(bars)
    bot = FakeBot(exchange, s=lambda: Script({2: LONG}))
    with bot.started() as engine:
        running = Bot(engine, exchange, bot)
        running.play(3)
        assert exchange.of("send") == []
        assert running.orders()[0].collared
        (event,) = bot.rows(Event)
        assert (event.kind, event.subject) == ("price_collar", "SPY")
        assert "went from 100.0 to 120.0" in event.text
        running.play(1)
        assert len(exchange.of("send")) == 1


# -- the end of a run ----------------------------------------------------------------------------------


class Slow(FakeExchange):
    """A remote exchange that answers its first order never, and shows it at the second look."""

    stepped = False
    lookups = (0.05, 0.1, 3600.0)
    looks = 0
    reconcile = None  # type: ignore[assignment]

    def submit(self, order: Order) -> OrderUpdate:
        super().submit(order)
        raise UnknownOutcome("reset")

    def order(self, client_order_id: str) -> BrokerOrder | None:
        self.looks += 1
        if self.looks == 1:
            raise BrokerError("503")
        return super().order(client_order_id)


class Sluggish(FakeExchange):
    """A remote exchange that answers when it is let."""

    stepped = False
    lookups = (3600.0,)
    reconcile = None  # type: ignore[assignment]

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.may_answer = threading.Event()

    def submit(self, order: Order) -> OrderUpdate:
        assert self.may_answer.wait(60)
        return super().submit(order)


def test_what_is_being_sent_when_a_run_ends_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.engine.dispatcher.PATIENCE", 0.01)
    exchange = Sluggish([Bar("SPY", minute(n), 100, 100, 100, 100, 1) for n in range(9)])
    bot = FakeBot(exchange, s=lambda: Script({2: LONG}))
    threading.Timer(0.2, exchange.may_answer.set).start()
    bot.play(until=minute(3))
    assert [o.status for o in bot.rows(Order)] == [Status.ACCEPTED]


def test_when_the_data_ends_the_run_finds_out_about_orders_that_are_not_answered() -> None:
    bars = [Bar("SPY", minute(n), 100, 100, 100, 100, 1) for n in range(3)]
    exchange = Slow(bars)
    bot = FakeBot(exchange, s=lambda: Script({2: LONG}))
    with bot.started() as engine:
        assert engine.run() == "ended"
    assert [o.status for o in bot.rows(Order)] == [Status.ACCEPTED]
    assert exchange.looks == 2
