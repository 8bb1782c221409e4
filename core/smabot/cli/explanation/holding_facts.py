"""What the database has of one strategy in one symbol: signals, orders, fills, and what went on beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from smabot.cli.explanation.order_facts import ended_at
from smabot.cli.records.record_filters import Span, rows_within
from smabot.cli.records.target_times import flattens_of
from smabot.cli.start_steps import Gap, gaps
from smabot.domain.bot_records import Event, Run
from smabot.domain.calendar import MINUTE
from smabot.domain.event_order import OWN_TIME
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
"""The newest signals that are read to say how a holding is now: those of some months."""
SHOWN = 20
"""The newest signals of which it is said what came of them, at most."""
ACTED_ON_LATE = timedelta(days=7)
"""How long after a gap a missed signal is acted on late, at most: at its first bar, over holidays too."""
DECIDED_WITHIN = timedelta(days=1)
"""How long after its bar a decision is made, at most."""


@dataclass(frozen=True, slots=True)
class HoldingFacts:
    """A strategy's business in a symbol. Lists are oldest first.

    ``signals`` and ``orders`` are those of the time that was asked for, ``fills`` and ``adjustments`` those
    from its begin until now; ``events`` are kinds `flatten` and `no_order`.
    """

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
        """Return the signed shares that were held at a time: those held now without what came since."""
        bought = (f.qty * f.side.sign for f in self.fills if f.time > time)
        came = (a.qty for a in self.adjustments if a.time > time)
        return self.held - sum(bought, ZERO) - sum(came, ZERO)

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
        flattens = flattens_of(self.events, self.symbol)
        given = [event for event in flattens if event.time <= time + OWN_TIME]
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


def read_holding(rows: Any, holding: Holding, span: Span | None = None) -> HoldingFacts:
    """Return what the database has of a strategy in a symbol: of the newest signals, or of those that were
    known within a span, with the one before."""
    strategy, symbol = holding
    where = {"strategy": strategy, "symbol": symbol}
    found_gaps = gaps(rows.rows(Run, newest_by="run_id"))
    if span is None:
        signals = rows.rows(Signal, where=where, newest_by="bar_time", limit=SIGNALS_READ)
        begin = signals[0].bar_time if len(signals) == SIGNALS_READ else None
        bars, lately = Span(begin), Span(signals[-SHOWN:][0].bar_time if signals else None)
    else:
        span = _with_last_flatten(rows, symbol, span)
        assert span.until is not None
        signals = _signals_around(rows, where, span, found_gaps)
        begin = signals[0].bar_time if signals else span.since
        bars = lately = Span(begin, max([span.until, *(s.bar_time for s in signals)]))
    orders = rows_within(rows, Order, "bar_time", bars, where=where)
    return HoldingFacts(
        strategy=strategy,
        symbol=symbol,
        state=rows.row(SignalState, strategy, symbol),
        position=rows.row(Position, strategy, symbol),
        signals=signals,
        orders=sorted(orders, key=lambda order: order.created_at),
        fills=rows_within(rows, Fill, "time", Span(begin), where=where),
        adjustments=rows_within(rows, Adjustment, "time", Span(begin), where=where),
        events=_decision_events(rows, symbol, Span() if span is None else Span(begin), lately),
        gaps=found_gaps,
    )


def _with_last_flatten(rows: Any, symbol: str, span: Span) -> Span:
    """Return a span that begins with the last `flatten` before it: what was wanted follows from there."""
    assert span.since is not None
    where = {"kind": "flatten", "subject": ("", symbol)}
    last = rows_within(rows, Event, "time", Span(None, span.since), where=where, limit=1)
    return Span(min([span.since, *(event.time for event in last)]), span.until)


def _signals_around(
    rows: Any, where: dict[str, Any], span: Span, found_gaps: list[Gap]
) -> list[Signal]:
    """Return the signals that were known within a span, and the one before. Where one was missed, also the
    later ones: it may have been acted on late."""
    assert span.since is not None
    assert span.until is not None
    first, last = span.since - MINUTE, span.until - MINUTE
    earlier = Span(None, first - timedelta(microseconds=1))
    signals = [
        *rows_within(rows, Signal, "bar_time", earlier, where=where, limit=1),
        *rows_within(rows, Signal, "bar_time", Span(first, last), where=where),
    ]
    if not any(signal.missed for signal in signals):
        return signals
    ends = [gap.last for gap in found_gaps if any(gap.has(s.bar_time) for s in signals)]
    later = Span(last + timedelta(microseconds=1), max([last, *ends]) + ACTED_ON_LATE)
    return signals + rows_within(rows, Signal, "bar_time", later, where=where)


def _decision_events(rows: Any, symbol: str, begin: Span, bars: Span) -> list[Event]:
    """Return the events that say why decisions on bars led to no order, and each `flatten` from a time on."""
    flattens = {"kind": "flatten", "subject": ("", symbol)}
    until = None if bars.until is None else bars.until + DECIDED_WITHIN
    return [
        *rows_within(rows, Event, "time", Span(begin.since, until), where=flattens),
        *rows_within(rows, Event, "time", Span(bars.since, until), where={"kind": "no_order"}),
    ]


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
