"""A running bot at an exchange in memory, with a plugin that notes what it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.equity_bounds import EquityBounds
from smabot.domain.order_terms import Status
from smabot.domain.records import (
    Bar,
    Batch,
    EquityPoint,
    Fill,
    Order,
    OrderUpdate,
    Signal,
)
from smabot.engine.loop import Engine
from smabot.errors import UnknownOutcome
from smabot.hooks.ports import BrokerPosition
from smabot.hooks.recovery_answers import Reconciliation
from smabot.hooks.specifications import hookimpl
from smabot.testing.fake_bot import FakeBot
from smabot.testing.fake_exchange import FakeExchange

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def minute(number: float) -> datetime:
    return OPEN + number * MINUTE


class Exchange(FakeExchange):
    """What is sent may be lost."""

    lost = False

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.sent: list[str] = []

    def submit(self, order: Order) -> OrderUpdate:
        self.sent.append(order.client_order_id)
        if self.lost:
            raise UnknownOutcome("lost")
        return super().submit(order)


class Plugin:
    """A strategy by a script, which notes what it is told, and compares as it is told to."""

    def __init__(self, wants: dict[int, int]) -> None:
        self._wants = {minute(number): target for number, target in wants.items()}
        self.symbols = {"SPY"}
        """Of these it wants what the script says."""
        self.more: dict[str, dict[int, int]] = {}
        """What it wants of others."""
        self.told: list[tuple[str, Any]] = []
        self.compared: list[datetime] = []
        self.answer: Callable[[], Reconciliation | None] = Reconciliation
        self.fails = ""
        self.bounds: EquityBounds | None = None

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        if self.fails == "on_bar":
            raise KeyError("on_bar")
        more = self.more.get(bar.symbol, {})
        wants = {minute(number): target for number, target in more.items()}
        target = (self._wants if bar.symbol in self.symbols else wants).get(bar.time)
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def before_submit(self) -> None:
        if self.fails == "before_submit":
            raise KeyError("before_submit")

    @hookimpl
    def on_order(self, order: Order) -> None:
        self.told.append(("order", order.status))

    @hookimpl
    def on_fill(self, fill: Fill) -> None:
        self.told.append(("fill", fill.qty))

    @hookimpl
    def on_equity(self, point: EquityPoint) -> EquityBounds | None:
        self.told.append(("equity", point))
        return self.bounds

    @hookimpl
    def on_command(self) -> str:
        raise KeyError("on_command")

    @hookimpl
    def reconcile(self, recovery: Any) -> Reconciliation | None:
        self.compared.append(recovery.clock.now())
        return self.answer()

    def of(self, kind: str) -> list[Any]:
        return [what for each, what in self.told if each == kind]


class Bot:
    def __init__(self, engine: Engine, exchange: Exchange, plugin: Plugin, bot: FakeBot) -> None:
        self.engine, self.book = engine, engine.book
        self.exchange, self.plugin, self.rows = exchange, plugin, bot.rows

    def play(self, minutes: int) -> None:
        for _ in range(minutes):
            batch = self.exchange.next(0)
            assert batch is not None
            self.engine.take(batch)

    def at(self, seconds: float) -> None:
        """A step without news, so many seconds after the last bar."""
        self.exchange.shift = seconds * SECOND
        self.engine.take(Batch(self.exchange.now()))

    def update(self, name: str, status: Status, **changes: Any) -> None:
        told = OrderUpdate(name, status, self.exchange.now(), **{"symbol": "SPY", **changes})
        self.engine.take(Batch(self.exchange.now(), updates=(told,)))

    def events(self) -> list[tuple[str, str, bool]]:
        found = sorted(self.rows(Event), key=lambda event: event.time)
        return [(event.kind, event.subject, event.grave) for event in found]

    def order(self) -> Order:
        (order,) = self.rows(Order)
        return order


class Remote(Exchange):
    """Tells its positions when it is let to; what was asked for meanwhile is counted."""

    stepped = False
    lookups = (0.01,)

    def __init__(self, bars: list[Bar]) -> None:
        super().__init__(bars)
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = 0

    def positions(self) -> list[BrokerPosition]:
        self.asked += 1
        assert self.may_answer.wait(60)
        return super().positions()


Make = Callable[..., Any]


@pytest.fixture
def running() -> Make:
    @contextmanager
    def running(
        wants: dict[int, int] | None = None,
        symbols: str = "SPY",
        count: int = 40,
        exchange: type[Exchange] = Exchange,
        **settings: Any,
    ) -> Iterator[Bot]:
        bars = [
            Bar(symbol, minute(n), 100.0 + n, 100.5 + n, 99.5 + n, 100.0 + n, 1000)
            for n in range(count)
            for symbol in ("SPY", "IBM")
        ]
        at, plugin = exchange(bars), Plugin(wants or {})
        bot = FakeBot(at, s=lambda: plugin)
        with bot.started(symbols=tuple(symbols.split()), **settings) as engine:
            yield Bot(engine, at, plugin, bot)

    return running


@pytest.fixture
def local() -> type[Exchange]:
    return Exchange


@pytest.fixture
def remote() -> type[Remote]:
    return Remote
