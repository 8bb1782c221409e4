"""All that the database has of one order: what led to it, what was asked about it, what came of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from smabot.cli.records.record_filters import Span, rows_within
from smabot.cli.start_steps import queried_orders
from smabot.cli.status.market_time import started_at
from smabot.domain.bot_records import Event, Run
from smabot.domain.event_order import OWN_TIME, causal_order
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Adjustment, Bar, Fill, Order, Signal
from smabot.domain.risk_answers import SIZE, Check, read_checks
from smabot.domain.round_trips import RoundTrip, round_trips
from smabot.hooks.optional_ports import BarRows

OF_THE_SYMBOL = frozenset({
    "adjustment", "bad_bar", "external_activity", "flatten", "no_price", "price_again", "price_collar", "price_rounded",
    "refused_exit",
})  # fmt: skip
"""Kinds of events whose subject is a symbol; a `flatten` of all has none."""
OF_ALL = frozenset({
    "account_blocked", "account_unblocked", "breaker_reset", "breaker_tripped", "conflict", "dropped_bars", "halt",
    "key_accepted", "key_refused", "limit_reached", "resume", "stream_back", "stream_lost",
})  # fmt: skip
"""Kinds of events that concern every order."""
ABOUT_ORDERS = {"kind": tuple(sorted(OF_THE_SYMBOL | OF_ALL))}
"""Which events to read to find those of an order's symbol and of all orders."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order's story in records. ``signal`` and ``bar`` are those that led to it, None where the
    database has none: an operator's exit has no signal."""

    order: Order
    bar: Bar | None
    signal: Signal | None
    command: Event | None
    """The operator's `flatten` that led to it."""
    size: Check | None
    checks: list[Check]
    events: list[Event]
    """What happened to it, and beside it, while it was open; oldest first."""
    fills: list[Fill]
    before: list[Order]
    """The attempts of the same decision before it."""
    queried: list[tuple[Run, datetime]] = field(default_factory=list)
    """The starts that queried its status, and when by the feed's clock."""
    round_trip: RoundTrip | None = None
    """The one that it is part of, once it is closed."""

    @property
    def asked_price(self) -> Decimal | None:
        """The price that it was decided at: its signal's, else its bar's close. US dollars a share."""
        if self.signal is not None:
            return Decimal(repr(self.signal.price))
        return None if self.bar is None else Decimal(repr(self.bar.close))

    def slippage(self, fill: Fill) -> Decimal | None:
        """Return what a fill cost more than at the price that was decided on, US dollars in all.

        Negative: it was better.
        """
        asked = self.asked_price
        return None if asked is None else (fill.price - asked) * fill.qty * fill.side.sign


def read_order(rows: Any, order: Order) -> OrderFacts:
    """Return what the database has of an order."""
    holding = {"strategy": order.strategy, "symbol": order.symbol}
    signal = rows.row(Signal, order.strategy, order.symbol, order.bar_time)
    if signal is not None and signal.target == 0 and not order.reduces:
        signal = None
    if signal is not None and signal.target and order.reduces:
        signal = None
    checks = read_checks(order.checks)
    sized = bool(checks) and checks[0].name == SIZE
    fills = rows.rows(Fill, where=holding, newest_by="time")
    adjustments = rows.rows(Adjustment, where=holding, newest_by="time")
    own = [fill for fill in fills if fill.client_order_id == order.client_order_id]
    alike = rows.rows(Order, where={**holding, "bar_time": order.bar_time}, newest_by="created_at")
    events = _events_of(rows, order)
    return OrderFacts(
        order=order,
        bar=bar_at(rows, order.symbol, order.bar_time),
        signal=signal,
        command=_command(events, order) if signal is None else None,
        size=checks[0] if sized else None,
        checks=checks[1:] if sized else checks,
        events=[event for event in events if _concerns(event, order)],
        fills=own,
        before=[o for o in alike if o.reduces is order.reduces and o.attempt < order.attempt],
        queried=_queries(rows, order),
        round_trip=_round_trip(fills, adjustments, own),
    )


def bar_at(rows: Any, symbol: str, time: datetime) -> Bar | None:
    """Return a symbol's bar that starts at a time, where the journal has it and can find it."""
    if not isinstance(rows, BarRows):
        return None
    return next(iter(rows.bars_within(time, time, symbol)), None)


def ended_at(order: Order) -> datetime | None:
    """Return when an order ended; None while it is open."""
    return (order.updated_at or order.created_at) if order.status.terminal else None


def _events_of(rows: Any, order: Order) -> list[Event]:
    """Return the order's own events, and those beside it until its end."""
    end, own = ended_at(order), {"subject": order.client_order_id}
    while_open = Span(order.bar_time, None if end is None else end + OWN_TIME)
    found = [
        *rows_within(rows, Event, "time", Span(order.bar_time), where=own),
        *rows_within(rows, Event, "time", while_open, where=ABOUT_ORDERS),
    ]
    return sorted(dict.fromkeys(found), key=causal_order)


def _concerns(event: Event, order: Order) -> bool:
    if event.subject == order.client_order_id:
        return True
    if event.kind in OF_THE_SYMBOL and event.subject not in ("", order.symbol):
        return False
    if event.kind not in OF_THE_SYMBOL | OF_ALL:
        return False
    if event.kind == "refused_exit" and not (order.reduces and order.status is Status.REJECTED):
        return False
    end = ended_at(order)
    if end == order.created_at and event.kind in OF_ALL:
        return False
    return event.time >= order.created_at and (end is None or event.time <= end + OWN_TIME)


def _command(events: Collection[Event], order: Order) -> Event | None:
    if not order.reduces:
        return None
    given = [
        event
        for event in events
        if event.kind == "flatten"
        and event.subject in ("", order.symbol)
        and event.time <= order.created_at + OWN_TIME
    ]
    return given[-1] if given else None


def _queries(rows: Any, order: Order) -> list[tuple[Run, datetime]]:
    return [
        (run, at)
        for run in rows.rows(Run, newest_by="run_id")
        if order.client_order_id in queried_orders(run) and (at := started_at(run)) is not None
    ]


def _round_trip(
    fills: list[Fill], adjustments: list[Adjustment], own: list[Fill]
) -> RoundTrip | None:
    if not own:
        return None
    closed, _ = round_trips(fills, adjustments)
    last = own[-1].time
    return next((trip for trip in closed if trip.opened_at <= last <= trip.closed_at), None)


def realized(facts: OrderFacts) -> Decimal:
    """Return what an exit's fills have realized, US dollars."""
    return sum((fill.realized_pnl for fill in facts.fills), ZERO)
