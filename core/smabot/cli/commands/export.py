"""`smabot export`: trades, round trips, tax lots and moved cash as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import with_options
from smabot.cli.records.time_arguments import DAYS_OPTIONS

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.record_filters import Span
    from smabot.cli.records.time_arguments import TypedTime

EXAMPLE = "smabot export --csv taxes-2"


@click.command()
@click.option(
    "--csv", "folder", required=True, metavar="FOLDER",
    type=click.Path(file_okay=True, path_type=Path),
    help="Write CSV files to this folder; none may be there already.",
)  # fmt: skip
@with_options(*DAYS_OPTIONS)
@click.pass_obj
def export(app: App, folder: Path, since: TypedTime | None, until: TypedTime | None) -> None:
    """Write trades, round trips, tax lots and cash movements as CSV.

    Lots are first in, first out, over all strategies, by when they were closed. Times are UTC, money is exact.
    """
    from smabot.cli.new_files import write_new_files
    from smabot.cli.records.record_filters import Filters

    with app.rows() as rows:
        span = Filters(since=since, until=until).span(app, rows)
        texts, notes = _files(rows, span)
    written = write_new_files(folder, texts, EXAMPLE)
    data = {"files": [str(path) for path in written]}
    app.emit(data, [f"wrote {path}" for path in written] + notes)


def _files(rows: Any, span: Span) -> tuple[dict[str, str], list[str]]:
    """Return the files' texts by their names, and what an operator should know.

    All fills up to the end are read, from the first one: where a position begins shows only so.
    """
    from smabot.cli.output import csv_text
    from smabot.cli.records.record_filters import Span, rows_within
    from smabot.domain.cash_movements import CashMovement
    from smabot.domain.records import Adjustment, Fill
    from smabot.domain.round_trips import RoundTrip, round_trips
    from smabot.domain.tax_lots import ClosedLot, closed_lots

    begin, before = span.since, Span(until=span.until)

    def within(time: Any) -> bool:
        return begin is None or bool(time >= begin)

    fills = rows_within(rows, Fill, "time", before)
    adjustments = rows_within(rows, Adjustment, "time", before)
    trips, still_held = round_trips(fills, adjustments)
    lots, _ = closed_lots(fills, adjustments)
    moved = [row for row in rows_within(rows, CashMovement, "seen_at", before) if row.counted]
    texts = {
        "trades.csv": csv_text(Fill, [fill for fill in fills if within(fill.time)]),
        "round_trips.csv": csv_text(RoundTrip, [t for t in trips if within(t.closed_at)]),
        "lots.csv": csv_text(ClosedLot, [x for x in lots if within(max(x.acquired_at, x.sold_at))]),
        "cash_movements.csv": csv_text(CashMovement, [m for m in moved if within(m.seen_at)]),
        "adjustments.csv": csv_text(Adjustment, [a for a in adjustments if within(a.time)]),
    }
    from smabot.cli.commands.trades import still_open

    return texts, still_open(len(still_held))
