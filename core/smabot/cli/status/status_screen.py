"""The screen of `smabot status`: what matters first, in 80 columns, and reasons on lines of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from smabot.cli import output
from smabot.cli.output import Columns, gain, money, number, price
from smabot.cli.records.listing import Listing
from smabot.cli.records.order_ids import short_id, short_ids_in
from smabot.cli.run_outcome import OUTCOMES, is_backtest
from smabot.cli.status.market_time import span_text
from smabot.cli.status.status_data import totals
from smabot.domain.calendar import MINUTE

if TYPE_CHECKING:
    from smabot.cli.status.status_data import BotStatus, HeldPosition
    from smabot.cli.times import Times
    from smabot.domain.bot_records import Block, Command, Run
    from smabot.domain.corporate_actions import CorporateAction

SIGNALS_ON_SCREEN = 10


def status_parts(status: BotStatus, times: Times) -> list[Any]:
    """Return lines and tables, one below the other."""
    return [
        output.table(("", ""), _summary(status, times), heads=False),
        *_positions(status),
        *output.stale_price_lines(status.book, times),
        *_pending(status, times),
        *_signals(status, times),
    ]


# -- the summary ---------------------------------------------------------------------------------------


def _summary(status: BotStatus, times: Times) -> list[tuple[str, str]]:
    last = status.last_run
    ignored = last.ignored_blocks.split(",") if last and status.running else ()
    lines = [
        ("bot", _bot_line(last, running=status.running, times=times)),
        ("halted", output.halt_line(status.book)),
        *(("waiting", _waiting_line(command, times)) for command in status.waiting),
        *(("blocked", _block_line(block, ignored, times)) for block in status.blocks),
        *(("split", _split_line(action, status)) for action in status.book.splits.open()),
        ("last bar", _bar_line(status, times)),
        ("market", _market_line(status, times)),
        *_connection_lines(status, times),
        ("equity", _equity_line(status)),
        ("day P&L", _day_line(status)),
        ("P&L", _pnl_line(status)),
        *status.described,
        *(
            (name, f"from {file}, not loaded: name it under plugins in the settings")
            for name, file in status.plugin_files.items()
        ),
    ]
    return [(title, short_ids_in(times.in_text(text))) for title, text in lines]


def _bot_line(last: Run | None, *, running: bool, times: Times) -> str:
    if last is None:
        return "is starting" if running else "has never run"
    if running:
        ready = f", ready in {last.ready_ms:,.0f} ms" if last.ready_ms is not None else ", starting"
        return f"running, pid {last.pid}, since {times.full(last.started_at)}{ready}"
    if last.ended_at is None:
        if is_backtest(last):
            return (
                f"none; a backtest (pid {last.pid}) was killed before its end: see `smabot report`"
            )
        return f"not running; the last run (pid {last.pid}) was killed: run it again"
    how = OUTCOMES.get(last.outcome, f"failed ({last.outcome})")
    return f"not running; the last run {how} at {times.full(last.ended_at)}"


def _waiting_line(command: Command, times: Times) -> str:
    what = f"{command.verb} {command.argument}".rstrip()
    return f"{what}, of {times.full(command.created_at)}: no bot has carried it out yet"


def _block_line(block: Block, ignored: Sequence[str], times: Times) -> str:
    until = f", until {times.full(block.until)}" if block.until else ""
    scope = "ENTRIES" if block.scope == "entries" else "ALL ORDERS"
    forced = "; IGNORED by this run" if block.plugin in ignored else ""
    return f"{scope} by {block.plugin}: {block.reason}{until}{forced}"


def _split_line(action: CorporateAction, status: BotStatus) -> str:
    if status.book.split_holds(action.symbol):
        return (
            f"the broker has not followed the {action.text}: nothing is traded in {action.symbol}"
        )
    return action.text


def _bar_line(status: BotStatus, times: Times) -> str:
    if status.last_bar is None:
        return "none"
    end = status.last_bar + MINUTE
    if status.market.follows_wall:
        return f"{times.full(end)}, {span_text(status.market.now - end)} ago"
    own_clock = status.market.follows_wall is False
    return times.full(end) + (", in a replayed market with its own clock" if own_clock else "")


def _market_line(status: BotStatus, times: Times) -> str:
    market, session = status.market, status.market.session
    if session is None:
        return "its next session is not known"
    if market.is_open:
        text, at = f"open, closes at {times.full(session.close)}", session.close
    else:
        text, at = f"closed, opens at {times.full(session.open)}", session.open
    return f"{text}, in {span_text(at - market.now)}" if market.follows_wall else text


def _connection_lines(status: BotStatus, times: Times) -> list[tuple[str, str]]:
    lines = []
    for name, state in status.connections.items():
        if not state.up:
            what = "DOWN" if name == "streams" else "REFUSED"
            lines.append((name, f"{what} since {times.full(state.since)}: {state.why}"))
        elif state.since_start:
            lines.append((name, "up since the bot started"))
        else:
            lines.append((name, f"up again since {times.full(state.since)}"))
    return lines


def _equity_line(status: BotStatus) -> str:
    point = status.book.point
    if point is None:
        return "not known yet"
    return f"{money(point.equity)}, {money(point.cash)} of it cash, {money(point.positions_value)} in positions"


def _day_line(status: BotStatus) -> str:
    day = status.day
    if day is None:
        return "not known yet"
    fraction = "" if day.fraction is None else f" ({day.fraction:+.2%})"
    return f"{gain(day.change)}{fraction} on {day.trading_date}, from {money(day.opening_equity)}"


def _pnl_line(status: BotStatus) -> str:
    sums = totals(status)
    unrealized = gain(sums["unrealized_pnl"]) or "not known: a position has no price"
    return f"unrealized {unrealized}, realized {gain(sums['realized_pnl'])}"


# -- the tables ----------------------------------------------------------------------------------------


def _positions(status: BotStatus) -> list[Any]:
    held = status.positions
    if not held:
        return ["", "positions: none"]
    rows = [(*_position_cells(each), each.unattended) for each in held]
    if len(held) > 1:
        rows.append((*_total_cells(totals(status)), ""))
    titles = ("strategy", "symbol", ">qty", ">average", ">last", ">value", ">unrealized", ">equity")
    columns = [(title, itemgetter(place)) for place, title in enumerate(titles)]
    return ["", "positions", Listing(columns, rows, notes=lambda row: row[-1:])]


def _position_cells(held: HeldPosition) -> tuple[str, ...]:
    return (
        held.strategy, held.symbol, number(held.qty), price(held.avg_price), price(held.price),
        money(held.market_value), gain(held.unrealized_pnl), _percent(held.equity_fraction),
    )  # fmt: skip


def _total_cells(sums: Mapping[str, Decimal | None]) -> tuple[str, ...]:
    value, unrealized = money(sums["market_value"]), gain(sums["unrealized_pnl"])
    return ("total", "", "", "", "", value, unrealized, _percent(sums["equity_fraction"]))


def _percent(fraction: Decimal | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


def _pending(status: BotStatus, times: Times) -> list[Any]:
    """Orders that may still fill, exits that are not ordered yet, and when the market takes them."""
    title = "open orders and exits"
    if not status.pending:
        return ["", f"{title}: none"]
    market, session = status.market, status.market.session
    if session is not None and not market.is_open:
        title += f", at the open of {times.full(session.open)}"
        title += "" if status.running else ", if the bot runs"
    elif not status.running:
        title += ", when the bot runs again"
    columns: Columns = (
        ("side", lambda p: p.side),
        (">qty", lambda p: number(p.qty)),
        ("symbol", lambda p: p.symbol),
        ("strategy", lambda p: p.strategy),
        ("order", lambda p: short_id(p.client_order_id) if p.client_order_id else "not made yet"),
    )
    whys = lambda p: [times.in_text(p.why)]  # noqa: E731
    return ["", title, Listing(columns, status.pending, notes=whys)]


def _signals(status: BotStatus, times: Times) -> list[Any]:
    if not status.signals:
        return ["", "last signals: none"]
    shown = status.signals[-SIGNALS_ON_SCREEN:]
    columns: Columns = (
        times.column(shown, lambda s: s.time),
        ("strategy", lambda s: s.state.strategy),
        ("symbol", lambda s: s.state.symbol),
        ("signal", lambda s: s.state.last_signal),
        (">held", lambda s: number(s.held)),
    )
    left_out = len(status.signals) > len(shown)
    more = [f"the newest {len(shown)} of {len(status.signals):,}"] if left_out else []
    return [
        "",
        "last signals",
        Listing(columns, shown, notes=lambda s: [times.in_text(s.why)]),
        *more,
    ]
