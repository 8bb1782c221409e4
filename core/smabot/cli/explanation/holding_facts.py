"""What the database has of one strategy in one symbol: signals, orders, fills, and what went on beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.cli.explanation.order_facts import ended_at
from smabot.cli.records.target_times import flattens_of
from smabot.cli.start_steps import Gap, gaps
from smabot.domain.bot_records import Event, Run
from smabot.domain.calendar import MINUTE
from smabot.domain.records import (
    ZERO,
    Adjustment,
    Fill,
    Holding,
    Order,
    Position,
    Signal,
    SignalState,
)

SIGNALS_READ = 1000
"""The newest signals of a holding that are read: those of some months."""


@dataclass(frozen=True, slots=True)
class HoldingFacts:
    """A strategy's business in a symbol. Lists are oldest first."""

    strategy: str
    symbol: str
    state: SignalState | None
    position: Position | None
    signals: list[Signal]
    orders: list[Order]
    fills: list[Fill]
    adjustments: list[Adjustment]
    events: list[Event]
    gaps: list[Gap]

    @property
    def held(self) -> Decimal:
        """Signed shares held now."""
        return ZERO if self.position is None else self.position.qty

    def held_at(self, time: datetime) -> Decimal:
        """Return the signed shares that were held at a time."""
        bought = (f.qty * f.side.sign for f in self.fills if f.time <= time)
        came = (a.qty for a in self.adjustments if a.time <= time)
        return sum(bought, ZERO) + sum(came, ZERO)

    def orders_of(self, signal: Signal) -> list[Order]:
        """Return the orders that a signal led to."""
        return [
            order
            for order in self.orders
            if order.bar_time == signal.bar_time and order.reduces is not bool(signal.target)
        ]

    def signal_before(self, time: datetime) -> Signal | None:
        """Return the last signal that was known at a time."""
        return next((s for s in reversed(self.signals) if s.bar_time + MINUTE <= time), None)

    def gap_of(self, minute: datetime) -> Gap | None:
        """Return the gap that a bar's minute was in."""
        return next((gap for gap in self.gaps if gap.has(minute)), None)

    def flattened_before(self, time: datetime) -> Event | None:
        """Return the operator's last `flatten` of it up to a time."""
        given = [event for event in flattens_of(self.events, self.symbol) if event.time <= time]
        return given[-1] if given else None

    def target_at(self, time: datetime) -> Signal | Event | None:
        """Return what said how many shares are wanted at a time: a signal, or the operator's `flatten`.

        Signals that came while a `flatten` was closing the position are passed over, as the bot did.
        """
        given: list[tuple[datetime, Signal | Event]] = [
            *((event.time, event) for event in flattens_of(self.events, self.symbol)),
            *((signal.bar_time + MINUTE, signal) for signal in self.signals),
        ]
        target: Signal | Event | None = None
        for at, each in sorted(given, key=lambda pair: pair[0]):
            if at > time:
                break
            if isinstance(each, Event):
                target = each if self._was_busy(at) else target
            elif not (isinstance(target, Event) and (at == target.time or self._was_busy(at))):
                target = each
        return target

    def _was_busy(self, time: datetime) -> bool:
        """Whether shares were held, or an order was open, just before a time."""
        just_before = time - timedelta(microseconds=1)
        open_then = (
            order.created_at < time and ((end := ended_at(order)) is None or end >= time)
            for order in self.orders
        )
        return self.held_at(just_before) != 0 or any(open_then)


def read_holding(rows: Any, holding: Holding) -> HoldingFacts:
    """Return what the database has of a strategy in a symbol."""
    strategy, symbol = holding
    where = {"strategy": strategy, "symbol": symbol}
    signals = rows.rows(Signal, where=where, newest_by="bar_time", limit=SIGNALS_READ)
    since = {"since": ("created_at", signals[0].bar_time)} if len(signals) == SIGNALS_READ else {}
    return HoldingFacts(
        strategy=strategy,
        symbol=symbol,
        state=rows.row(SignalState, strategy, symbol),
        position=rows.row(Position, strategy, symbol),
        signals=signals,
        orders=rows.rows(Order, where=where, newest_by="created_at", **since),
        fills=rows.rows(Fill, where=where, newest_by="time"),
        adjustments=rows.rows(Adjustment, where=where, newest_by="time"),
        events=rows.rows(Event, newest_by="time"),
        gaps=gaps(rows.rows(Run, newest_by="started_at")),
    )


def holdings_in(rows: Any, symbol: str) -> list[Holding]:
    """Return the strategies' holdings that have, or had, anything to do with a symbol."""
    found: Iterable[Holding] = {
        (row.strategy, row.symbol)
        for kind in (SignalState, Position)
        for row in rows.rows(kind, where={"symbol": symbol})
    }
    return sorted(found)


def known_symbols(rows: Any) -> list[str]:
    """Return the symbols that the database knows of: with bars, signals or positions."""
    named = {row.symbol for kind in (SignalState, Position) for row in rows.rows(kind)}
    return sorted(named | set(rows.bar_counts()))
