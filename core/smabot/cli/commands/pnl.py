"""`smabot pnl`: realized profit and loss by day or month."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from heapq import merge
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.records import Adjustment, Fill

ZERO = Decimal(0)


@click.command()
@click.option(
    "--by",
    type=click.Choice(["day", "month"]),
    default="day",
    show_default=True,
    help="Group by New York trading date or month.",
)
@click.pass_obj
def pnl(app: App, by: str) -> None:
    """Show realized profit and loss by day or month.

    Days are New York trading dates. Fees are not counted. Positions that others closed for the bot count
    when `reconcile` accepts them.
    """
    from smabot.domain.records import Adjustment, Fill

    with app.rows() as rows:
        adjustments = rows.rows(Adjustment, newest_by="time")
        found = periods(rows.rows(Fill, newest_by="time"), adjustments, by)
    listed = output.table(
        (by, ">orders filled", ">fills", ">realized P&L", ">cumulative"),
        (
            (
                p[by],
                p["trades"],
                p["fills"],
                output.gain(p["realized_pnl"]),
                output.gain(p["cumulative_pnl"]),
            )
            for p in found
        ),
    )
    app.emit({"by": by, "pnl": found}, listed if found else "no trades")


def periods(
    fills: Sequence[Fill], adjustments: Sequence[Adjustment], by: str
) -> list[dict[str, Any]]:
    """Sum fills and adjustments, each oldest first, by New York trading date or month.

    ``trades`` counts orders by their first fill; an adjustment without P&L is none.
    """
    from smabot.domain.calendar import Calendar
    from smabot.domain.records import Fill

    trading_date = Calendar().trading_date
    sums: dict[str, dict[str, Any]] = {}
    total = ZERO
    realizing = [each for each in adjustments if each.realized_pnl]
    rows: Iterable[Fill | Adjustment] = merge(fills, realizing, key=lambda row: row.time)
    for row in rows:
        name = trading_date(row.time).isoformat()[: 7 if by == "month" else 10]
        period = sums.setdefault(name, {by: name, "trades": 0, "fills": 0, "realized_pnl": ZERO})
        total += row.realized_pnl
        if isinstance(row, Fill) and row.qty:
            period["trades"] += row.first
            period["fills"] += 1
        period["realized_pnl"] += row.realized_pnl
        period["cumulative_pnl"] = total
    return list(sums.values())
