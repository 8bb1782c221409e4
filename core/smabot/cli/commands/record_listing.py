"""What `orders`, `trades` and `signals` share: their options, the newest rows, and the listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output

if TYPE_CHECKING:
    from smabot.cli.app import App

ON_SCREEN = 20

SYMBOL_OPTION = click.option("--symbol", metavar="SYMBOL", help="This symbol only.")
LIMIT_OPTION = click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000_000),
    metavar="N",
    help=f"The newest N only. [{ON_SCREEN} on the screen, all with --json]",
)


def where_symbol(symbol: str | None) -> dict[str, Any]:
    return {} if symbol is None else {"symbol": symbol.upper()}


def newest_rows(
    app: App, rows: Any, kind: type, by: str, where: dict[str, Any], limit: int | None
) -> list[Any]:
    """Return the newest records; on the screen one more than is shown, to tell that there are more."""
    if limit is None and not app.as_json:
        limit = ON_SCREEN + 1
    return list(rows.rows(kind, where=where, newest_by=by, limit=limit))


def show_rows(
    app: App, name: str, found: list[Any], limit: int | None, columns: output.Columns
) -> None:
    shown, more = found, limit is None and not app.as_json and len(found) > ON_SCREEN
    if more:
        shown = found[-ON_SCREEN:]
    note = [f"the newest {ON_SCREEN}; --limit N shows more"] if more else []
    app.emit({name: found}, [output.listing(columns, shown), *note] if found else f"no {name}")
