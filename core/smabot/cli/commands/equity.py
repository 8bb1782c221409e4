"""`smabot equity`: the equity curve, its return and largest drawdown."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from smabot.cli import output

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.records import Adjustment, EquityPoint

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
    """Show the equity curve: its points, return and largest drawdown.

    Deposits and withdrawals that `reconcile` accepted change equity, and count neither as return nor as
    drawdown.
    """
    from smabot.domain.records import Adjustment, EquityPoint

    with app.rows() as rows:
        points = rows.rows(EquityPoint)
        adjustments = rows.rows(Adjustment, newest_by="time")
    if not points:
        app.emit({"points": []}, "no equity yet")
        return
    start, end = points[0], points[-1]
    own = without_deposits(points, adjustments)
    gained = (own[-1] - start.equity) / start.equity if start.equity else None
    fell = drawdown(own)
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


def without_deposits(
    points: Sequence[EquityPoint], adjustments: Sequence[Adjustment]
) -> list[Decimal]:
    """Return the points' equity less the deposits since the first point; both oldest first."""
    later = [each for each in reversed(adjustments) if each.time > points[0].time]
    own, came = [], ZERO
    for point in points:
        while later and later[-1].time <= point.time:
            came += later.pop().from_outside
        own.append(point.equity - came)
    return own


def drawdown(equities: Sequence[Decimal]) -> Decimal:
    """Return the largest fall from a peak, as a fraction of the peak."""
    peak, largest = ZERO, ZERO
    for equity in equities:
        peak = max(peak, equity)
        if peak > 0:
            largest = max(largest, (peak - equity) / peak)
    return largest
