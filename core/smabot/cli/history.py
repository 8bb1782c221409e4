"""The verbs that list what happened: `orders`, `trades`, `signals`."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output

if TYPE_CHECKING:
    from datetime import date

    from smabot.cli.app import App

ON_SCREEN = 20

_symbol = click.option("--symbol", metavar="SYMBOL", help="Of this symbol only.")
_limit = click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000_000),
    metavar="N",
    help=f"The newest N only. [{ON_SCREEN} on the screen, all with --json]",
)


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only orders that may still fill.")
@_symbol
@_limit
@click.pass_obj
def orders(app: App, only_open: bool, symbol: str | None, limit: int | None) -> None:
    """List orders, the newest last."""
    from smabot.domain.records import OPEN, Order

    where = _where(symbol) | ({"status": OPEN} if only_open else {})
    with app.rows() as rows:
        found = _newest(app, rows, Order, "created_at", where, limit)
    _show(app, "orders", found, limit, (
        ("time", lambda o: output.iso(o.created_at)),
        ("strategy", lambda o: o.strategy),
        ("symbol", lambda o: o.symbol),
        ("side", lambda o: o.side.value),
        (">qty", lambda o: output.number(o.qty)),
        ("type", lambda o: o.type.value),
        (">limit", lambda o: output.money(o.limit_price)),
        ("status", lambda o: output.order_status(o)),
        (">filled", lambda o: output.number(o.filled_qty)),
        (">price", lambda o: output.money(o.filled_avg_price)),
        ("reason", lambda o: o.reason),
    ))  # fmt: skip


@click.command()
@_symbol
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Of this New York trading date only.",
)
@_limit
@click.pass_obj
def trades(app: App, symbol: str | None, day: datetime | None, limit: int | None) -> None:
    """List fills, the newest last."""
    from smabot.domain.records import Fill

    with app.rows() as rows:
        if day is None:
            found = _newest(app, rows, Fill, "time", _where(symbol), limit)
        else:
            found = _of_day(rows, Fill, _where(symbol), day.date())[-limit if limit else None :]
    _show(app, "trades", found, limit if day is None else len(found) or 1, (
        ("time", lambda f: output.iso(f.time)),
        ("strategy", lambda f: f.strategy),
        ("symbol", lambda f: f.symbol),
        ("side", lambda f: f.side.value),
        (">qty", lambda f: output.number(f.qty)),
        (">price", lambda f: output.money(f.price)),
        (">realized P&L", lambda f: output.gain(f.realized_pnl) if f.reduces else ""),
        ("order", lambda f: f.client_order_id),
    ))  # fmt: skip


@click.command()
@_symbol
@_limit
@click.pass_obj
def signals(app: App, symbol: str | None, limit: int | None) -> None:
    """List the strategies' signals, the newest last."""
    from smabot.domain.records import Signal

    with app.rows() as rows:
        found = _newest(app, rows, Signal, "bar_time", _where(symbol), limit)
    _show(app, "signals", found, limit, (
        ("bar", lambda s: output.iso(s.bar_time)),
        ("strategy", lambda s: s.strategy),
        ("symbol", lambda s: s.symbol),
        ("signal", lambda s: s.label),
        (">target", lambda s: s.target),
        (">price", lambda s: f"{s.price:,.2f}"),
        ("missed", lambda s: "missed" if s.missed else ""),
        ("reason", lambda s: s.reason),
    ))  # fmt: skip


def _where(symbol: str | None) -> dict[str, Any]:
    return {} if symbol is None else {"symbol": symbol.upper()}


def _newest(
    app: App, rows: Any, kind: type, by: str, where: dict[str, Any], limit: int | None
) -> list[Any]:
    """Return the newest records; on the screen one more than is shown, to tell that there are more."""
    if limit is None and not app.as_json:
        limit = ON_SCREEN + 1
    return list(rows.rows(kind, where=where, newest_by=by, limit=limit))


def _of_day(rows: Any, kind: type, where: dict[str, Any], day: date) -> list[Any]:
    from smabot.domain.calendar import EXCHANGE_ZONE, Calendar

    midnight = datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
    found = rows.rows(kind, where=where, since=("time", midnight), newest_by="time")
    trading_date = Calendar().trading_date
    return [record for record in found if trading_date(record.time) == day]


def _show(
    app: App, name: str, found: list[Any], limit: int | None, columns: output.Columns
) -> None:
    shown, more = found, limit is None and not app.as_json and len(found) > ON_SCREEN
    if more:
        shown = found[-ON_SCREEN:]
    note = [f"the newest {ON_SCREEN}; --limit N shows more"] if more else []
    app.emit({name: found}, [output.listing(columns, shown), *note] if found else f"no {name}")
