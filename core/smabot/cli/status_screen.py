"""The screen of `smabot status`: what matters first, in 80 columns, and reasons on lines of their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smabot.cli import output
from smabot.cli.market_time import span_text
from smabot.cli.output import gain, money, number, price
from smabot.cli.status_data import totals

if TYPE_CHECKING:
    from smabot.cli.status_data import BotStatus, HeldPosition
    from smabot.cli.times import Times
    from smabot.domain.bot_records import Block, Command, Run

SIGNALS_ON_SCREEN = 10
OUTCOMES = {
    "ended": "ended with the data",
    "until": "ended at --until",
    "stopped": "was stopped",
    "flat": "closed all positions",
    "not flat": "could not close all positions",
}


def status_parts(status: BotStatus, times: Times) -> list[Any]:
    """Return lines and tables, one below the other."""
    return [
        output.table(("", ""), _summary(status, times), heads=False),
        *_positions(status),
        *output.stale_price_lines(status.book, times),
        *_open_orders(status, times),
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
        ("last bar", _bar_line(status, times)),
        ("market", _market_line(status, times)),
        *_connection_lines(status, times),
        ("equity", _equity_line(status)),
        ("day P&L", _day_line(status)),
        ("P&L", _pnl_line(status)),
        *status.described,
    ]
    return [(title, times.in_text(text)) for title, text in lines]


def _bot_line(last: Run | None, *, running: bool, times: Times) -> str:
    if last is None:
        return "is starting" if running else "has never run"
    if running:
        ready = f", ready in {last.ready_ms:,.0f} ms" if last.ready_ms is not None else ", starting"
        return f"running, pid {last.pid}, since {times.full(last.started_at)}{ready}"
    if last.ended_at is None:
        return f"not running; the last run (pid {last.pid}) was killed: start it again to resume"
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


def _bar_line(status: BotStatus, times: Times) -> str:
    if status.last_bar is None:
        return "none"
    end = status.last_bar + timedelta(minutes=1)
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
    sums = totals(status)
    rows = [_position_row(each) for each in held]
    if len(held) > 1:
        rows.append(
            [
                "total",
                "",
                "",
                "",
                "",
                money(sums["market_value"]),
                gain(sums["unrealized_pnl"]),
                _percent(sums["equity_fraction"]),
            ]
        )
    titles = ("strategy", "symbol", ">qty", ">average", ">last", ">value", ">unrealized", ">equity")
    return ["", "positions", output.table(titles, rows)]


def _position_row(held: HeldPosition) -> list[str]:
    return [
        held.strategy, held.symbol, number(held.qty), price(held.avg_price), price(held.price),
        money(held.market_value), gain(held.unrealized_pnl), _percent(held.equity_fraction),
    ]  # fmt: skip


def _percent(fraction: Decimal | None) -> str:
    return "" if fraction is None else f"{fraction:.1%}"


def _open_orders(status: BotStatus, times: Times) -> list[Any]:
    orders = status.book.open_orders()
    if not orders:
        return ["", "open orders: none"]
    title, at = times.column(orders, lambda o: o.created_at)
    rows = [
        [at(o), o.strategy, o.symbol, o.side.value, number(o.qty), number(o.filled_qty), o.status.value]
        for o in orders
    ]  # fmt: skip
    titles = (title, "strategy", "symbol", "side", ">qty", ">filled", "status")
    return ["", "open orders", output.table(titles, rows)]


def _pending(status: BotStatus, times: Times) -> list[Any]:
    """What is still to be traded: exits that are not ordered yet, and orders that may still fill."""
    if not status.pending:
        return ["", "pending: nothing"]
    market, session = status.market, status.market.session
    when = "" if status.running else ", when the bot runs again"
    if session is not None and not market.is_open:
        when = f", at the open of {times.full(session.open)}{when}"
    lines = ["", f"pending{when}"]
    for each in status.pending:
        of = f"for {each.strategy}" if each.strategy else "of no strategy"
        lines.append(f"  {each.side} {number(each.qty)} {each.symbol} {of}")
        lines.append(f"    {times.in_text(each.why)}")
    return lines


def _signals(status: BotStatus, times: Times) -> list[Any]:
    if not status.signals:
        return ["", "last signals: none"]
    shown = status.signals[-SIGNALS_ON_SCREEN:]
    title, at = times.column(shown, lambda s: s.state.bar_time + timedelta(minutes=1))
    titles = (title, "strategy", "symbol", "signal", ">held", "")
    rows = [
        [at(s), s.state.strategy, s.state.symbol, s.state.last_signal, number(s.held),
         "not as wanted" if s.why else ""]
        for s in shown
    ]  # fmt: skip
    whys = [
        f"  {s.state.symbol} of {s.state.strategy or 'no strategy'}: {times.in_text(s.why)}"
        for s in shown
        if s.why
    ]
    left_out = len(status.signals) - len(shown)
    more = [f"the newest {len(shown)} of {len(status.signals):,}"] if left_out else []
    return ["", "last signals", output.table(titles, rows), *more, *whys]
