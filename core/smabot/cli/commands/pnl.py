"""`smabot pnl`: realized profit and loss, and how often trades win."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.commands.trades import all_trips, still_open
from smabot.cli.records.record_filters import Filters, Span, filtered
from smabot.cli.records.record_listing import cut_for_screen, limit_of, lines_below
from smabot.errors import counted

if TYPE_CHECKING:
    from datetime import date

    from smabot.cli.app import App
    from smabot.cli.records.equity_history import EquityDay
    from smabot.cli.records.listing import Listing
    from smabot.domain.records import Adjustment, Fill
    from smabot.domain.round_trips import RoundTrip, TradeStatistics

ZERO = Decimal(0)
PERIODS = ("day", "week", "month", "year")
STATISTICS = ("round_trips", "wins", "losses", "win_rate", "profit_factor", "average_trade")
COUNTED = ("orders_filled", "fills", *STATISTICS, "realized_pnl")


@dataclass(slots=True)
class Group:
    """What belongs to one period, symbol or strategy."""

    orders_filled: int = 0
    fills: int = 0
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    trips: list[RoundTrip] = field(default_factory=list)
    equity_change: Decimal | None = None
    deposits: Decimal | None = None

    @property
    def statistics(self) -> TradeStatistics:
        from smabot.domain.round_trips import TradeStatistics

        return TradeStatistics.of(self.trips)


@click.command()
@click.option(
    "--by",
    type=click.Choice([*PERIODS, "symbol", "strategy"]),
    default="day",
    show_default=True,
    help="Group by trading date, ISO week, month, year, symbol or strategy.",
)
@click.pass_obj
@filtered(limit=limit_of("groups"))
def pnl(app: App, by: str, filters: Filters) -> None:
    """Show realized P&L, round trips, and how often they win.

    Days are New York trading dates. A trade is a round trip, from flat to flat, and counts when it is
    closed; a partial exit realizes P&L before. P&L is net of commissions and fees. Positions that others closed for the
    bot count when `reconcile` accepts them. The change of equity also has what is not realized, and no
    deposits or withdrawals.
    """
    from smabot.cli.records.equity_history import equity_days
    from smabot.domain.unearned_changes import outside_changes

    with app.rows() as rows:
        span = filters.span(app, rows)
        fills, adjustments, trips, still_held = all_trips(rows, filters, span.until)
        of_all = not (filters.symbols or filters.strategies)
        days = equity_days(rows, span, outside_changes(rows)) if of_all else []
    since = span.since
    fills = [fill for fill in fills if since is None or fill.time >= since]
    adjustments = [each for each in adjustments if since is None or each.time >= since]
    trips = [trip for trip in trips if since is None or trip.closed_at >= since]
    groups = grouped(fills, adjustments, trips, days if by in PERIODS else [], by)
    total = grouped(fills, adjustments, trips, days, "").get("", Group())
    found = _rows(groups, by, of_all)
    count = len(found)
    found = found[-filters.limit if filters.limit else 0 :]
    if filters.as_csv:
        output.print_csv(_fields(by), found)
    elif app.as_json:
        totals = _values(total) | _averages(total) | {"open_positions": still_held}
        app.emit({"by": by, "pnl": found, "totals": totals}, "")
    else:
        app.emit({}, _screen(by, found, count, total, still_held, filters, span))


def grouped(
    fills: Iterable[Fill],
    adjustments: Iterable[Adjustment],
    trips: Iterable[RoundTrip],
    days: Iterable[EquityDay],
    by: str,
) -> dict[str, Group]:
    """Sum what is given by New York period, symbol or strategy, or in all where ``by`` is empty.

    Groups are sorted by name. A day on which nothing happened has none.
    """
    from smabot.domain.calendar import new_york_date

    groups: dict[str, Group] = {}

    def group_of(row: Any, time: Any) -> Group:
        name = period_name(new_york_date(time), by) if by in PERIODS else getattr(row, by, "")
        return groups.setdefault(name, Group())

    for fill in fills:
        group = group_of(fill, fill.time)
        group.realized_pnl += fill.realized_pnl
        group.fees += fill.fees
        if fill.qty:
            group.orders_filled += fill.first
            group.fills += 1
    for each in adjustments:
        if each.realized_pnl:
            group_of(each, each.time).realized_pnl += each.realized_pnl
    for trip in trips:
        group_of(trip, trip.closed_at).trips.append(trip)
    for day in days:
        if day.change or day.deposits:
            name = period_name(day.day, by) if by else ""
            group = groups.setdefault(name, Group())
            group.equity_change = (group.equity_change or ZERO) + day.change
            group.deposits = (group.deposits or ZERO) + day.deposits
    return dict(sorted(groups.items()))


def period_name(day: date, by: str) -> str:
    """Return the period of a day as ISO 8601 writes it: 2026-03-02, 2026-W10, 2026-03, 2026."""
    if by == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    return day.isoformat()[: {"day": 10, "month": 7, "year": 4}[by]]


# -- as data ---------------------------------------------------------------------------------------


def _rows(groups: dict[str, Group], by: str, of_all: bool) -> list[dict[str, Any]]:
    """Return each group's values. ``trades`` is the old name of ``orders_filled``."""
    rows, total = [], ZERO
    for name, group in groups.items():
        total += group.realized_pnl
        row = {by: name, "trades": group.orders_filled, **_values(group)}
        if by in PERIODS:
            if of_all:
                group.equity_change = group.equity_change or ZERO
                group.deposits = group.deposits or ZERO
            row |= {
                "cumulative_pnl": total, "equity_change": group.equity_change,
                "deposits": group.deposits,
            }  # fmt: skip
        rows.append(row)
    return rows


def _fields(by: str) -> list[str]:
    of_periods = ["cumulative_pnl", "equity_change", "deposits"] if by in PERIODS else []
    return [by, *COUNTED, *of_periods, "fees"]


def _values(group: Group) -> dict[str, Any]:
    statistics = group.statistics
    found = {n: getattr(statistics if n in STATISTICS else group, n) for n in COUNTED}
    return {**found, "fees": group.fees}


def _averages(total: Group) -> dict[str, Any]:
    statistics = total.statistics
    return {
        "average_win": statistics.average_win, "average_loss": statistics.average_loss,
        "equity_change": total.equity_change, "deposits": total.deposits,
    }  # fmt: skip


# -- on the screen ---------------------------------------------------------------------------------


def _screen(
    by: str,
    found: list[dict[str, Any]],
    count: int,
    total: Group,
    still_held: int,
    filters: Filters,
    span: Span,
) -> list[Any]:
    shown, more = cut_for_screen(filters, found)
    if len(shown) < count:
        more.append(f"the totals are of all {_counted(count, by)}")
    below = [*more, *lines_below(span.notes)]
    if not found:
        return ["no fills", *below, *still_open(still_held)]
    return [_listing(by, shown), *below, *_totals(total), *still_open(still_held)]


def _listing(by: str, rows: list[dict[str, Any]]) -> Listing:
    from smabot.cli.records.listing import Listing

    def gain(name: str) -> tuple[str, Callable[[Any], Any]]:
        titles = {
            "realized_pnl": ">realized", "cumulative_pnl": ">cumulative",
            "equity_change": ">equity change", "deposits": ">deposits",
        }  # fmt: skip
        return titles[name], lambda r: output.gain(r[name])

    columns: list[tuple[str, Callable[[Any], Any]]] = [
        (by, lambda r: r[by] or "none"),
        (">trades", lambda r: r["round_trips"]),
        (">won", lambda r: r["wins"]),
        (">fills", lambda r: r["fills"]),
        gain("realized_pnl"),
    ]
    if any(row["fees"] for row in rows):
        columns.append((">fees", lambda r: output.money(r["fees"])))
    if by in PERIODS:
        columns.append(gain("cumulative_pnl"))
        if any(row["equity_change"] is not None for row in rows):
            columns.append(gain("equity_change"))
        if any(row["deposits"] for row in rows):
            columns.append(gain("deposits"))
    else:
        columns += [
            (">win rate", lambda r: percent(r["win_rate"])),
            (">profit factor", lambda r: factor(r["profit_factor"])),
            (">average", lambda r: output.gain(r["average_trade"]) or "-"),
        ]
    return Listing(columns, rows)


def _totals(total: Group) -> list[str]:
    all_of_it = total.statistics
    trades = [
        f"{counted(all_of_it.round_trips, 'trade')}",
        f"win rate {percent(all_of_it.win_rate)}",
        f"profit factor {factor(all_of_it.profit_factor)}",
    ]
    averages = [
        f"average trade {output.gain(all_of_it.average_trade) or '-'}",
        f"win {output.gain(all_of_it.average_win) or '-'}",
        f"loss {output.gain(all_of_it.average_loss) or '-'}",
    ]
    charged = f" after fees of {output.money(total.fees)}" if total.fees else ""
    lines = [f"realized  {output.gain(total.realized_pnl)}{charged}"]
    if total.equity_change is not None:
        moved = f", {output.gain(total.deposits)} deposited" if total.deposits else ""
        lines.append(f"equity    {output.gain(total.equity_change)}{moved}")
    return [*lines, f"trades    {', '.join(trades)}", f"          {', '.join(averages)}"]


def _counted(groups: int, by: str) -> str:
    return f"{groups:,} strategies" if by == "strategy" else f"{groups:,} {by}s"


def percent(fraction: Decimal | None) -> str:
    return "-" if fraction is None else f"{fraction:.1%}"


def factor(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:,.2f}"
