"""`smabot explain`: why an order was made, and why none was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.records.time_arguments import TimeArgument, TypedTime
from smabot.errors import UsageError, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.argument("what", metavar="ORDER|SYMBOL")
@click.option("--strategy", metavar="NAME", help="This strategy only.")
@click.option(
    "--date", type=TimeArgument(days=True), metavar="DATE",
    help="All signals of this New York trading date: 2026-03-02, or today, the newest one there is.",
)  # fmt: skip
@click.option(
    "--at", type=TimeArgument(), metavar="TIME",
    help="This minute: why it had an order, or none (10:31, or 2026-03-02T10:31).",
)  # fmt: skip
@click.pass_obj
def explain(
    app: App, what: str, strategy: str | None, date: TypedTime | None, at: TypedTime | None
) -> None:
    """Show why an order was made, or why none was.

    ORDER is an id, or a part that no other order has: its bar, signal, size, checks, sending, fills and
    P&L. SYMBOL shows what is wanted of it, what is held, why they differ, and the last signal's story;
    a --date all signals of a day, and --at one minute.
    """
    with app.rows(app.journal_plugins()) as rows:
        data, screen = _explained(app, rows, what, strategy, date, at)
    app.emit(data, screen)


def _explained(
    app: App,
    rows: Any,
    what: str,
    strategy: str | None,
    date: TypedTime | None,
    at: TypedTime | None,
) -> tuple[dict[str, Any], list[Any]]:
    from smabot.cli.explanation import order_view, symbol_view
    from smabot.cli.explanation.holding_facts import holdings_in
    from smabot.cli.records.order_ids import find_order

    symbol = what.strip().upper()
    holdings = holdings_in(rows, symbol)
    if not holdings and _is_order(symbol):
        if strategy or date or at:
            raise UsageError(
                "--strategy, --date and --at are for a symbol: give none with an order"
            )
        return order_view.explained(app.times, rows, find_order(rows, what))
    if not holdings:
        _require_symbol(rows, symbol)
    if strategy is not None:
        names = [name for name, _ in holdings]
        holdings = [each for each in holdings if each[0] == strategy]
        if not holdings:
            hint = suggest(strategy, names) or f": these have: {', '.join(names) or 'none'}"
            raise UsageError(f"strategy '{strategy}' has no signal of {symbol}{hint}")
    if at is not None:
        return symbol_view.explained_at(app, rows, symbol, holdings, date, at)
    if date is not None:
        return symbol_view.explained_day(app, rows, symbol, holdings, date)
    return symbol_view.explained(app.times, rows, symbol, holdings)


def _is_order(text: str) -> bool:
    """Whether a text is an order's id, or a part of one, rather than a symbol."""
    return any(letter.isdigit() for letter in text) or "-" in text


def _require_symbol(rows: Any, symbol: str) -> None:
    """Raise UsageError for a symbol that the database knows nothing of."""
    from smabot.cli.explanation.holding_facts import known_symbols

    known = known_symbols(rows)
    if symbol not in known:
        hint = suggest(symbol, known) or ": `smabot signals` and `smabot orders` list what there is"
        raise UsageError(f"there is no symbol or order '{symbol}'{hint}")
