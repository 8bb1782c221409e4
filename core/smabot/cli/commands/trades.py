"""`smabot trades`: lists fills, or round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.records.order_ids import short_id
from smabot.cli.records.record_filters import Filters, Span, filtered, rows_within
from smabot.cli.records.record_listing import limit_of, newest, show

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.listing import Listing
    from smabot.domain.records import Fill
    from smabot.domain.round_trips import RoundTrip


@click.command()
@click.option(
    "--round-trips", is_flag=True, help="Positions from flat to flat, by when they were closed."
)
@click.pass_obj
@filtered(limit=limit_of("fills or round trips"))
def trades(app: App, round_trips: bool, filters: Filters) -> None:
    """List fills, or what each position made (--round-trips).

    A round trip is a strategy's position in a symbol, from its first fill to the fill that closed it.
    """
    from smabot.domain.records import Fill
    from smabot.domain.round_trips import RoundTrip

    if round_trips:
        found, open_positions, span = _round_trips(app, filters)
        show(
            app, "round_trips", found, filters, span, csv_fields=RoundTrip,
            screen=lambda shown: _trip_listing(app, shown), noun="round trips",
            notes=still_open(open_positions),
        )  # fmt: skip
        return
    with app.rows() as rows:
        fills, span = newest(app, rows, Fill, "time", filters)
    show(
        app, "trades", fills, filters, span, csv_fields=Fill,
        screen=lambda shown: _fill_listing(app, shown), noun="fills",
    )  # fmt: skip


def still_open(positions: int) -> list[str]:
    """Say that open positions are not among the trades, where there are some."""
    if not positions:
        return []
    if positions == 1:
        return ["1 position is still open: it is not a trade until it is closed"]
    return [f"{positions:,} positions are still open: they are not trades until they are closed"]


def all_trips(
    rows: Any, filters: Filters, until: Any
) -> tuple[list[Fill], list[Any], list[RoundTrip], int]:
    """Return fills, adjustments and round trips up to a time, and how many positions are open then.

    All fills are read, from the first one: where a position begins shows only so.
    """
    from smabot.domain.records import Adjustment, Fill
    from smabot.domain.round_trips import round_trips

    span = Span(until=until)
    fills = rows_within(rows, Fill, "time", span, where=filters.where)
    adjustments = rows_within(rows, Adjustment, "time", span, where=filters.where)
    trips, still_held = round_trips(fills, adjustments)
    return fills, adjustments, trips, len(still_held)


def _round_trips(app: App, filters: Filters) -> tuple[list[RoundTrip], int, Span]:
    with app.rows() as rows:
        span = filters.span(app, rows)
        _, _, trips, still_held = all_trips(rows, filters, span.until)
    found = [trip for trip in trips if span.since is None or trip.closed_at >= span.since]
    return found[-filters.limit if filters.limit else 0 :], still_held, span


def _fill_listing(app: App, fills: list[Fill]) -> Listing:
    from smabot.cli.records.listing import Listing

    columns: output.Columns = (
        app.times.column(fills, lambda f: f.time),
        ("symbol", lambda f: f.symbol),
        ("side", lambda f: f.side.value),
        (">qty", lambda f: output.number(f.qty)),
        (">price", lambda f: output.money(f.price)),
        *([(">fees", lambda f: output.money(f.fees))] if any(f.fees for f in fills) else []),
        (">realized", lambda f: output.gain(f.realized_pnl) if f.reduces else ""),
    )
    return Listing(columns, fills, movable=("order", lambda f: short_id(f.client_order_id)))


def _trip_listing(app: App, trips: list[RoundTrip]) -> Listing:
    from smabot.cli.records.listing import Listing
    from smabot.domain.order_terms import Side

    opened, opened_at = app.times.column(trips, lambda t: t.opened_at)
    closed, closed_at = app.times.column(trips, lambda t: t.closed_at)
    short = any(trip.side is Side.SELL for trip in trips)
    sides = [("side", lambda t: "long" if t.side is Side.BUY else "short")]
    columns: output.Columns = (
        (f"opened {opened.split()[0]}", opened_at),
        (f"closed {closed.split()[-1]}", closed_at),
        ("symbol", lambda t: t.symbol),
        *(sides if short else []),
        (">qty", lambda t: output.number(t.qty)),
        (">entry", lambda t: output.money(t.entry_price)),
        (">exit", lambda t: output.money(t.exit_price)),
        (">P&L", lambda t: output.gain(t.realized_pnl)),
    )
    return Listing(columns, trips, movable=("strategy", lambda t: t.strategy or "none"))
