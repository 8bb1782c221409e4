"""What `smabot status` knows: read from the database alone, and nothing is asked of the broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smabot.cli.records.order_outcome import failed_checks
from smabot.cli.restored_book import restored_book
from smabot.cli.start_steps import read_steps
from smabot.cli.status.connection_state import ConnectionState, connection_states
from smabot.cli.status.day_change import DayChange, day_change
from smabot.cli.status.market_time import MarketTime, market_time, started_at
from smabot.cli.status.pending_work import (
    Pending,
    order_of,
    pending_work,
    why_not_as_wanted,
)
from smabot.cli.status.unattended_position import why_unattended

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.domain.book import Book
    from smabot.domain.bot_records import Block, Command, Run
    from smabot.domain.records import Order, Position, SignalState

RUNS = 5
"""The newest runs, of which one says whether the market follows the wall clock."""
FRACTION = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """A position at its last price, in US dollars; None where the symbol had no price yet."""

    strategy: str
    symbol: str
    qty: Decimal
    avg_price: Decimal
    price: Decimal | None
    priced_at: datetime | None
    market_value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal
    equity_fraction: Decimal | None
    unattended: str
    """Why no bot closes it; empty where its strategy is part of the last run."""


@dataclass(frozen=True, slots=True)
class LastSignal:
    """A strategy's last signal, what is held of it, and why that is not as wanted."""

    state: SignalState
    held: Decimal
    why: str
    order: Order | None
    """The newest order that it led to, where the position is not as wanted."""
    time: datetime
    """When it was given: its bar's end, or the time of the operator's `flatten`."""


@dataclass(frozen=True, slots=True)
class BotStatus:
    """All of it, at one time of the wall clock."""

    wall: datetime
    running: bool
    last_run: Run | None
    waiting: Sequence[Command]
    book: Book
    last_bar: datetime | None
    """The start of the newest bar, UTC."""
    market: MarketTime
    connections: dict[str, ConnectionState]
    """Of the running bot; empty where none runs."""
    day: DayChange | None
    positions: Sequence[HeldPosition]
    signals: Sequence[LastSignal]
    pending: Sequence[Pending]
    described: Sequence[tuple[str, str]]
    """The plugins' lines: their titles and texts."""
    plugin_files: dict[str, str]
    """By name, the files of the last run's plugins that the settings do not name now."""

    @property
    def blocks(self) -> list[Block]:
        """What blocks orders besides a halt."""
        from smabot.domain.bot_records import HALT

        return [block for block in self.book.blocking() if block.plugin != HALT]


def read_status(app: App) -> BotStatus:
    """Read the status from the database. Raises ConfigError, JournalError."""
    from smabot.domain.bot_records import Command, Run
    from smabot.domain.coming_sessions import kept_sessions

    wall = app.wall()
    with app.rows() as rows:
        book = restored_book(app, rows)
        book.calendar = kept_sessions(book)
        runs = rows.rows(Run, newest_by="run_id", limit=RUNS)[::-1]
        last = runs[0] if runs else None
        running = rows.in_use()
        market = market_time(runs, book.now, wall, book.calendar)
        started = started_at(last) if last is not None and running else None
        return BotStatus(
            wall=wall,
            running=running,
            last_run=last,
            waiting=rows.rows(Command, where={"applied_at": None}),
            book=book,
            last_bar=rows.newest_bar(),
            market=market,
            connections=connection_states(rows, started) if started is not None else {},
            day=day_change(book, rows),
            positions=[
                _held(book, each, why_unattended(book, each, last, running=running))
                for each in book.positions.values()
                if each.qty
            ],
            signals=_last_signals(book, rows, market),
            pending=pending_work(book, market),
            described=_described(app, book, last),
            plugin_files=app.unnamed_files(),
        )


def as_json(status: BotStatus) -> dict[str, Any]:
    """Return the status for ``--json``: exact values, UTC times, and structures instead of texts."""
    book, last, market, day = status.book, status.last_run, status.market, status.day
    run = None if last is None else {**asdict(last), "startup": read_steps(last)}
    bar_end = _bar_end(status)
    session = market.session
    return {
        "running": status.running,
        "pid": last.pid if last else None,
        "last_run": run,
        "halted": book.halted or None,
        "waiting": status.waiting,
        "blocks": status.blocks,
        "corporate_actions": book.splits.open(),
        "last_bar": status.last_bar,
        "equity": book.point,
        "positions": status.positions,
        "open_orders": [_order(each) for each in book.open_orders()],
        "signals": [_signal(each) for each in status.signals],
        "plugins": dict(status.described),
        "plugin_files": status.plugin_files,
        "time": status.wall,
        "market": {
            "follows_wall_clock": market.follows_wall,
            "time": market.now,
            "open": market.is_open if session else None,
            "session": session,
        },
        "last_bar_age_seconds": (
            int((market.now - bar_end).total_seconds())
            if bar_end is not None and market.follows_wall
            else None
        ),
        "connections": {name: asdict(each) for name, each in status.connections.items()},
        "day": None if day is None else {**asdict(day), "fraction": _rounded(day.fraction)},
        "totals": totals(status),
        "pending": status.pending,
    }


def totals(status: BotStatus) -> dict[str, Decimal | None]:
    """Return the sums over all positions; realized is since the database was created."""
    values = [each.market_value for each in status.positions]
    gains = [each.unrealized_pnl for each in status.positions]
    market_value = None if None in values else sum((v for v in values if v is not None), Decimal(0))
    unrealized = None if None in gains else sum((g for g in gains if g is not None), Decimal(0))
    return {
        "market_value": market_value,
        "unrealized_pnl": unrealized,
        "realized_pnl": status.book.realized_pnl(),
        "equity_fraction": _part(market_value, status.book),
    }


def _bar_end(status: BotStatus) -> datetime | None:
    from smabot.domain.calendar import MINUTE

    return None if status.last_bar is None else status.last_bar + MINUTE


def _held(book: Book, position: Position, unattended: str) -> HeldPosition:
    price = book.price(position.symbol)
    value = None if price is None else position.qty * price
    sign = 1 if position.qty > 0 else -1
    return HeldPosition(
        position.strategy, position.symbol, position.qty, position.avg_price, price,
        book.priced_at(position.symbol), value,
        None if value is None else value - position.cost * sign,
        position.realized_pnl, _part(value, book), unattended,
    )  # fmt: skip


def _part(value: Decimal | None, book: Book) -> Decimal | None:
    """Return what part of equity a value is; None where either is not known."""
    equity = book.equity()
    return _rounded(value / equity) if value is not None and equity > 0 else None


def _rounded(fraction: Decimal | None) -> Decimal | None:
    return None if fraction is None else fraction.quantize(FRACTION)


def _last_signals(book: Book, rows: Any, market: MarketTime) -> list[LastSignal]:
    """Return the last signals, the newest last."""
    from smabot.cli.records.target_times import read_flattens, target_time

    flattens = read_flattens(rows, book.signals.values())
    found = [
        _last_signal(book, rows, state, market, target_time(state, flattens))
        for state in book.signals.values()
    ]
    return sorted(found, key=lambda each: (each.time, each.state.strategy, each.state.symbol))


def _last_signal(
    book: Book, rows: Any, state: SignalState, market: MarketTime, time: datetime
) -> LastSignal:
    why = why_not_as_wanted(book, rows, state, market)
    order = order_of(book, rows, state) if why else None
    return LastSignal(state, book.holding(state.strategy, state.symbol), why, order, time)


def _signal(each: LastSignal) -> dict[str, Any]:
    order = each.order
    return {
        **asdict(each.state),
        "time": each.time,
        "why": each.why,
        "held": each.held,
        "order": order.client_order_id if order else None,
        "failed_checks": [asdict(check) for check in failed_checks(order)] if order else [],
    }


def _order(order: Order) -> dict[str, Any]:
    from smabot.domain.risk_answers import read_checks

    checks = [asdict(check) for check in read_checks(order.checks)]
    return {**asdict(order), "risk_checks": checks}


def _described(app: App, book: Book, last: Run | None) -> list[tuple[str, str]]:
    """Return the plugins' lines; of one that the last run was without it is said."""
    ran = last.plugins.split(",") if last is not None else None
    lines = []
    for name, (title, text) in app.plugins().described(book):
        absent = ran is not None and name not in ran
        lines.append((title, f"NOT PART OF THE LAST RUN; {text}" if absent else text))
    return lines
