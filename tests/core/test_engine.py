"""What the engine does with signals, orders and answers, over short tapes.

On the fake exchange, which core has, and on the paper exchange where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import Command
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import (
    CORE_RECORDS,
    Bar,
    Batch,
    EquityPoint,
    Fill,
    Order,
    OrderUpdate,
    Position,
    Signal,
    SignalState,
)
from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.errors import PluginError, UnknownOutcome
from smabot.hooks.default_sizer import DefaultSizer
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Config, Sizing
from smabot.testing.fake_exchange import FakeExchange

INSTALLED = {point.name for point in entry_points(group="smabot")}
needs_exchange = pytest.mark.skipif("exchange" not in INSTALLED, reason="no exchange is installed")

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
D = Decimal
LONG, FLAT = 1, 0


def minute(number: int) -> datetime:
    return OPEN + timedelta(minutes=number)


class Script:
    """A strategy that wants what it was told to want, at the bar of that number."""

    def __init__(self, wants: Mapping[int, int], symbol: str = "SPY") -> None:
        self.wants = {(symbol, minute(number)): target for number, target in wants.items()}
        self.seen: list[Bar] = []

    @hookimpl
    def lookback(self) -> int:
        return 3

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        self.seen.append(bar)
        target = self.wants.get((bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)


class Line:
    """A broker on a bad line: ``faults`` says of each order sent whether it gets through."""

    def __init__(self, broker: Broker, faults: Callable[[Order], str]) -> None:
        self._broker = broker
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def submit(self, order: Order) -> OrderUpdate:
        fault = self._faults(order)
        if fault == "refused":
            return OrderUpdate(
                order.client_order_id, Status.REJECTED, order.created_at, reason="no"
            )
        if fault == "lost":
            raise UnknownOutcome("the line is down")
        answer = self._broker.submit(order)
        if fault == "unanswered":
            raise UnknownOutcome("the line went down")
        return answer

    def submit_many(self, orders: Sequence[Order]) -> list[OrderUpdate]:
        return [self.submit(order) for order in orders]


class Given:
    """The journal that outlives the bot, and the broker behind its line."""

    def __init__(self, world: World, exchange: Any) -> None:
        self.world = world
        self.exchange = exchange

    @hookimpl
    def open_journal(self) -> MemoryJournal:
        return self.world.journal

    @hookimpl(tryfirst=True)
    def open_broker(self, config: Config) -> Any:
        return Line(self.exchange.open_broker(config), self.world.faults)


@dataclass
class World:
    """An exchange that outlives the bot, and a journal: a bot may start on them again."""

    folder: Path
    tape: Path
    fake: FakeExchange | None
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    script: Script = field(default_factory=lambda: Script({}))
    faults: Callable[[Order], str] = lambda order: ""

    def wants(self, wants: Mapping[int, int], symbol: str = "SPY") -> None:
        self.script = Script(wants, symbol)

    @contextmanager
    def opened(self, **settings: Any) -> Iterator[BotSession]:
        settings = {"broker": "exchange", **settings}
        config = Config(db=self.folder / "trades.db", data=str(self.tape), speed="max", **settings)
        plugins = Plugins()
        market = self.fake or _paper_exchange()
        for name, plugin in {
            "script": self.script,
            "given": Given(self, market),
            "exchange": market,
            "core.sizing": DefaultSizer(config.sizing),
        }.items():
            plugins.register(name, plugin)
        if "reconciliation" in INSTALLED:
            plugins.register("reconciliation", _reconciliation())
        plugins.check()
        session = open_session(config, plugins)
        try:
            yield session
        finally:
            session.close()

    @contextmanager
    def started(self, **settings: Any) -> Iterator[Engine]:
        with self.opened(**settings) as session:
            yield recover(session)

    def play(self, minutes: int, **settings: Any) -> None:
        """Start the bot, play so many minutes, and leave."""
        with self.started(**settings) as engine:
            play(engine, minutes)

    def pass_by(self, minutes: int) -> None:
        """Let the exchange go on while no bot runs."""
        with self.opened() as session:
            assert session.feed is not None
            for _ in range(minutes):
                assert session.feed.next(0)

    def there(self) -> list[Any]:
        """All orders that the exchange has."""
        with self.opened() as session:
            assert session.broker is not None
            return session.broker.orders(OPEN)

    def orders(self) -> list[Order]:
        return self.journal.rows(Order, newest_by="created_at")

    def short(self) -> list[tuple[str, Decimal, str, int]]:
        """The orders in short: side, quantity, status, attempt."""
        return [(o.side.value, o.qty, o.status.value, o.attempt) for o in self.orders()]

    def held(self, symbol: str = "SPY") -> Decimal:
        position = self.journal.row(Position, "script", symbol)
        return position.qty if position else D(0)


def _paper_exchange() -> object:
    from smabot_exchange.plugin import ExchangePlugin, ExchangeSettings

    return ExchangePlugin(ExchangeSettings())


def _reconciliation() -> object:
    from smabot_reconciliation.plugin import ReconciliationPlugin

    return ReconciliationPlugin()


def play(engine: Engine, minutes: int) -> None:
    feed = engine._feed
    until = feed.now() + timedelta(minutes=minutes)
    while feed.now() < until:
        batch = feed.next(0)
        assert batch is not None
        engine.process(replace(batch, comes_again=False))  # committed at once


CLOSES = {
    "SPY": [100.0 + number % 7 for number in range(60)],
    "IBM": [50.0 + number % 5 for number in range(60)],
}


@pytest.fixture(params=["fake", pytest.param("paper", marks=needs_exchange)])
def make_world(
    request: pytest.FixtureRequest, tmp_path: Path, tape_writer: Callable[..., Path]
) -> Callable[..., World]:
    def make(name: str = "t") -> World:
        folder = tmp_path / name
        folder.mkdir()
        fake = FakeExchange(bars()) if request.param == "fake" else None
        return World(folder, tape_writer(folder / "t.csv", CLOSES), fake)

    return make


@pytest.fixture
def make_thin_world(tmp_path: Path, tape_writer: Callable[..., Path]) -> Callable[[int], World]:
    """Where orders fill in parts: so many shares a minute."""

    def make(shares: int) -> World:
        return World(tmp_path, tape_writer(tmp_path / "t.csv", CLOSES, volume=10 * shares), None)

    return make


def bars() -> list[Bar]:
    """The tape's."""
    made = []
    for symbol, closes in CLOSES.items():
        for number, (begin, end) in enumerate(pairwise([closes[0], *closes])):
            high, low = max(begin, end), min(begin, end)
            made.append(Bar(symbol, minute(number), begin, high, low, end, 10_000))
    return made


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


BUY = ("buy", D(10), "filled", 1)
SELL = ("sell", D(10), "filled", 1)

# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [[15], [4, 11], [3, 1, 1, 1, 1, 1, 7]], ids=str)
def test_a_repeated_signal_is_suppressed_over_restarts_too(world: World, runs: list[int]) -> None:
    wants = {2: LONG, 3: LONG, 5: LONG, 8: FLAT, 9: FLAT, 12: FLAT}
    for minutes in runs:
        world.wants(wants)
        world.play(minutes)
    assert world.short() == [BUY, SELL]
    assert [s.bar_time for s in world.journal.rows(Signal)] == [minute(2), minute(8)]


def test_a_flat_signal_without_a_holding_orders_nothing(world: World) -> None:
    world.wants({2: FLAT})
    world.play(5)
    assert world.orders() == []
    assert len(world.journal.rows(Signal)) == 1


def test_a_missed_exit_is_made_up_for_at_the_first_fresh_bar(world: World) -> None:
    world.wants({2: LONG, 7: FLAT})
    world.play(5)
    world.pass_by(5)
    world.play(5)
    missed, made_up = world.journal.rows(Signal)[-2:]
    assert (missed.bar_time, missed.missed) == (minute(7), True)
    assert (made_up.bar_time, made_up.missed, made_up.target) == (minute(9), False, FLAT)
    assert world.short() == [BUY, SELL]
    assert (world.orders()[-1].created_at, world.held()) == (minute(10), D(0))


@pytest.mark.parametrize("act", [False, True])
def test_a_missed_entry_is_made_up_for_only_where_that_is_set(world: World, act: bool) -> None:
    world.wants({7: LONG})
    world.play(5)
    world.pass_by(5)
    world.play(5, act_on_missed_entries=act)
    assert world.short() == ([BUY] if act else [])
    state = world.journal.row(SignalState, "script", "SPY")
    assert state is not None
    assert (state.target, state.missed) == (LONG, not act)


def test_a_missed_entry_signalled_again_is_an_entry(world: World) -> None:
    world.wants({7: LONG, 12: LONG})
    world.play(5)
    world.pass_by(5)
    world.play(5)
    assert world.short() == [BUY]
    assert world.orders()[0].bar_time == minute(12)


def test_a_round_trip_that_was_missed_whole_changes_nothing(world: World) -> None:
    world.wants({6: LONG, 8: FLAT})
    world.play(5)
    world.pass_by(6)
    world.play(5)
    assert world.orders() == []
    assert [s.missed for s in world.journal.rows(Signal)] == [True, True]


def test_the_newest_bar_of_a_gap_is_decided_on_as_if_live(world: World) -> None:
    world.wants({9: LONG})
    world.play(5)
    world.pass_by(5)
    world.play(2)
    assert world.short() == [BUY]
    assert not world.journal.rows(Signal)[0].missed


def test_only_the_newest_minute_of_a_late_batch_is_decided_on(world: World) -> None:
    world.wants({3: LONG, 59: FLAT})
    with world.started() as engine:
        batches = [engine._feed.next(0) for _ in range(60)]
        bars = tuple(bar for batch in batches if batch for bar in batch.bars)
        engine.process(Batch(minute(60), bars=bars, resync=True))
    assert world.orders() == []
    assert [(s.bar_time, s.missed) for s in world.journal.rows(Signal)] == [
        (minute(3), True), (minute(59), False),
    ]  # fmt: skip
    assert world.journal.bar_counts() == {"SPY": 60, "IBM": 60}


def test_a_signal_for_a_symbol_that_is_not_traded_is_an_error(world: World) -> None:
    class Wrong:
        @hookimpl
        def on_bar(self, bar: Bar) -> Signal:
            return Signal("IBM", LONG, bar.time, 50.0)

    world.script = Wrong()  # type: ignore[assignment]
    with (
        world.started(symbols=("SPY",)) as engine,
        pytest.raises(PluginError, match="signalled IBM, which is not traded in this run"),
    ):
        play(engine, 5)
    assert world.orders() == []


@pytest.mark.parametrize("target", [-1, 2])
def test_a_target_that_is_neither_long_nor_flat_is_an_error(world: World, target: int) -> None:
    class Wrong:
        @hookimpl
        def on_bar(self, bar: Bar) -> Signal:
            return Signal(bar.symbol, target, bar.time, bar.close)

    world.script = Wrong()  # type: ignore[assignment]
    with (
        world.started() as engine,
        pytest.raises(PluginError, match=rf"'script'.* target {target}: use 1 \(long\) or 0"),
    ):
        play(engine, 5)
    assert world.orders() == []
    assert world.journal.rows(SignalState) == []


def test_a_symbol_that_is_added_later_gets_warm_without_deciding_on_old_bars(world: World) -> None:
    wants = {5: LONG, 7: FLAT, 8: LONG, 12: FLAT}
    world.wants(wants, "IBM")
    world.play(10, symbols=("SPY",))
    assert {bar.symbol for bar in world.script.seen} == {"SPY"}
    world.wants(wants, "IBM")
    with world.started(symbols=("SPY", "IBM")) as engine:
        warm = [bar.time for bar in world.script.seen if bar.symbol == "IBM"]
        assert warm == [minute(7), minute(8), minute(9)]
        play(engine, 5)
    assert world.orders() == []
    assert [s.bar_time for s in world.journal.rows(Signal)] == [minute(12)]
    assert world.journal.bar_counts() == {"SPY": 15, "IBM": 8}


# -- exits and entries -----------------------------------------------------------------------------


def test_a_refused_exit_is_tried_again_ever_more_rarely(world: World) -> None:
    world.faults = lambda o: "refused" if o.side is Side.SELL and o.attempt < 5 else ""
    world.wants({2: LONG, 5: FLAT})
    world.play(30)
    assert world.short() == [
        BUY,
        *(("sell", D(10), "rejected", attempt) for attempt in (1, 2, 3, 4)),
        ("sell", D(10), "filled", 5),
    ]
    times = [o.created_at for o in world.orders()[1:]]
    waits = [(late - early) // timedelta(minutes=1) for early, late in pairwise(times)]
    assert waits == [1, 2, 4, 8]
    assert len({o.client_order_id for o in world.orders()}) == 6


def test_a_refused_exit_waits_over_a_restart(world: World) -> None:
    world.faults = lambda o: "refused" if o.side is Side.SELL and o.attempt < 3 else ""
    for minutes in (7, 1, 1, 1, 5):
        world.wants({2: LONG, 5: FLAT})
        world.play(minutes)
    assert [o.attempt for o in world.orders()[1:]] == [1, 2, 3]
    assert [o.created_at for o in world.orders()[1:]] == [minute(6), minute(7), minute(9)]


def test_a_refused_entry_is_not_tried_again(world: World) -> None:
    world.faults = lambda o: "refused"
    world.wants({2: LONG})
    world.play(20)
    assert world.short() == [("buy", D(10), "rejected", 1)]


@needs_exchange
@pytest.mark.parametrize("restart", [False, True])
def test_an_entry_at_work_is_called_off_before_the_exit(
    make_thin_world: Callable[[int], World], restart: bool
) -> None:
    world = make_thin_world(2)
    for minutes in [6, 10] if restart else [16]:
        world.wants({2: LONG, 5: FLAT})
        world.play(minutes)
    entry, exit_ = world.orders()
    assert (entry.status, entry.filled_qty) == (Status.CANCELED, D(6))
    assert (exit_.side, exit_.qty, exit_.status) == (Side.SELL, D(6), Status.FILLED)
    assert world.held() == 0


@needs_exchange
def test_an_entry_while_the_exit_is_at_work_is_blocked_on_the_record(
    make_thin_world: Callable[[int], World],
) -> None:
    world = make_thin_world(5)
    world.wants({2: LONG, 8: FLAT, 9: LONG})
    world.play(20)
    entry, exit_, late = world.orders()
    assert (entry.status, exit_.status) == (Status.FILLED, Status.FILLED)
    assert (late.bar_time, late.status) == (minute(9), Status.BLOCKED)
    assert late.reason == f"the exit {exit_.client_order_id} is still open"


@needs_exchange
@pytest.mark.parametrize("runs", [[20], [13, 7]], ids=str)
def test_a_blocked_entry_does_not_hide_the_exit_at_work(
    make_thin_world: Callable[[int], World], runs: list[int]
) -> None:
    world = make_thin_world(2)
    for minutes in runs:
        world.wants({2: LONG, 9: FLAT, 10: LONG, 11: FLAT, 12: LONG, 13: FLAT})
        world.play(minutes)
    assert [(o.bar_time, o.status) for o in world.orders()] == [
        (minute(2), Status.FILLED), (minute(9), Status.FILLED),
        (minute(10), Status.BLOCKED), (minute(12), Status.BLOCKED),
    ]  # fmt: skip


def test_halted_entries_are_blocked_and_exits_pass(world: World) -> None:
    def tell(verb: str, argument: str = "") -> None:
        world.journal.send(Command(f"{verb}-1", verb, argument, OPEN))

    world.wants({2: LONG, 6: FLAT, 9: LONG, 11: FLAT, 14: LONG})
    world.play(4)
    tell("halt", "for lunch")
    world.play(4)
    world.play(4)  # over a restart too
    assert world.short() == [BUY, SELL, ("buy", D(10), "blocked", 1)]
    assert world.orders()[-1].reason == "halted: for lunch"
    tell("resume")
    world.play(5)
    assert world.short()[-1] == BUY
    assert [c.answer.split(":")[0] for c in world.journal.rows(Command)] == ["halted", "resumed"]


# -- sizes and equity ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizing", "qty"),
    [
        (Sizing(method="shares", shares=7), D(7)),
        (Sizing(method="notional", notional=D(1000)), D(9)),  # at 102
        (Sizing(method="notional", notional=D(101)), None),
        (Sizing(method="fraction", fraction=D("0.25")), D(245)),
    ],
    ids=str,
)
def test_the_size_of_an_order(world: World, sizing: Sizing, qty: Decimal | None) -> None:
    world.wants({2: LONG, 5: FLAT})
    world.play(10, sizing=sizing)
    assert world.short() == ([("buy", qty, "filled", 1), ("sell", qty, "filled", 1)] if qty else [])


@pytest.mark.parametrize("every", [1, 5])
def test_equity_points_come_so_often_and_at_fills(world: World, every: int) -> None:
    world.wants({2: LONG, 12: FLAT})
    world.play(20, equity_every_minutes=every)
    fills = {fill.time for fill in world.journal.rows(Fill)}
    due = {minute(n) for n in range(1, 21) if n % every == 0}
    times = {point.time for point in world.journal.rows(EquityPoint)}
    assert len(fills) == 2
    assert times - {minute(1)} == (due | fills) - {minute(1)}
    last = world.journal.rows(EquityPoint)[-1]
    assert last.equity == 100_000 + sum(f.realized_pnl for f in world.journal.rows(Fill))


# -- unknown outcomes ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["lost", "unanswered"])
@pytest.mark.parametrize("restart", [False, True])
def test_an_unknown_outcome_never_makes_two_orders(
    world: World, make_world: Callable[..., World], fault: str, restart: bool
) -> None:
    whole = make_world(name="whole")
    whole.wants({2: LONG, 6: FLAT})
    whole.play(10)
    sent: list[str] = []

    def once(order: Order) -> str:
        sent.append(order.client_order_id)
        return fault if sent.count(order.client_order_id) == 1 else ""

    world.faults = once
    for minutes in [3, 4, 3] if restart else [10]:
        world.wants({2: LONG, 6: FLAT})
        world.play(minutes)
    assert [o.client_order_id for o in world.there()] == [o.client_order_id for o in world.orders()]
    assert world.short() == [BUY, SELL]
    assert [o.reason for o in world.orders()] == ["", ""]
    for kind in (Fill, Position, Signal, EquityPoint):
        assert world.journal.rows(kind) == whole.journal.rows(kind)


def test_an_order_that_never_gets_through_is_given_up_when_its_bar_is_old(world: World) -> None:
    world.faults = lambda o: "lost"
    world.wants({2: LONG})
    world.play(10)
    assert world.short() == [("buy", D(10), "abandoned", 1)]
    assert world.there() == []


def test_an_exit_that_never_got_through_is_tried_again(world: World) -> None:
    world.faults = lambda o: "lost" if o.side is Side.SELL and o.attempt == 1 else ""
    world.wants({2: LONG, 5: FLAT})
    world.play(15)
    assert world.short() == [BUY, ("sell", D(10), "abandoned", 1), ("sell", D(10), "filled", 2)]
    assert world.held() == 0


# -- stopping --------------------------------------------------------------------------------------


def test_until_stops_there_and_the_next_run_goes_on(
    world: World, make_world: Callable[..., World]
) -> None:
    whole = make_world(name="whole")
    wants = {2: LONG, 6: FLAT, 9: LONG, 10: FLAT}
    whole.wants(wants)
    with whole.started() as engine:
        assert engine.run() == "ended"
    for until, outcome in ((7, "until"), (7, "until"), (10, "until"), (None, "ended")):
        world.wants(wants)
        with world.started(until=minute(until) if until else None) as engine:
            assert engine.run() == outcome
            assert until is None or engine._feed.now() == minute(until)
    for kind in set(CORE_RECORDS):
        mine: list[Any] = world.journal.rows(kind)
        theirs: list[Any] = whole.journal.rows(kind)
        if kind.__name__ == "Account":
            mine, theirs = [a.cash for a in mine], [a.cash for a in theirs]
        assert mine == theirs, kind
    assert world.journal.bars == whole.journal.bars


def test_a_stop_ends_after_the_step(world: World) -> None:
    with world.started() as engine:
        play(engine, 3)
        engine.stopping.set()
        assert engine.run() == "stopped"
    assert world.journal.bar_counts() == {"SPY": 3, "IBM": 3}


def test_a_watcher_that_fails_keeps_no_order_from_leaving(world: World) -> None:
    def watch(rows: list[Any], bars: list[Bar]) -> None:
        raise RuntimeError("no screen")

    world.wants({2: LONG, 5: FLAT})
    with world.opened() as session:
        play(recover(session, watch), 12)
    assert world.short() == [BUY, ("sell", D(10), "filled", 1)]
    assert world.held() == 0
