"""The start, step by step, over a fake exchange and a journal in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Block, BotState, Command, Event
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Adjustment,
    Bar,
    EquityPoint,
    Order,
    OrderUpdate,
    Position,
    Signal,
    SignalState,
)
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.book_restore import restore_book
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover, recover_orders
from smabot.engine.start.startup_reconciliation import accept_broker_state
from smabot.engine.start.startup_report import StartupStep
from smabot.engine.surroundings import Surroundings
from smabot.errors import ConfigError, PluginError, RiskHalt
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import BrokerOrder
from smabot.hooks.recovery_answers import Conflict, Reconciliation, Recovery, RecoveryStep
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
D = Decimal
LONG, FLAT = 1, 0


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


def bars(symbol: str = "SPY", numbers: Sequence[int] = range(30)) -> list[Bar]:
    return [
        Bar(symbol, minute(n), 100.0 + n, 101.0 + n, 99.0 + n, 100.0 + n, 1000) for n in numbers
    ]


class Seeing:
    """Notes the bars it sees, by their numbers, and signals as a script says."""

    def __init__(self, lookback: int = 0, wants: dict[int, int] | None = None) -> None:
        self._lookback = lookback
        self._wants = wants or {}
        self.seen: list[tuple[str, int]] = []
        self.at_start: list[Any] = []

    @hookimpl
    def lookback(self) -> int:
        return self._lookback

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
        self.at_start.append((recovery.book.now, list(self.seen), recovery.symbols))
        return RecoveryStep("is here")

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        number = (bar.time - OPEN) // MINUTE
        self.seen.append((bar.symbol, number))
        target = self._wants.get(number)
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    def numbers(self, symbol: str = "SPY") -> list[int]:
        return [number for each, number in self.seen if each == symbol]


class Sentry:
    """A plugin that answers for the broker."""

    def __init__(self, answer: Reconciliation | None, step: RecoveryStep | None = None) -> None:
        self._answer = answer
        self._step = step

    @hookimpl
    def reconcile(self) -> Reconciliation | None:
        return self._answer

    @hookimpl
    def on_startup_recover(self) -> RecoveryStep | None:
        return self._step


def steps(bot: FakeBot, **settings: Any) -> dict[str, str]:
    with bot.opened(**settings) as session:
        recover(session)
        names = [step.name for step in session.report.steps]
        assert names == ["journal", "connect", "load", "reconcile", "plugins", "warm", "backfill",
                         "subscribe"]  # fmt: skip
        assert [each["step"] for each in json.loads(session.report.steps_json())] == names
        assert all(step.milliseconds >= 0 for step in session.report.steps)
        return {step.name: step.found for step in session.report.steps}


# -- what is told ------------------------------------------------------------------------------------


def test_each_step_tells_what_it_found() -> None:
    exchange = FakeExchange([*bars(), *bars("IBM")])
    bot = FakeBot(exchange, seeing=lambda: Seeing(3, {2: LONG}))
    first = steps(bot, symbols=("SPY",))
    assert first == {
        "journal": "memory",
        "connect": "fake account FAKE, equity 100,000.00",
        "load": "0 open orders, 0 positions, 0 last signals",
        "reconcile": "agrees with the broker",
        "plugins": "seeing is here",
        "warm": "0 bars of 0 symbols",
        "backfill": "0 bars",
        "subscribe": "1 symbol",
    }
    bot.play(6, symbols=("SPY",))
    exchange.next(0)
    exchange.next(0)
    again = steps(bot)
    assert again["load"] == "0 open orders, 1 position, 1 last signal"
    assert again["warm"] == "3 bars of 1 symbol"
    assert again["backfill"] == f"{2 + 3} bars; 1 minute too old to decide on"
    assert again["subscribe"] == "2 symbols"


def test_steps_are_told_as_they_are_done() -> None:
    told: list[StartupStep] = []
    bot = FakeBot(FakeExchange(bars()), seeing=Seeing)
    plugins = Plugins()
    plugins.register("journal", bot)
    plugins.register("exchange", bot.exchange)
    plugins.check()
    session = open_session(Config(), plugins, told.append)
    assert [step.name for step in told] == ["journal", "connect", "load"]
    recover(session)
    assert told == session.report.steps
    session.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Reconciliation(), "agrees with the broker"),
        (Reconciliation(notes=("one", "two")), "one; two"),
    ],
)
def test_what_the_comparison_found_is_told(answer: Reconciliation, told: str) -> None:
    bot = FakeBot(FakeExchange(bars()), sentry=lambda: Sentry(answer))
    assert steps(bot)["reconcile"] == told


def test_that_nothing_compares_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(FakeExchange, "reconcile")
    assert steps(FakeBot(FakeExchange(bars())))["reconcile"].startswith("OFF: ")


CONFLICT = Conflict("kind", "what", "here", "there", "mend it")


@pytest.mark.parametrize(
    ("answer", "step", "told"),
    [
        (Reconciliation(conflicts=(CONFLICT,)), None, "disagrees with the broker"),
        (Reconciliation(conflicts=(CONFLICT,), notes=("so",)), None, "so"),
        (Reconciliation(), RecoveryStep("x", (CONFLICT,)), "agrees with the broker"),
    ],
    ids=["broker's", "with notes", "plugin's"],
)
def test_any_conflict_ends_the_start_and_changes_nothing(
    answer: Reconciliation, step: RecoveryStep | None, told: str
) -> None:
    bot = FakeBot(FakeExchange(bars()), sentry=lambda: Sentry(answer, step))
    with bot.opened() as session:
        with pytest.raises(ReconciliationConflict) as caught:
            recover(session)
        assert caught.value.conflicts == (CONFLICT,) or caught.value.conflicts == [CONFLICT]
        assert {s.name: s.found for s in session.report.steps}["reconcile"] == told
        assert [s.name for s in session.report.steps][-1] == "reconcile"
    assert bot.rows(Account) == []


def test_that_nothing_is_kept_is_told() -> None:
    plugins = Plugins()
    plugins.register("exchange", FakeExchange(bars()))
    plugins.check()
    session = open_session(Config(), plugins)
    assert session.report.notes
    assert session.report.notes[0].startswith("NOTHING IS SAVED")
    session.close()
    assert (session.journal, session.broker, session.feed) == (None, None, None)
    session.close()


# -- what is opened is closed ------------------------------------------------------------------------


def test_what_a_failed_start_opened_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(FakeExchange, "close", lambda self: closed.append("exchange"))
    monkeypatch.setattr(MemoryJournal, "close", lambda self: closed.append("journal"))
    bot = FakeBot(FakeExchange(bars()))
    with pytest.raises(ConfigError, match="QQQ"), bot.opened(symbols=("QQQ",)):
        pass
    assert closed == ["exchange", "exchange", "journal"]


# -- the account -------------------------------------------------------------------------------------


def test_the_first_start_binds_the_journal_to_the_account() -> None:
    exchange = FakeExchange(bars(), cash=D(5000))
    exchange.next(0)
    bot = FakeBot(exchange)
    bot.play(0)
    account = Account("FAKE", "fake", D(5000), D(5000), minute(1))
    assert bot.rows(Account) == [account]
    bot.play(5)
    assert bot.rows(Account) == [account]


# -- which bars strategies see -----------------------------------------------------------------------


@pytest.mark.parametrize(("lookback", "warm"), [(0, 2), (1, 2), (2, 2), (5, 5), (99, 8)])
def test_a_start_plays_as_many_bars_as_are_looked_back_at(lookback: int, warm: int) -> None:
    """Two at least: a jump of the price is known by two closes."""
    seeing: list[Seeing] = []

    def make() -> Seeing:
        seeing.append(Seeing(lookback, {7: LONG}))
        return seeing[-1]

    bot = FakeBot(FakeExchange(bars()), seeing=make)
    bot.play(8)
    signals = bot.rows(Signal)
    with bot.started() as engine:
        assert seeing[-1].numbers() == list(range(8 - warm, 8))
        assert engine.book.last["SPY"].time == minute(7)
    assert bot.rows(Signal) == signals
    assert len(bot.journal.bars) == 8


def test_plugins_look_at_the_start_before_any_bar_and_by_the_feed_s_clock() -> None:
    exchange, seeing = FakeExchange(bars()), Seeing(5)
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.play(8)
    exchange.next(0)
    seeing.seen.clear()
    bot.play(0)
    assert seeing.at_start[-1] == (minute(9), [], ("SPY",))


@pytest.mark.parametrize("age", [1, 3])
@pytest.mark.parametrize("lookback", [0, 2, 5])
def test_the_first_start_sees_what_was_before_it_and_decides_on_what_is_fresh(
    lookback: int, age: int
) -> None:
    exchange = FakeExchange(bars())
    exchange.catch_up(minute(10))
    seeing = Seeing(lookback)
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.play(0, max_bar_age_minutes=age)
    seen = max(lookback, age)
    assert seeing.numbers() == list(range(10 - seen, 10))
    kept = [(bar.time - OPEN) // MINUTE for bar in bot.journal.bars]
    assert kept == seeing.numbers()


def test_missed_minutes_are_seen_once_and_kept() -> None:
    exchange, made = FakeExchange(bars()), list[Seeing]()

    def make() -> Seeing:
        made.append(Seeing(3, {6: LONG}))
        return made[-1]

    bot = FakeBot(exchange, seeing=make)
    bot.play(5)
    exchange.catch_up(minute(9))
    bot.play(1)
    assert made[-1].numbers() == [2, 3, 4, 5, 6, 7, 8, 9]
    assert [(b.time - OPEN) // MINUTE for b in bot.journal.bars] == list(range(10))
    assert [s.missed for s in bot.rows(Signal)] == [True]
    assert [p.time for p in bot.rows(EquityPoint)] == [minute(n) for n in range(1, 11)]


def test_a_clock_that_lags_behind_the_journal_catches_up() -> None:
    """As after a power cut: the exchange lacks minutes in which nothing happened."""
    bot = FakeBot(FakeExchange(bars()), seeing=Seeing)
    bot.play(8)
    bot.exchange = FakeExchange(bars())
    seeing = Seeing()
    bot._plugins = {"seeing": lambda: seeing}
    with bot.started():
        assert bot.exchange.now() == minute(8)
        assert seeing.numbers() == [6, 7]


def test_symbols_that_fell_behind_and_new_ones_catch_up_with_the_others() -> None:
    exchange = FakeExchange([*bars("A"), *bars("B"), *bars("C")])
    seeing = Seeing(4)
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.play(5, symbols=("A", "B"))
    bot.play(5, symbols=("A",))
    exchange.catch_up(minute(12))
    seeing.seen.clear()
    bot.play(1, symbols=("A", "B", "C"))
    assert seeing.numbers("A") == [6, 7, 8, 9, 10, 11, 12]
    assert seeing.numbers("B") == list(range(1, 13))
    assert seeing.numbers("C")[-3:] == [10, 11, 12]
    assert set(seeing.numbers("C")) == set(range(min(seeing.numbers("C")), 13))
    assert bot.journal.bar_counts()["A"] == 13
    assert bot.journal.bar_counts()["B"] == 13


def test_a_symbol_without_bars_in_the_last_two_minutes_is_not_behind() -> None:
    """Its next bar comes with the others': nothing is asked for twice."""
    numbers = [0, 1, 2, 3, 6, 7]
    exchange = FakeExchange([*bars("A", range(8)), *bars("B", numbers)])
    seeing = Seeing(3)
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.play(5)
    seeing.seen.clear()
    bot.play(3)
    assert seeing.numbers("B") == [1, 2, 3, 6, 7]
    assert seeing.numbers("A") == [2, 3, 4, 5, 6, 7]


# -- what is restored --------------------------------------------------------------------------------


def order(name: str, **changes: Any) -> Order:
    made = Order(
        name, "seeing", "SPY", Side.BUY, D(10), OrderType.MARKET, None, TimeInForce.DAY, OPEN, 1,
        False, OPEN, Status.ACCEPTED,
    )  # fmt: skip
    return replace(made, **changes)


def test_the_book_is_as_it_was() -> None:
    journal, plugins = MemoryJournal(), Plugins()
    held = Position("seeing", "SPY", D(10), D(1000), D(100), D(0), OPEN)
    out = Position("seeing", "IBM", D(0), D(0), D(0), D(7), OPEN)
    states = [SignalState("seeing", s, "SELL", 0, OPEN) for s in ("SPY", "IBM")]
    failed = {"reduces": True, "side": Side.SELL, "status": Status.REJECTED}
    journal.commit(
        [
            held, out, *states, BotState("core", "a", "b"),
            EquityPoint(minute(1), D(1), D(1), D(0), D(0)),
            EquityPoint(minute(3), D(3), D(1), D(0), D(0)),
            EquityPoint(minute(2), D(2), D(1), D(0), D(0)),
            order("b", strategy="t", created_at=minute(2)),
            order("a", strategy="t", created_at=minute(2)),
            order("c", strategy="t", created_at=minute(1)), order("d", status=Status.FILLED),
            order("x1", created_at=minute(5), bar_time=minute(4), **failed),
            order("x2", created_at=minute(6), bar_time=minute(4), attempt=2, **failed),
            order("y", symbol="IBM", created_at=minute(5), **failed),
        ]
    )  # fmt: skip
    with FakeBot(FakeExchange(bars())).opened() as session:
        book = session.book
        restore_book(book, journal, plugins)
    assert book.positions == {("seeing", "SPY"): held, ("seeing", "IBM"): out}
    assert [o.client_order_id for o in book.open_orders()] == ["c", "a", "b"]
    assert book.realized_pnl() == 7
    assert book.row(BotState, "core", "a") == BotState("core", "a", "b")
    assert book.point is not None
    assert book.point.time == minute(3)
    assert {"x2"} <= set(book.orders)
    assert not {"d", "x1", "y"} & set(book.orders)
    ended = book.order("d")
    assert ended is not None
    assert ended.status is Status.FILLED
    assert book.drain() == ([], [])


def test_an_exit_that_failed_waits_for_its_pause_over_a_restart() -> None:
    bot = FakeBot(FakeExchange(bars()), seeing=lambda: Seeing(0, {2: LONG, 5: FLAT}))
    bot.play(6)
    (exit_,) = [o for o in bot.rows(Order) if o.reduces]
    bot.exchange._orders.pop(exit_.client_order_id)
    refused = replace(
        exit_, status=Status.REJECTED, reason="no", attempt=2, updated_at=minute(6)
    )  # fmt: skip
    bot.journal.commit([refused])
    bot.play(1)
    assert len([o for o in bot.rows(Order) if o.reduces]) == 1
    bot.play(1)
    exits = [o for o in bot.rows(Order) if o.reduces]
    assert [(o.attempt, o.created_at) for o in exits if o.attempt == 3] == [(3, minute(8))]


def held(qty: int, symbol: str) -> Position:
    return Position("seeing", symbol, D(qty), D(qty * 100), D(100), D(0), OPEN)


def test_what_is_held_or_ordered_is_followed_whatever_may_be_entered() -> None:
    exchange = FakeExchange([*bars("A"), *bars("B"), *bars("C"), *bars("D")])
    seeing = Seeing()
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.journal.commit(
        [held(5, "D"), held(0, "B"), order("open", symbol="C", status=Status.PENDING)]
    )
    with bot.opened(symbols=("A",)) as session:
        assert session.symbols == ("C", "D", "A")
        assert session.enterable == ("A",)
        engine = recover(session)
        batch = exchange.next(0)
        assert batch is not None
        engine.take(batch)
    assert {symbol for symbol, _ in seeing.seen} == {"A", "C", "D"}


def test_that_no_bars_come_for_what_is_held_is_told_and_the_others_are_followed() -> None:
    exchange = FakeExchange([*bars("A"), *bars("B")])
    bot = FakeBot(exchange, seeing=Seeing)
    bot.journal.commit([held(5, "B"), held(5, "GONE")])
    with bot.opened(symbols=("A",)) as session:
        assert session.symbols == ("B", "A")
        assert [note for note in session.report.notes if "no bars come" in note] == [
            "GONE is held and no bars come for it: no bars of GONE"
        ]


@pytest.mark.parametrize(("days", "known"), [(6.9, True), (7, True), (7.1, False)])
def test_orders_that_were_given_up_lately_are_restored(days: float, known: bool) -> None:
    """They are asked about: the broker had left them open."""
    ended = order("ended", status=Status.EXPIRED, given_up_at=OPEN)
    other = order("other", strategy="t", status=Status.EXPIRED)
    last = OPEN + timedelta(days=days)
    bot = FakeBot(FakeExchange(bars()))
    bot.journal.commit(
        [
            ended, other, EquityPoint(last, D(1), D(1), D(0), D(0)),
            *(Event(OPEN, "given_up", name, "", True) for name in ("ended", "other", "unknown")),
        ]
    )  # fmt: skip
    with bot.opened() as session:
        assert set(session.book.orders) == ({"ended"} if known else set())


@pytest.mark.parametrize(("until", "refused"), [(None, True), (7, True), (6, False)])
def test_a_block_without_its_plugin_refuses_the_start_while_it_holds(
    until: int | None, refused: bool
) -> None:
    exchange = FakeExchange(bars())
    exchange.catch_up(minute(6))
    bot = FakeBot(exchange, seeing=Seeing)
    ends = minute(until) if until else None
    bot.journal.commit([Block("risk.daily_limits", "entries", "lost too much", OPEN, ends)])
    if not refused:
        bot.play(1)
        return
    with pytest.raises(RiskHalt, match=r"risk.daily_limits blocks entries: lost too much"):
        bot.play(1)


# -- a start that fails ------------------------------------------------------------------------------


class Breaking(Seeing):
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        raise KeyError(bar.symbol)


def test_nothing_leaves_after_a_start_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    submit = FakeExchange.submit

    def noted(self: FakeExchange, order: Order) -> OrderUpdate:
        sent.append(order.client_order_id)
        return submit(self, order)

    monkeypatch.setattr(FakeExchange, "submit", noted)
    bot = FakeBot(FakeExchange(bars()), seeing=Seeing)
    bot.play(4)
    bot.journal.commit([order("smabot-1", status=Status.PENDING, created_at=minute(4))])
    bot._plugins = {"seeing": Breaking}
    with bot.opened() as session, pytest.raises(PluginError):
        recover(session)
    assert sent == []


# -- orders alone ------------------------------------------------------------------------------------


class Far(FakeExchange):
    subscribed: Sequence[str] | None = None

    def subscribe(self, symbols: Any) -> None:
        self.subscribed = tuple(symbols)
        super().subscribe(symbols)


def test_a_command_without_a_bot_counts_from_when_it_is_sent() -> None:
    exchange, seeing = Far(bars()), Seeing(3, {2: LONG, 6: FLAT})
    bot = FakeBot(exchange, seeing=lambda: seeing)
    bot.play(5)
    exchange.next(0)
    seeing.seen.clear()
    wall = datetime(2026, 8, 1, tzinfo=UTC)
    with bot.opened() as session:
        session.surroundings = Surroundings(lambda: wall)
        old = Command("1", "flatten", "SPY", wall - timedelta(hours=1), expires_at=wall - MINUTE)
        engine = recover_orders(session, old)
        assert [step.found for step in session.report.steps][-1] == "order updates only"
        assert seeing.seen == []
        assert exchange.subscribed == ()
        (done,) = bot.rows(Command)
        assert (done.created_at, done.expires_at) == (wall, wall + MINUTE)
        assert done.answer.startswith("closes 1 position")
        batch = exchange.next(0)
        assert batch is not None
        assert batch.bars == ()
        engine.take(batch)
    assert [(p.strategy, p.qty) for p in bot.rows(Position)] == [("seeing", 0)]
    assert len(bot.journal.bars) == 5


def test_what_is_accepted_counts_from_now_on() -> None:
    bot = FakeBot(FakeExchange(bars()), seeing=lambda: Seeing(0, {2: LONG}))
    bot.play(3)
    (sent,) = bot.rows(Order)
    bot.exchange.catch_up(minute(6))
    seen = bot.exchange.order(sent.client_order_id)
    assert isinstance(seen, BrokerOrder)
    other = Position("", "SPY", D(1), D(1), D(1), D(0), minute(6))
    conflicts = (
        replace(CONFLICT, remedy=(other,)),
        replace(CONFLICT, remedy=(seen.update(),)),
    )
    with bot.opened() as session:
        accept_broker_state(session, Reconciliation(conflicts=conflicts))
        assert session.book.now == minute(6)
    assert {(p.strategy, p.qty) for p in bot.rows(Position)} == {("seeing", 10), ("", 1)}
    assert [o.status for o in bot.rows(Order)] == [Status.FILLED]


def test_two_acceptances_at_one_time_are_two_rows() -> None:
    bot = FakeBot(FakeExchange(bars()))
    bot.play(3)
    row = Adjustment(OPEN, "", "", D(0), D(0), "a deposit", D(100))
    for remedy in ((row,), (row,)):
        with bot.opened() as session:
            accept_broker_state(session, Reconciliation(remedy=remedy))
    assert [each.time - minute(3) for each in bot.rows(Adjustment)] == [
        timedelta(0), timedelta(microseconds=1),
    ]  # fmt: skip
    assert [account.cash for account in bot.rows(Account)] == [100_200]
