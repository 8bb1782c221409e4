"""The lines of a run: what a screen says of each record that was committed, and what JSON has of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smabot.cli.output import gain, money, price
from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import EquityPoint, Fill, Order, Signal
from smabot.errors import counted
from smabot.hooks.ports import Progress

ENDINGS = (
    Status.BLOCKED, Status.REJECTED, Status.CANCELED, Status.EXPIRED, Status.ABANDONED, Status.UNKNOWN,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunLine:
    """One thing that happened: its kind and fields for JSON, its text and the reason for the screen."""

    kind: str
    data: dict[str, Any]
    time: datetime
    text: str
    reason: str = ""
    style: str = ""
    on_screen: bool = True
    """Whether the screen shows it; JSON has them all."""


def signal_line(signal: Signal) -> RunLine:
    """A signal happens at the end of its bar."""
    data = {
        "bar_time": signal.bar_time, "strategy": signal.strategy, "symbol": signal.symbol,
        "signal": signal.label, "price": signal.price, "missed": signal.missed,
        "reason": signal.reason,
    }  # fmt: skip
    text = f"{signal.symbol:<6} {signal.label} signal at {price(signal.price)} by {signal.strategy}"
    missed = "  missed while down" if signal.missed else ""
    return RunLine("signal", data, signal.bar_time + MINUTE, text + missed, signal.reason)


def order_line(order: Order) -> RunLine:
    """The screen shows an order when it is made, and when it ends without all its shares."""
    time = order.updated_at or order.created_at
    data = {
        "time": time, "id": order.client_order_id, "symbol": order.symbol, "side": order.side,
        "qty": order.qty, "status": order.status, "filled_qty": order.filled_qty,
        "reason": order.reason,
    }  # fmt: skip
    ends = order.status in ENDINGS
    text = f"{order.symbol:<6} order {order.side} {order.qty:f} {order.type} {order.status}"
    style = "warn" if ends and order.status is not Status.BLOCKED else "dim"
    shown = ends or order.status is Status.PENDING
    return RunLine(
        "order", data, time, f"{text}:" if order.reason else text, order.reason, style, shown
    )


def fill_line(fill: Fill) -> RunLine:
    """A fill, with what it realized where it made the position smaller."""
    data = {
        "time": fill.time, "symbol": fill.symbol, "side": fill.side, "qty": fill.qty,
        "price": fill.price, "realized_pnl": fill.realized_pnl, "fees": fill.fees,
        "order": fill.client_order_id,
    }  # fmt: skip
    word = "bought" if fill.side == "buy" else "sold"
    pnl = f"  realized {gain(fill.realized_pnl)}" if fill.reduces else ""
    charged = f"  fees {price(fill.fees)}" if fill.fees else ""
    text = f"{fill.symbol:<6} {word} {fill.qty:f} at {price(fill.price)}{charged}{pnl}"
    return RunLine("fill", data, fill.time, text, style=fill.side.value)


def event_line(event: Event) -> RunLine:
    """An event; a grave one is marked ``!``, not by its color alone."""
    data = {
        "time": event.time, "kind": event.kind, "subject": event.subject, "text": event.text,
        "grave": event.grave,
    }  # fmt: skip
    subject = f" {event.subject}" if event.subject else ""
    text = f"{'! ' if event.grave else ''}{event.kind.replace('_', ' ')}{subject}:"
    return RunLine("event", data, event.time, text, event.text, "warn" if event.grave else "dim")


def equity_line(
    point: EquityPoint, bars: int, progress: Progress | None, stale: str, *, on_screen: bool
) -> RunLine:
    """A point of the equity curve, how far the data is, and the symbols whose prices are old."""
    data = {"time": point.time, "equity": point.equity, "cash": point.cash}
    done = f"  {progress.done:,} of {counted(progress.total, 'minute')}" if progress else ""
    text = f"equity {money(point.equity)}  cash {money(point.cash)}  {counted(bars, 'bar')}{done}"
    return RunLine("equity", data, point.time, text, stale, "dim", on_screen)
