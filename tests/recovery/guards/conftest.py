"""Pieces for orders of events that the guards are judged by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.order_terms import Side
from smabot.domain.records import Batch, Order, OrderUpdate
from smabot.engine.loop import Engine
from smabot.errors import UnknownOutcome
from smabot_exchange.faults.market_kinds import FrozenCancel
from smabot_exchange.matching.orders import OrderRequest, OrderType

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
NO_LIMITS = {
    "max_trades": 0, "max_orders": 0, "max_orders_per_symbol": 0, "max_loss": 0,
    "max_exposure": 0, "max_exposure_per_symbol": 0, "max_order_notional": 0,
}  # fmt: skip
NEVER_TRIPS = {"max_failures": 0, "max_session_drawdown": 0, "max_peak_drawdown": 0}


class Line:
    """The line to the exchange: what is sent may be ``lost``, or arrive ``unanswered``."""

    def __init__(self, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: Callable[[Order], str] = lambda order: ""
        self.sent: list[str] = []
        self._broker = session.broker
        self._send = self._broker.submit_many
        monkeypatch.setattr(self._broker, "submit", self._submit)
        monkeypatch.setattr(self._broker, "submit_many", self._submit_many)

    def _submit(self, order: Order) -> OrderUpdate:
        return self._submit_many([order])[0]

    def _submit_many(self, orders: Sequence[Order]) -> list[OrderUpdate]:
        self.sent += [order.client_order_id for order in orders]
        faults = {self.fault(order) for order in orders}
        if "lost" in faults:
            raise UnknownOutcome("timeout")
        answers: list[OrderUpdate] = self._send(orders)
        if "unanswered" in faults:
            raise UnknownOutcome("timeout")
        return answers


class Watch:
    """What the account held after each fill."""

    def __init__(self, exchange: Any) -> None:
        self.levels: list[int] = []
        exchange.listen(self._told)

    def _told(self, events: Any) -> None:
        self.levels += [int(event.position_qty) for event in events if event.execution is not None]

    @property
    def lowest(self) -> int:
        return min(self.levels, default=0)


class Bot:
    """A bot that lives minute by minute; ``down`` is why no order updates come."""

    def __init__(self, session: Any, engine: Engine, line: Line) -> None:
        self.session = session
        self.engine = engine
        self.line = line
        self.down = ""

    def live(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            batch = self.session.feed.next(0)
            assert batch is not None
            self.engine.take(replace(batch, doubt=self.down, comes_again=False))

    def step(self, *updates: OrderUpdate) -> None:
        """A step without a bar."""
        self.engine.take(Batch(self.session.feed.now(), updates, doubt=self.down))

    def until(self, minute: float) -> None:
        """Live until a minute is over."""
        self.live_until(OPEN + timedelta(minutes=minute))

    def live_until(self, time: datetime) -> None:
        while self.session.feed.now() < time:
            self.live()

    def pass_to(self, time: datetime) -> None:
        """The market is closed, and the clock goes on."""
        feed = self.session.feed
        feed.now = lambda: max(time, type(feed).now(feed))
        self.engine.take(Batch(time))

    def rows(self, kind: type) -> list[Any]:
        """The rows of a record class, oldest first for orders."""
        rows: list[Any] = self.session.journal.rows(kind)
        if kind is Order:
            rows.sort(key=lambda order: (order.created_at, order.client_order_id))
        return rows

    # -- what happens at the exchange --------------------------------------------------------------

    @property
    def exchange(self) -> Any:
        return self.session.broker._exchange

    def account_holds(self, symbol: str = "SPY") -> int:
        return sum(int(p.qty) for p in self.exchange.positions() if p.symbol == symbol)

    def trade_by_hand(self, side: Side, qty: int, limit: int | None = None) -> Any:
        """Submit an order in SPY that is not the bot's."""
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        price = None if limit is None else Decimal(limit)
        return self.exchange.submit(OrderRequest("SPY", side, Decimal(qty), kind, price)).order

    def freeze_cancels(self, minutes: int | None = None) -> None:
        """Cancels of partly filled orders are taken, and never end them, or only after some minutes."""
        self.exchange.faults.add([FrozenCancel(minutes=minutes)])

    def watch(self) -> Watch:
        return Watch(self.exchange)


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Start a world's bot with a line to the exchange that can be cut."""

    @contextmanager
    def alive(world: Any, **settings: Any) -> Iterator[Bot]:
        with monkeypatch.context() as patched, world.started(**settings) as (session, engine):
            yield Bot(session, engine, Line(session, patched))

    return alive


@pytest.fixture
def limits() -> Callable[..., dict[str, Any]]:
    """The risk plugins' settings with everything off but what is named."""

    def limits(breaker: dict[str, Any] | None = None, **daily: Any) -> dict[str, Any]:
        risk = {
            "daily_limits": {**NO_LIMITS, **daily},
            "circuit_breaker": {**NEVER_TRIPS, **(breaker or {})},
        }
        return {"plugins": ("risk",), "plugin": {"risk": risk}}

    return limits


@pytest.fixture
def orders_of() -> Callable[[Any], list[tuple[str, str, str, int]]]:
    """The orders in short: strategy, side, status, shares filled."""

    def orders_of(world: Any) -> list[tuple[str, str, str, int]]:
        return [
            (o.strategy, o.side.value, o.status.value, int(o.filled_qty)) for o in world.rows(Order)
        ]

    return orders_of


@pytest.fixture
def events_of() -> Callable[[Any], list[tuple[str, str, bool]]]:
    """The events in short: kind, subject, grave."""

    def events_of(world: Any) -> list[tuple[str, str, bool]]:
        return [(e.kind, e.subject, e.grave) for e in world.rows(Event)]

    return events_of


@pytest.fixture
def filled() -> Callable[..., OrderUpdate]:
    """The broker's word that an order has filled, at a time and a price."""

    def filled(order: Order, price: float, time: datetime) -> OrderUpdate:
        from smabot.domain.order_terms import Status

        return OrderUpdate(
            order.client_order_id, Status.FILLED, time, "b", order.qty, Decimal(str(price)),
            filled_at=time,
        )  # fmt: skip

    return filled


def closes(*runs: tuple[int, float]) -> Sequence[float]:
    """Prices: so many minutes at a price, one run after the other."""
    return [price for minutes, price in runs for _ in range(minutes)]


@pytest.fixture
def prices() -> Any:
    return closes
