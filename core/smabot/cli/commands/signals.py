"""`smabot signals`: lists the signals of the strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.records.record_filters import Filters, Span, filtered, rows_within
from smabot.cli.records.record_listing import limit_of, reading_limit, show

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.listing import Listing
    from smabot.domain.records import Signal


@click.command()
@click.pass_obj
@filtered(limit=limit_of("signals"))
def signals(app: App, filters: Filters) -> None:
    """List the strategies' signals, the newest last.

    A signal's time is the end of the bar that led to it. A target of 1 is long, 0 is flat.
    """
    from smabot.domain.records import Signal

    with app.rows() as rows:
        span = filters.span(app, rows)
        found = _newest_signals(rows, filters, _of_bars(span), reading_limit(app, filters))
    show(
        app, "signals", found, filters, span, csv_fields=Signal,
        screen=lambda shown: _listing(app, shown),
    )  # fmt: skip


def _of_bars(span: Span) -> Span:
    """Return the times of the bars whose ends are within a span."""
    from smabot.domain.calendar import MINUTE

    return Span(span.since and span.since - MINUTE, span.until and span.until - MINUTE)


def _newest_signals(rows: Any, filters: Filters, of_bars: Span, limit: int | None) -> list[Signal]:
    """Return the newest signals. They are read by strategy and symbol, as their table is sorted."""
    from smabot.domain.records import Signal, SignalState

    found: list[Signal] = []
    for state in rows.rows(SignalState, where=filters.where):
        where = {"strategy": state.strategy, "symbol": state.symbol}
        found += rows_within(rows, Signal, "bar_time", of_bars, where=where, limit=limit)
    found.sort(key=lambda signal: (signal.bar_time, signal.strategy, signal.symbol))
    return found if limit is None else found[-limit:]


def _listing(app: App, signals: list[Signal]) -> Listing:
    from smabot.cli.records.listing import Listing
    from smabot.domain.calendar import MINUTE

    columns: output.Columns = (
        app.times.column(signals, lambda s: s.bar_time + MINUTE),
        ("strategy", lambda s: s.strategy),
        ("symbol", lambda s: s.symbol),
        ("signal", lambda s: s.label),
        (">target", lambda s: s.target),
        (">price", lambda s: f"{s.price:,.2f}"),
        ("", lambda s: "missed" if s.missed else ""),
    )
    return Listing(columns, signals, notes=lambda s: [s.reason])
