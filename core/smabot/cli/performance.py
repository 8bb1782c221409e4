"""The verbs that tell how it went: `equity` and `pnl`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.records import EquityPoint, Fill

ZERO = Decimal(0)


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000_000),
    metavar="N",
    help="The newest N points only. [20 on the screen, all with --json]",
)
@click.pass_obj
def equity(app: App, limit: int | None) -> None:
    """Show the equity curve: its points, return and largest drawdown."""
    from smabot.records import EquityPoint

    with app.rows() as rows:
        points = rows.rows(EquityPoint)
    if not points:
        app.emit({"points": []}, "no equity yet")
        return
    start, end = points[0], points[-1]
    gained = (end.equity - start.equity) / start.equity if start.equity else None
    fell = drawdown(points)
    shown = points[-limit:] if limit else points if app.as_json else points[-20:]
    data = {
        "start": {"time": start.time, "equity": start.equity},
        "end": {"time": end.time, "equity": end.equity},
        "return": gained, "max_drawdown": fell, "points": shown,
    }  # fmt: skip
    listed = output.table(
        ("time", ">equity", ">cash", ">positions", ">realized P&L"),
        (
            (
                output.iso(p.time),
                *map(output.money, (p.equity, p.cash, p.positions_value)),
                output.gain(p.realized_pnl),
            )
            for p in shown
        ),
    )
    app.emit(data, [
        listed,
        f"start   {output.money(start.equity)} at {output.iso(start.time)}",
        f"end     {output.money(end.equity)} at {output.iso(end.time)}",
        f"return  {'' if gained is None else f'{gained:+.2%}'}, largest drawdown {fell:.2%}, {len(points):,} points",
    ])  # fmt: skip


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

    Days are New York trading dates. No fees are counted.
    """
    from smabot.records import Fill

    with app.rows() as rows:
        found = periods(rows.rows(Fill, newest_by="time"), by)
    listed = output.table(
        (by, ">trades", ">fills", ">realized P&L", ">cumulative"),
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


def drawdown(points: Sequence[EquityPoint]) -> Decimal:
    """Return the largest fall from a peak, as a fraction of the peak."""
    peak, largest = ZERO, ZERO
    for point in points:
        peak = max(peak, point.equity)
        if peak > 0:
            largest = max(largest, (peak - point.equity) / peak)
    return largest


def periods(fills: Sequence[Fill], by: str) -> list[dict[str, Any]]:
    """Sum fills, given in the order of their times, by New York trading date or month.

    ``trades`` counts orders by their first fill.
    """
    from smabot.calendar import Calendar

    trading_date = Calendar().trading_date
    sums: dict[str, dict[str, Any]] = {}
    total = ZERO
    for fill in fills:
        name = trading_date(fill.time).isoformat()[: 7 if by == "month" else 10]
        period = sums.setdefault(name, {by: name, "trades": 0, "fills": 0, "realized_pnl": ZERO})
        total += fill.realized_pnl
        period["trades"] += fill.first
        period["fills"] += 1
        period["realized_pnl"] += fill.realized_pnl
        period["cumulative_pnl"] = total
    return list(sums.values())
