"""`smabot signals`: lists the signals of the strategies."""

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
@SYMBOL_OPTION
@LIMIT_OPTION
@click.pass_obj
def signals(app: App, symbol: str | None, limit: int | None) -> None:
    """List the strategies' signals, the newest last."""
    from smabot.domain.records import Signal

    with app.rows() as rows:
        found = newest_rows(app, rows, Signal, "bar_time", where_symbol(symbol), limit)
    show_rows(app, "signals", found, limit, (
        ("bar", lambda s: output.iso(s.bar_time)),
        ("strategy", lambda s: s.strategy),
        ("symbol", lambda s: s.symbol),
        ("signal", lambda s: s.label),
        (">target", lambda s: s.target),
        (">price", lambda s: f"{s.price:,.2f}"),
        ("missed", lambda s: "missed" if s.missed else ""),
        ("reason", lambda s: s.reason),
    ))  # fmt: skip
