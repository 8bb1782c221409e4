"""`smabot status`: whether the bot runs, what it holds, what blocks it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from smabot.cli import output
from smabot.cli.output import Columns
from smabot.cli.restored_book import restored_book

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.domain.bot_records import Block, Command, Run
    from smabot.domain.records import Position, SignalState

SIGNALS_ON_SCREEN = 10
OUTCOMES = {
    "ended": "ended with the data",
    "until": "ended at --until",
    "stopped": "was stopped",
    "flat": "closed all positions",
    "not flat": "could not close all positions",
}

POSITIONS: Columns = (
    ("strategy", lambda p: p["strategy"]),
    ("symbol", lambda p: p["symbol"]),
    (">qty", lambda p: output.number(p["qty"])),
    (">avg price", lambda p: output.money(p["avg_price"])),
    (">last price", lambda p: output.money(p["price"])),
    (">unrealized P&L", lambda p: output.gain(p["unrealized_pnl"])),
    (">realized P&L", lambda p: output.gain(p["realized_pnl"])),
)
ORDERS: Columns = (
    ("time", lambda o: output.iso(o.created_at)),
    ("strategy", lambda o: o.strategy),
    ("symbol", lambda o: o.symbol),
    ("side", lambda o: o.side.value),
    (">qty", lambda o: output.number(o.qty)),
    (">filled", lambda o: output.number(o.filled_qty)),
    ("status", lambda o: output.order_status(o)),
)
SIGNALS: Columns = (
    ("bar", lambda s: output.iso(s.bar_time)),
    ("strategy", lambda s: s.strategy),
    ("symbol", lambda s: s.symbol),
    ("signal", lambda s: s.last_signal),
    ("missed", lambda s: "missed" if s.missed else ""),
)
"""The screen adds ``why`` a position is not at its target, where it is not."""


@click.command()
@click.pass_obj
def status(app: App) -> None:
    """Show whether the bot runs, and what it holds.

    Positions at last prices, open orders, last signals, breaker and limits.
    """
    from smabot.domain.bot_records import Command, Run

    with app.rows() as rows:
        book = restored_book(app, rows)
        runs = rows.rows(Run, newest_by="started_at", limit=1)
        waiting = rows.rows(Command, where={"applied_at": None})
        running, bar_time = rows.in_use(), rows.newest_bar()
        states = sorted(book.signals.values(), key=lambda s: (s.bar_time, s.strategy, s.symbol))
        why = {state: _why(book, rows, state) for state in states}
    last = runs[0] if runs else None
    held = [position for position in book.positions.values() if position.qty]
    described, files = _described(app, book, last), app.unnamed_files()
    point = book.point
    data = {
        "running": running,
        "pid": last.pid if last else None,
        "last_run": last,
        "halted": book.halted or None,
        "waiting": waiting,
        "blocks": _others(book),
        "last_bar": bar_time,
        "equity": point,
        "positions": [_position(book, position) for position in held],
        "open_orders": book.open_orders(),
        "signals": [{**asdict(state), "why": why[state]} for state in states],
        "plugins": dict(described),
        "plugin_files": files,
    }
    lines = [
        ("bot", _run_line(last, running)),
        ("halted", output.halt_line(book)),
        *(("waiting", _waiting_line(command)) for command in waiting),
        *_block_lines(book, last.ignored_blocks.split(",") if last and running else ()),
        ("last bar", output.iso(bar_time) or "none"),
        (
            "equity",
            f"{output.money(point.equity)}, {output.money(point.cash)} of it cash, at {output.iso(point.time)}"
            if point
            else "not known yet",
        ),
        *described,
        *(
            (name, f"from {file}, not loaded: name it under plugins in the settings")
            for name, file in files.items()
        ),
    ]
    app.emit(
        data,
        [
            output.table(("", ""), lines, heads=False),
            *_section("positions", POSITIONS, [_position(book, p) for p in held]),
            *output.stale_price_lines(book),
            *_section("open orders", ORDERS, book.open_orders()),
            *_section(
                "last signals", (*SIGNALS, ("position", why.get)), states[-SIGNALS_ON_SCREEN:]
            ),
            *(
                [f"the newest {SIGNALS_ON_SCREEN} of {len(states):,}"]
                if len(states) > SIGNALS_ON_SCREEN
                else []
            ),
        ],
    )


def _why(book: Book, rows: Any, state: SignalState) -> str:
    """Return why a signal's position is not as it wants; empty where it is."""
    from smabot.domain.order_terms import Status
    from smabot.domain.records import Order

    held = book.holding(state.strategy, state.symbol)
    if (held != 0) == (state.target != 0):
        return ""
    order = book.latest_order(state.strategy, state.symbol)
    if order is None:
        where = {"strategy": state.strategy, "symbol": state.symbol}
        order = next(iter(rows.rows(Order, where=where, newest_by="created_at", limit=1)), None)
    not_yet = "missed while no bot ran" if state.missed else "no order was made for it"
    if order is None or order.bar_time < state.bar_time:
        return not_yet
    since = ", and the shares are gone since" if order.status is Status.FILLED else ""
    reason = f": {order.reason}" if order.reason else ""
    return f"its {order.side.value} is {output.order_status(order)}{since}{reason}"


def _described(app: App, book: Book, last: Run | None) -> list[tuple[str, str]]:
    """Return the plugins' lines; of one that the last run was without it is said."""
    ran = last.plugins.split(",") if last is not None else None
    lines = []
    for name, (title, text) in app.plugins().described(book):
        absent = ran is not None and name not in ran
        lines.append((title, f"NOT PART OF THE LAST RUN; {text}" if absent else text))
    return lines


def _waiting_line(command: Command) -> str:
    what = f"{command.verb} {command.argument}".rstrip()
    return f"{what}, of {output.iso(command.created_at)}: no bot has carried it out yet"


def _others(book: Book) -> list[Block]:
    """Return what blocks orders besides a halt."""
    from smabot.domain.bot_records import HALT

    return [block for block in book.blocking() if block.plugin != HALT]


def _block_lines(book: Book, ignored: Collection[str]) -> list[tuple[str, str]]:
    return [
        (
            "blocked",
            f"{'ENTRIES' if block.scope == 'entries' else 'ALL ORDERS'} by {block.plugin}: {block.reason}"
            + (f", until {output.iso(block.until)}" if block.until else "")
            + ("; IGNORED by this run" if block.plugin in ignored else ""),
        )
        for block in _others(book)
    ]


def _run_line(last: Run | None, running: bool) -> str:
    if last is None:
        return "is starting" if running else "has never run"
    if running:
        ready = f", ready in {last.ready_ms:,.0f} ms" if last.ready_ms is not None else ", starting"
        return f"running, pid {last.pid}, since {output.iso(last.started_at)}{ready}"
    if last.ended_at is None:
        return f"not running; the last run (pid {last.pid}) was killed: start it again to resume"
    how = OUTCOMES.get(last.outcome, f"failed ({last.outcome})")
    return f"not running; the last run {how} at {output.iso(last.ended_at)}"


def _position(book: Book, position: Position) -> dict[str, Any]:
    price = book.price(position.symbol)
    sign = 1 if position.qty > 0 else -1
    return {
        "strategy": position.strategy, "symbol": position.symbol, "qty": position.qty,
        "avg_price": position.avg_price, "price": price, "priced_at": book.priced_at(position.symbol),
        "unrealized_pnl": None if price is None else position.qty * price - position.cost * sign,
        "realized_pnl": position.realized_pnl,
    }  # fmt: skip


def _section(title: str, columns: Columns, records: Sequence[Any]) -> list[Any]:
    if not records:
        return ["", f"{title}: none"]
    return ["", title, output.listing(columns, records)]
