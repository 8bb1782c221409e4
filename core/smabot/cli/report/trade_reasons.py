"""Why a trade was entered and closed: what its signal, its order, an operator or an adjustment said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smabot.cli.records.record_filters import Span, rows_within
from smabot.domain.bot_records import Event
from smabot.domain.event_order import OWN_TIME
from smabot.domain.records import Adjustment, Fill, Order, Signal
from smabot.domain.round_trips import RoundTrip


@dataclass(frozen=True, slots=True)
class Trade:
    """A round trip, with the reasons for its first and its last fill."""

    trip: RoundTrip
    entry_reason: str
    exit_reason: str

    @property
    def gained(self) -> float | None:
        """What it made by what was paid for it, as a fraction."""
        paid = self.trip.qty * self.trip.entry_price
        return float(self.trip.realized_pnl / paid) if paid else None

    @property
    def held(self) -> timedelta:
        return self.trip.closed_at - self.trip.opened_at


class Reasons:
    """Finds the reasons of orders and trades, from what a journal has up to the end of a span."""

    def __init__(self, rows: Any, span: Span) -> None:
        until = Span(until=span.until)
        signals = rows_within(rows, Signal, "bar_time", until)
        self._signals = {(s.strategy, s.symbol, s.bar_time): s for s in signals}
        self._flattened = rows.rows(Event, where={"kind": "flatten"}, newest_by="time")
        self._orders = {
            order.client_order_id: order for order in rows_within(rows, Order, "created_at", until)
        }
        self._first: dict[tuple[Any, ...], str] = {}
        """Why a holding changed at a time, by what came first and what came last then."""
        self._last: dict[tuple[Any, ...], str] = {}
        changes: list[Fill | Adjustment] = rows_within(rows, Adjustment, "time", until)
        changes += rows_within(rows, Fill, "time", until)
        for each in changes:
            key = (each.strategy, each.symbol, each.time)
            self._last[key] = why = self._of_change(each)
            self._first.setdefault(key, why)

    def of_order(self, order: Order) -> str:
        """Return why an order was made; empty where nothing says so."""
        signal = self._signals.get((order.strategy, order.symbol, order.bar_time))
        if signal is not None and bool(signal.target) != order.reduces:
            return ": ".join(filter(None, (signal.label, signal.reason)))
        told = [
            event.text
            for event in self._flattened
            if order.reduces
            and event.subject in ("", order.symbol)
            and event.time <= order.created_at + OWN_TIME
        ]
        return f"flatten: {told[-1]}" if told else ""

    def of_trip(self, trip: RoundTrip) -> Trade:
        holding = (trip.strategy, trip.symbol)
        return Trade(
            trip,
            self._first.get((*holding, trip.opened_at), ""),
            self._last.get((*holding, trip.closed_at), ""),
        )

    def _of_change(self, change: Fill | Adjustment) -> str:
        if isinstance(change, Adjustment):
            return change.reason
        order = self._orders.get(change.client_order_id)
        return self.of_order(order) if order is not None else ""
