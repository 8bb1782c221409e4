"""Bars a second through the engine with sma and risk, a journal in memory, and a broker that fills
at once; whether that, and memory, stay flat as history grows; and what the gate asks of an order.

Seconds are the process's own on the CPU: the engine waits for nothing, and other programs' work is
not its own."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any, cast

from benchmarks.process import PER_MIB
from benchmarks.report import Figure, middle
from benchmarks.sessions import HUGE, WIDE
from benchmarks.tapes import OPEN, batches, walks, waves
from smabot.domain.book import Book
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import (
    ZERO,
    Account,
    Bar,
    Batch,
    Order,
    OrderIntent,
    OrderUpdate,
    Position,
    Signal,
)
from smabot.engine.execution.order_making import make_order
from smabot.engine.gate import GO
from smabot.engine.loop import Engine
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, Feed
from smabot.settings.model import Config

GOAL = 150_000
SIZES = (1, 500)
PIECES = 10
SHARES = Decimal(10)
ENTRIES, EXITS = "entries", "exits"
"""Strategies whose orders the gate judges; the second holds shares of every symbol."""


@dataclass(frozen=True, slots=True)
class Tenth:
    """Seconds that a tenth of the run took, and the process's peak memory after it in MiB."""

    seconds: float
    peak: float


class Fills:
    """A broker that fills every order at once at its symbol's last price."""

    name = "fills"
    visibility_delay = timedelta(0)

    def __init__(self, book: Book) -> None:
        self._book = book
        self.orders = 0

    def submit(self, order: Order) -> OrderUpdate:
        self.orders += 1
        price = self._book.price(order.symbol)
        now = self._book.now
        return OrderUpdate(
            order.client_order_id, Status.FILLED, now, "1", order.qty, price, now, filled_at=now
        )


class Time:
    """The clock of a feed that replays bars and is at the last batch."""

    time: datetime = OPEN

    def now(self) -> datetime:
        return self.time

    def keep(self) -> None:
        """Nothing begins again."""


class Forgetful(MemoryJournal):
    """In memory, without the bars and rows of the past: what grows then is the engine's."""

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        super().commit(rows, bars)
        self._bars.clear()
        self._tables.clear()


def run(quick: bool, folder: Path) -> Iterator[Figure]:
    """Yield bars a second for each size and kind of prices, and how flat they are."""
    yield _floor()
    for symbols in SIZES:
        bars = 100_000 if quick else 400_000
        for name, prices in (("waves", waves), ("random walk", walks)):
            made = batches(prices(symbols, bars // symbols), symbols)
            yield _figure(symbols, name, made)
            yield _figure(symbols, f"{name}, calm minutes", made, calm=True)
    yield from _flat(100_000 if quick else 1_000_000)
    yield from _gate(2_000 if quick else 10_000)


def _floor() -> Figure:
    """The strategy alone, called in a loop: no book, no risk, no journal, no orders."""
    settings = Config()
    made = batches(waves(1, 50_000), 1)
    speeds = []
    for _ in range(3):
        ((_, on_bar),) = Plugins.load(settings, ["sma"]).bar_hooks
        book = Book()
        begun = process_time()
        for batch in made:
            for bar in batch.bars:
                on_bar(bar, book)
        speeds.append(len(made) / (process_time() - begun))
    return Figure("floor: sma's on_bar in a bare loop", middle(speeds), "bars/s")


def _figure(symbols: int, name: str, made: list[Batch], *, calm: bool = False) -> Figure:
    """``calm``: minutes in which nothing is open are taken as a backtest does, else each as a live feed's."""
    speeds, orders = [], 0
    for _ in range(3):
        tenths, orders = _play(made, MemoryJournal(), calm=calm)
        speeds.append(symbols * len(made) / sum(tenth.seconds for tenth in tenths))
    share = symbols * len(made) / max(orders, 1)
    return Figure(
        f"{symbols} symbol{'s' * (symbols > 1)}, {name}", middle(speeds), "bars/s", least=GOAL,
        note=f"an order in {share:.0f} bars",
    )  # fmt: skip


def _flat(bars: int) -> Iterator[Figure]:
    made = batches(waves(1, bars), 1)
    tenths, _ = _play(made, Forgetful())
    early, late = (middle([t.seconds for t in some]) for some in (tenths[:3], tenths[-3:]))
    yield Figure(f"last of {bars:,} bars : the first", late / early, "×", most=1.1)
    yield Figure("memory gained over them", tenths[-1].peak - tenths[0].peak, "MiB", most=5)


def _gate(calls: int) -> Iterator[Figure]:
    """What the gate takes to admit an order, and each time to let it leave; both only read."""
    engine, clock, _ = _engine(["AAA"], MemoryJournal())
    made = batches(walks(1, 1_000), 1)
    _tenth(made, clock, engine.process)
    book, bar = engine.book, made[-1].bars[0]
    cost = SHARES * Decimal(repr(bar.close))
    book.apply(Position(EXITS, "AAA", SHARES, cost, cost / SHARES, ZERO, clock.time))
    for what, strategy, side in (("entry", ENTRIES, Side.BUY), ("exit", EXITS, Side.SELL)):
        signal = Signal("AAA", int(side is Side.BUY), bar.time, bar.close, strategy)
        order = make_order("smabot", book, OrderIntent("AAA", side, SHARES), signal, 1)
        assert engine.gate.may_leave(order) == GO
        assert all(check.passed for check in engine.gate.admit(order))
        for verb, ask in (("admit", engine.gate.admit), ("let leave", engine.gate.may_leave)):
            rounds = [_microseconds(ask, order, calls) for _ in range(5)]
            yield Figure(f"gate: {verb} an {what}", middle(rounds), "µs")


def _microseconds(ask: Callable[[Order], Any], order: Order, calls: int) -> float:
    begun = process_time()
    for _ in range(calls):
        ask(order)
    return (process_time() - begun) / calls * 1e6


def _play(
    made: list[Batch], journal: MemoryJournal, *, calm: bool = False
) -> tuple[list[Tenth], int]:
    """Return what each tenth of the batches took, and the number of orders."""
    engine, clock, broker = _engine([bar.symbol for bar in made[0].bars], journal)
    size = len(made) // PIECES
    pieces = [made[n * size : (n + 1) * size] for n in range(PIECES)]
    play = engine.take if calm else engine.process
    return [_tenth(piece, clock, play) for piece in pieces], broker.orders


def _engine(symbols: list[str], journal: MemoryJournal) -> tuple[Engine, Time, Fills]:
    """Return an engine with sma and risk, its clock, and its broker."""
    settings = Config.model_validate({"reconcile_every_minutes": 500_000, "plugin": {"risk": WIDE}})
    book, clock = Book(), Time()
    book.account = Account("1", "fills", Decimal(HUGE), Decimal(HUGE), OPEN)
    plugins = Plugins.load(settings, ["sma", "risk"])
    broker = Fills(book)
    engine = Engine(
        settings, plugins, book, journal, cast(Broker, broker), cast(Feed, clock), symbols
    )
    return engine, clock, broker


def _tenth(piece: list[Batch], clock: Time, process: Callable[[Batch], None]) -> Tenth:
    begun = process_time()
    for batch in piece:
        clock.time = batch.time
        process(batch)
    seconds = process_time() - begun
    return Tenth(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / PER_MIB)
