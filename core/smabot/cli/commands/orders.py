"""`smabot orders`: lists orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from smabot.cli.app import App


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only orders that may still fill.")
@SYMBOL_OPTION
@LIMIT_OPTION
@click.pass_obj
def orders(app: App, only_open: bool, symbol: str | None, limit: int | None) -> None:
    """List orders, the newest last."""
    from smabot.domain.order_terms import OPEN
    from smabot.domain.records import Order

    where = where_symbol(symbol) | ({"status": OPEN} if only_open else {})
    with app.rows() as rows:
        found = newest_rows(app, rows, Order, "created_at", where, limit)
    show_rows(app, "orders", found, limit, (
        ("time", lambda o: output.iso(o.created_at)),
        ("strategy", lambda o: o.strategy),
        ("symbol", lambda o: o.symbol),
        ("side", lambda o: o.side.value),
        (">qty", lambda o: output.number(o.qty)),
        ("type", lambda o: o.type.value),
        (">limit", lambda o: output.money(o.limit_price)),
        ("status", lambda o: output.order_status(o, app.times)),
        (">filled", lambda o: output.number(o.filled_qty)),
        (">price", lambda o: output.money(o.filled_avg_price)),
        ("reason", lambda o: o.reason),
    ))  # fmt: skip
