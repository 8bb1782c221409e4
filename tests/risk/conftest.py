"""A desk that drives the risk plugins through their hooks, as the engine does, and can be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import exchange_calendars
import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Command
from smabot.domain.calendar import MINUTE, Calendar, Session
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Account, Bar, EquityPoint, Order, OrderUpdate
from smabot.domain.risk_answers import checks_text
from smabot.domain.tables import key_of, table_of
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.recovery_answers import Recovery
from smabot_risk.breaker_state import BreakerState
from smabot_risk.circuit_breaker import CircuitBreaker
from smabot_risk.daily_counts import DayCounts, SymbolCounts
from smabot_risk.daily_limits import DailyLimits
from smabot_risk.settings import CircuitBreakerSettings, DailyLimitsSettings

OFF = {"max_failures": 0, "max_session_drawdown": 0, "max_peak_drawdown": 0}
NO_LIMITS = {name: 0 for name in DailyLimitsSettings.model_fields if name.startswith("max_")}


class Desk:
    """A bot without strategies. ``kept`` is what a journal would hold, all that a kill leaves."""

    def __init__(
        self,
        calendar: Calendar,
        now: datetime,
        breaker: dict[str, Any] = OFF,
        limits: dict[str, Any] = NO_LIMITS,
    ) -> None:
        self.calendar, self.now = calendar, now
        self.settings = CircuitBreakerSettings(**breaker), DailyLimitsSettings(**limits)
        self.kept: dict[tuple[type, tuple[Any, ...]], Any] = {}
        self.bars: dict[str, Bar] = {}
        self.told: list[str] = []
        self.restart()

    def restart(self, *updates: OrderUpdate) -> None:
        """Begin from what was kept; ``updates`` are what reconciliation found at the broker."""
        self.breaker = CircuitBreaker(self.settings[0])
        self.limits = DailyLimits(self.settings[1])
        self.book = Book(self.calendar, lambda name: self.kept.get((Order, (name,))))
        rows = [row for row in self.kept.values() if table_of(type(row)).restore]
        self.book.restore(
            row for row in rows if not (isinstance(row, Order) and row.status.terminal)
        )
        self.book.restore(self.points()[-1:])
        self.book.restore(self.bars.values())
        self.book.now = self.now
        if self.book.account is None:
            cash = Decimal(100_000)
            self.book.apply(Account("paper", "exchange", cash, cash, self.now))
        journal = MemoryJournal()
        journal.commit(list(self.kept.values()))
        nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Recovery))
        recovery = Recovery(**{**nothing, "book": self.book, "journal": journal})
        steps = [plugin.on_startup_recover(recovery) for plugin in (self.breaker, self.limits)]
        self.told = [step.restored for step in steps]
        for update in updates:
            self._take(update)
        self.commit()

    def commit(self) -> None:
        rows, bars = self.book.drain()
        self.kept.update({(type(row), key_of(row)): row for row in rows})
        self.bars.update({bar.symbol: bar for bar in bars})

    def at(self, time: datetime) -> None:
        self.now = self.book.now = max(self.book.now, time)

    def price(self, symbol: str, close: float) -> None:
        """A minute ends: its bar, and the equity at its end."""
        self.at(self.now + MINUTE)
        self.book.apply(Bar(symbol, self.now - MINUTE, close, close, close, close, 100.0))
        self.mark(self.now)
        self.commit()

    def mark(self, time: datetime) -> None:
        book = self.book
        cash, value = (book.account.cash if book.account else Decimal(0)), book.positions_value()
        point = EquityPoint(time, cash + value, cash, value, book.realized_pnl())
        if book.apply(point):
            self.breaker.on_equity(point, book)
            self.limits.on_equity(point, book)

    def submit(
        self,
        symbol: str = "SPY",
        side: Side = Side.BUY,
        qty: int = 10,
        limit: Decimal | None = None,
    ) -> Order:
        """Judge an order and take it in, blocked or pending."""
        book = self.book
        held = book.holding("sma", symbol)
        order = Order(
            f"smabot-sma-{symbol}-{self.now:%Y%m%dT%H%M%SZ}.{self._orders()}-1",
            "sma", symbol, side, Decimal(qty), OrderType.LIMIT if limit else OrderType.MARKET,
            limit, TimeInForce.DAY, self.now, 1, held * side.sign < 0 and qty <= abs(held), self.now,
        )  # fmt: skip
        objection = self.breaker.may_leave(order, book)
        vetoes = [objection.reason] if objection is not None else []
        blocks = book.blocking(reduces=order.reduces)
        vetoes += [block.reason for block in blocks if block.reason not in vetoes]
        checks = self.limits.before_submit(order, book) or []
        vetoes += [check.reason for check in checks if not check.passed]
        order = replace(order, checks=checks_text(checks))
        if vetoes:
            order = replace(order, status=Status.BLOCKED, reason="; ".join(vetoes))
        book.apply(order)
        self._tell(order)
        self.commit()
        return order

    def take(
        self,
        order: Order,
        status: Status,
        filled: int | Decimal = 0,
        price: str = "100",
        time: datetime | None = None,
        reason: str = "",
    ) -> None:
        """The broker's news of an order."""
        self._take(update(order, status, time or self.now, filled, price, reason))
        self.commit()

    def fill(self, order: Order, price: str = "100", time: datetime | None = None) -> None:
        self.take(order, Status.FILLED, order.qty, price, time)

    def command(self, verb: str) -> str | None:
        answer = self.breaker.on_command(Command("1", verb, "", self.now), self.book)
        self.commit()
        return answer

    # -- what is kept --------------------------------------------------------------------------

    @property
    def state(self) -> BreakerState:
        state: BreakerState = self.kept[BreakerState, ("main",)]
        return state

    def day(self, day: date) -> DayCounts | None:
        return self.kept.get((DayCounts, (day,)))

    def symbol(self, symbol: str) -> SymbolCounts | None:
        return self.kept.get((SymbolCounts, (symbol,)))

    def risk_rows(self) -> set[Any]:
        kinds = (BreakerState, DayCounts, SymbolCounts)
        return {row for row in self.kept.values() if isinstance(row, kinds)}

    def points(self) -> list[EquityPoint]:
        points = [row for row in self.kept.values() if isinstance(row, EquityPoint)]
        return sorted(points, key=lambda point: point.time)

    def _orders(self) -> int:
        return sum(1 for row in self.kept.values() if isinstance(row, Order))

    def _take(self, update: OrderUpdate) -> None:
        book = self.book
        before, fill = book.order(update.client_order_id), book.fill_of(update)
        if before is None or not book.apply(update):
            return
        after = book.order(update.client_order_id)
        assert after is not None
        if after.status is not before.status:
            self._tell(after)
        if fill is not None:
            self.limits.on_fill(fill, book)
            self.mark(max(fill.time, book.point.time if book.point else fill.time))

    def _tell(self, order: Order) -> None:
        self.breaker.on_order(order, self.book)
        self.limits.on_order(order, self.book)


def update(
    order: Order,
    status: Status,
    time: datetime,
    filled: int | Decimal = 0,
    price: str = "100",
    reason: str = "",
) -> OrderUpdate:
    average = Decimal(price) if filled else None
    return OrderUpdate(
        order.client_order_id, status, time, "b1", Decimal(filled), average, None, reason
    )


def sessions(xnys: Any) -> Iterable[Session]:
    for day, row in xnys.schedule.iterrows():
        yield Session(day.date(), row["open"].to_pydatetime(), row["close"].to_pydatetime())


@pytest.fixture(scope="session")
def xnys() -> Any:
    """The exchange's calendar by an independent source."""
    return exchange_calendars.get_calendar("XNYS", start="2025-11-03", end="2026-12-31")


@pytest.fixture(scope="session")
def desk(xnys: Any) -> Callable[..., Desk]:
    """Make a desk; by default on Monday 2026-03-02, 10:00 in New York."""
    calendar = Calendar(sessions(xnys))

    def make(now: datetime = datetime(2026, 3, 2, 15, 0, tzinfo=UTC), **settings: Any) -> Desk:
        return Desk(calendar, now, **settings)

    return make


@pytest.fixture(scope="session")
def update_of() -> Callable[..., OrderUpdate]:
    """Make the broker's news of an order, for `Desk.restart`."""
    return update
