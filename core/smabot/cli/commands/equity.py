"""`smabot equity`: the equity curve, its return and largest drawdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.records.record_filters import Filters, filtered
from smabot.cli.records.record_listing import cut_for_screen, limit_of, lines_below

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.records.equity_history import CurveSummary, EquityDay
    from smabot.cli.records.listing import Listing
    from smabot.domain.records import EquityPoint


@click.command()
@click.option(
    "--points", "each_point", is_flag=True, help="Each point, instead of each day's last."
)
@click.pass_obj
@filtered(limit=limit_of("days or points"), names=False)
def equity(app: App, each_point: bool, filters: Filters) -> None:
    """Show the equity curve by day, its return and largest drawdown.

    Return and drawdown count from the last point before those asked for, so that a day's return is that
    of its change; the first day of all counts from its first point. Deposits and withdrawals that
    `reconcile` accepted change equity, and count neither as return nor as drawdown. JSON and CSV have
    all points.
    """
    from smabot.cli.records.equity_history import (
        CurveSummary,
        equity_days,
        no_equity,
        point_before,
        points,
    )
    from smabot.domain.records import EquityPoint
    from smabot.domain.unearned_changes import outside_changes

    keeping = app.as_json or filters.as_csv
    kept: list[EquityPoint] = []
    with app.rows() as rows:
        span = filters.span(app, rows)
        outside = outside_changes(rows)
        days = equity_days(rows, span, outside)
        curve = CurveSummary(outside, point_before(rows, span))
        for point in points(rows, span):
            curve.take(point)
            if keeping or each_point:
                kept.append(point)
        missing = "" if curve.last else no_equity(rows)
    if filters.as_csv:
        output.print_csv(EquityPoint, kept[-filters.limit if filters.limit else 0 :])
        return
    if missing:
        app.emit({"points": []}, [missing, *lines_below(span.notes)])
        return
    if app.as_json:
        app.emit(_document(curve, kept[-filters.limit if filters.limit else 0 :], days), "")
        return
    shown: list[Any] = list(kept if each_point else days)
    shown, more = cut_for_screen(filters, shown[-filters.limit if filters.limit else 0 :])
    listed = _point_listing(app, shown) if each_point else _day_listing(shown)
    app.emit({}, [listed, *more, *lines_below(span.notes), *_summary(app, curve)])


def _document(
    curve: CurveSummary, shown: list[EquityPoint], days: list[EquityDay]
) -> dict[str, Any]:
    assert curve.begin is not None
    assert curve.last is not None
    return {
        "start": {"time": curve.begin.time, "equity": curve.begin.equity},
        "end": {"time": curve.last.time, "equity": curve.last.equity},
        "return": curve.gained, "max_drawdown": curve.drawdown,
        "drawdown_from": curve.fell_from, "drawdown_to": curve.fell_to,
        "points": shown,
        "days": [
            {
                "day": each.day, "equity": each.end.equity, "change": each.change,
                "deposits": each.deposits,
            }
            for each in days
        ],
    }  # fmt: skip


def _day_listing(days: list[EquityDay]) -> Listing:
    from smabot.cli.records.listing import Listing

    moved = any(each.deposits for each in days)
    deposits = [(">deposits", lambda d: output.gain(d.deposits) if d.deposits else "")]
    columns: output.Columns = (
        ("day", lambda d: d.day.isoformat()),
        (">equity", lambda d: output.money(d.end.equity)),
        (">change", lambda d: output.gain(d.change)),
        *(deposits if moved else []),
        (">cash", lambda d: output.money(d.end.cash)),
        (">positions", lambda d: output.money(d.end.positions_value)),
    )
    return Listing(columns, days)


def _point_listing(app: App, points: list[EquityPoint]) -> Listing:
    from smabot.cli.records.listing import Listing

    columns: output.Columns = (
        app.times.column(points, lambda p: p.time),
        (">equity", lambda p: output.money(p.equity)),
        (">cash", lambda p: output.money(p.cash)),
        (">positions", lambda p: output.money(p.positions_value)),
        (">realized P&L", lambda p: output.gain(p.realized_pnl)),
    )
    return Listing(columns, points)


def _summary(app: App, curve: CurveSummary) -> list[str]:
    assert curve.begin is not None
    assert curve.last is not None
    full, gained = app.times.full, curve.gained
    fell = f"{curve.drawdown:.2%}"
    if curve.drawdown:
        fell += f", {full(curve.fell_from)} to {full(curve.fell_to)}"
    return [
        f"start     {output.money(curve.begin.equity)} at {full(curve.begin.time)}",
        f"end       {output.money(curve.last.equity)} at {full(curve.last.time)}",
        f"return    {'' if gained is None else f'{gained:+.2%}'} over {curve.count:,} point{'' if curve.count == 1 else 's'}",
        f"drawdown  {fell}",
    ]
