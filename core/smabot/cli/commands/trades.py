"""`smabot trades`: lists fills."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.commands.record_listing import (
    LIMIT_OPTION,
    SYMBOL_OPTION,
    newest_rows,
    show_rows,
    where_symbol,
)

if TYPE_CHECKING:
    from datetime import date

    from smabot.cli.app import App


@click.command()
@SYMBOL_OPTION
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="This New York trading date only.",
)
@LIMIT_OPTION
@click.pass_obj
def trades(app: App, symbol: str | None, day: datetime | None, limit: int | None) -> None:
    """List fills, the newest last."""
    from smabot.domain.records import Fill

    with app.rows() as rows:
        if day is None:
            found = newest_rows(app, rows, Fill, "time", where_symbol(symbol), limit)
        else:
            found = _fills_of_day(rows, Fill, where_symbol(symbol), day.date())[
                -limit if limit else None :
            ]
    show_rows(app, "trades", found, limit if day is None else len(found) or 1, (
        ("time", lambda f: output.iso(f.time)),
        ("strategy", lambda f: f.strategy),
        ("symbol", lambda f: f.symbol),
        ("side", lambda f: f.side.value),
        (">qty", lambda f: output.number(f.qty)),
        (">price", lambda f: output.money(f.price)),
        (">realized P&L", lambda f: output.gain(f.realized_pnl) if f.reduces else ""),
        ("order", lambda f: f.client_order_id),
    ))  # fmt: skip


def _fills_of_day(rows: Any, kind: type, where: dict[str, Any], day: date) -> list[Any]:
    from smabot.domain.calendar import EXCHANGE_ZONE, Calendar

    midnight = datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
    found = rows.rows(kind, where=where, since=("time", midnight), newest_by="time")
    trading_date = Calendar().trading_date
    return [record for record in found if trading_date(record.time) == day]
