"""What a run shows: lines as they come, a progress bar on a terminal, JSON lines with ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from loguru import logger

from smabot.cli.output import clean
from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar, EquityPoint, Fill, Order, Signal
from smabot.engine.price_requests import NO_PRICE, PRICE_AGAIN
from smabot.engine.start.startup_report import StartupStep
from smabot.hooks.ports import Feed
from smabot.hooks.specifications import Conflict

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

EVERY_MINUTES = 30
STYLES = {"buy": "green", "sell": "magenta", "warn": "bold red", "dim": "dim", "good": "bold green"}


class Screen:
    """Shows the committed records of a run."""

    def __init__(self, mode: str, as_json: bool) -> None:
        self._mode = mode
        self._json = as_json
        self._feed: Feed | None = None
        self._bars: Bars | None = None
        self._bar_count = 0
        self._equity_shown_at: datetime | None = None
        self._without_price: set[str] = set()
        self._out = sys.stdout  # plugins get another one
        self._styled = not as_json and self._out.isatty()

    # -- what happens ------------------------------------------------------------------------------

    def show_title(self, version: str, database: str, plugins: tuple[str, ...]) -> None:
        self._emit(
            "start",
            {"version": version, "mode": self._mode, "database": database, "plugins": plugins},
            f"smabot {version}  {self._mode}  {', '.join(plugins)}",
            "good" if self._mode == "PAPER" else "warn",
        )

    def show_step(self, step: StartupStep) -> None:
        """Show a step of the startup."""
        self._emit(
            "step",
            {"name": step.name, "found": step.found, "ms": round(step.milliseconds, 1)},
            f"  {step.name:<10}{step.milliseconds:>7.0f} ms  "
            + step.found.replace("; ", "\n" + " " * 24),
        )

    def show_note(self, text: str) -> None:
        self._emit("note", {"text": text}, f"  {text}", "dim")

    def show_warning(self, text: str) -> None:
        self._emit("warning", {"text": text}, f"  ! {text}", "warn")

    def show_ready(self, milliseconds: float) -> None:
        self._emit(
            "ready", {"ms": round(milliseconds, 1)}, f"ready in {milliseconds:,.0f} ms", "good"
        )

    def begin_progress(self, feed: Feed) -> None:
        """Begin the session; on a terminal a progress bar stands below the lines."""
        self._feed = feed
        progress = feed.progress()
        if not self._styled or progress is None:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn("[bold]" + self._mode), BarColumn(), MofNCompleteColumn(),
            TextColumn("minutes"), Remaining(), TextColumn("{task.description}"),
        )  # fmt: skip
        console = Console(file=self._out)
        self._bars = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._bars.add_task("", total=progress.total, completed=progress.done)
        self._bars.start()

    def show_committed(self, rows: list[Any], bars: list[Bar]) -> None:
        """Show what a step has committed."""
        self._bar_count += len(bars)
        for row in rows:
            if isinstance(row, Signal):
                self._signal(row)
            elif isinstance(row, Order):
                self._order(row)
            elif isinstance(row, Fill):
                self._fill(row)
            elif isinstance(row, EquityPoint):
                self._equity(row)
            elif isinstance(row, Event):
                self._event(row)

    def end_progress(self) -> None:
        """Remove the progress bar. Safe to call twice."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def show_conflicts(self, conflicts: tuple[Conflict, ...]) -> None:
        """Show the conflicts, and how to resolve each kind."""
        width = max(len(each.what) for each in conflicts)
        ways: dict[str, list[Conflict]] = {}
        for each in conflicts:
            ways.setdefault(each.resolve, []).append(each)
        for resolve, alike in ways.items():
            for each in alike:
                self._emit(
                    "conflict",
                    {"kind": each.kind, "what": each.what, "here": each.here,
                     "there": each.there, "resolve": each.resolve},
                    f"  {each.kind}  {each.what:<{width}}  here: {each.here}  broker: {each.there}",
                    "warn",
                )  # fmt: skip
            if not self._json:
                self._print(f"    resolve: {resolve}")

    def show_summary(self, data: Mapping[str, Any], lines: list[tuple[str, str]]) -> None:
        """Show the table at the end."""
        self.end_progress()
        if self._json:
            self._emit("summary", dict(data), "")
            return
        width = max(len(title) for title, _ in lines)
        self._print("")
        for title, text in lines:
            self._print(f"  {title:<{width}}  {text}")

    # -- lines -----------------------------------------------------------------------------------

    def _signal(self, signal: Signal) -> None:
        missed = "  missed while down" if signal.missed else ""
        reason = f"  {signal.reason}" if signal.reason else ""
        self._emit(
            "signal",
            {"bar_time": signal.bar_time, "strategy": signal.strategy, "symbol": signal.symbol,
             "signal": signal.label, "price": signal.price, "missed": signal.missed},
            f"{_minute(signal.bar_time + MINUTE)}  {signal.symbol:<6} {signal.label} signal at "
            f"{signal.price:,.2f} by {signal.strategy}{missed}{reason}",
        )  # fmt: skip

    def _order(self, order: Order) -> None:
        shown = (Status.PENDING, Status.BLOCKED, Status.REJECTED, Status.CANCELED, Status.EXPIRED,
                 Status.ABANDONED, Status.UNKNOWN)  # fmt: skip
        data = {
            "time": order.updated_at or order.created_at, "id": order.client_order_id,
            "symbol": order.symbol, "side": order.side, "qty": order.qty, "status": order.status,
            "filled_qty": order.filled_qty, "reason": order.reason,
        }  # fmt: skip
        if not self._json and order.status not in shown:
            return
        reason = f": {order.reason}" if order.reason else ""
        self._emit(
            "order",
            data,
            f"{_minute(order.updated_at or order.created_at)}  {order.symbol:<6} "
            f"order {order.side} {order.qty:f} {order.type} {order.status}{reason}",
            "warn" if order.status not in (Status.PENDING, Status.BLOCKED) else "dim",
        )

    def _fill(self, fill: Fill) -> None:
        word = "bought" if fill.side == "buy" else "sold"
        pnl = f"  realized {fill.realized_pnl:+,.2f}" if fill.reduces else ""
        self._emit(
            "fill",
            {"time": fill.time, "symbol": fill.symbol, "side": fill.side, "qty": fill.qty,
             "price": fill.price, "realized_pnl": fill.realized_pnl, "order": fill.client_order_id},
            f"{_minute(fill.time)}  {fill.symbol:<6} {word} {fill.qty:f} at {fill.price:,.2f}{pnl}",
            fill.side.value,
        )  # fmt: skip

    def _event(self, event: Event) -> None:
        if event.kind == NO_PRICE:
            self._without_price.add(event.subject)
        elif event.kind == PRICE_AGAIN:
            self._without_price.discard(event.subject)
        subject = f" {event.subject}" if event.subject else ""
        self._emit(
            "event",
            {"time": event.time, "kind": event.kind, "subject": event.subject,
             "text": event.text, "grave": event.grave},
            f"{_minute(event.time)}  {'! ' if event.grave else ''}"
            f"{event.kind.replace('_', ' ')}{subject}: {event.text}",
            "warn" if event.grave else "dim",
        )  # fmt: skip

    def _equity(self, point: EquityPoint) -> None:
        progress = self._feed.progress() if self._feed else None
        if self._bars is not None and progress is not None:
            self._bars.update(
                self._bars.task_ids[0],
                completed=progress.done,
                description=f"{_minute(point.time)}  {self._bar_count:,} bars  equity {point.equity:,.2f}",
            )
        due = self._equity_shown_at is None or (
            point.time - self._equity_shown_at
        ).total_seconds() >= (EVERY_MINUTES * 60)
        if not due and not self._json:
            return
        self._equity_shown_at = point.time
        done = f"  {progress.done:,} of {progress.total:,} minutes" if progress else ""
        self._emit(
            "equity",
            {"time": point.time, "equity": point.equity, "cash": point.cash},
            f"{_minute(point.time)}  equity {point.equity:,.2f}  cash {point.cash:,.2f}  "
            f"{self._bar_count:,} bars{done}{self._stale()}",
            "dim",
        )

    def _stale(self) -> str:
        names = ", ".join(sorted(self._without_price))
        return f"  STALE: the price of {names}" if names else ""

    def _emit(self, event: str, data: dict[str, Any], line: str, style: str = "") -> None:
        line = clean(line)
        if self._json:
            text = json.dumps({"event": event, **data}, default=_plain)
            print(text, file=self._out, flush=True)
        else:
            self._print(line, style)
        logger.info("{}", line.strip() or event)

    def log_failure(self, error: Exception) -> None:
        """Log why the run ended; whoever catches the error shows it."""
        self.end_progress()
        logger.info("failed: {}", error)

    def _print(self, line: str, style: str = "") -> None:
        if not self._styled:
            print(line, file=self._out, flush=True)
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(file=self._out, highlight=False)
        console = self._bars.console if self._bars is not None else console
        console.print(Text(line, style=STYLES.get(style, "")), soft_wrap=True)


def _minute(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%MZ")


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
