"""What a run shows: lines as they come, a progress bar on a terminal, JSON lines with ``--json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from loguru import logger

from smabot.cli import run_lines
from smabot.cli.output import clean, money
from smabot.cli.records.order_ids import short_ids_in
from smabot.cli.run_lines import RunLine
from smabot.cli.text_layout import named_values, width_of, with_reason, wrapped
from smabot.cli.times import Times
from smabot.domain.bot_records import Event
from smabot.domain.records import Bar, EquityPoint, Fill, Order, Signal
from smabot.engine.price_requests import NO_PRICE, PRICE_AGAIN
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.startup_report import StartupStep
from smabot.hooks.ports import Feed, Progress
from smabot.hooks.recovery_answers import Conflict

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

EVERY_MINUTES = 30
STEP_INDENT, REASON_INDENT = 24, 14
"""Where a step's findings stand, and the reason of something that happened to a symbol."""
STYLES = {"buy": "green", "sell": "magenta", "warn": "bold red", "dim": "dim", "good": "bold green"}


class Screen:
    """Shows the committed records of a run: short lines below their day, each in the screen's width."""

    def __init__(self, mode: str, as_json: bool, times: Times | None = None) -> None:
        self._mode = mode
        self._json = as_json
        self._times = times or Times()
        self._feed: Feed | None = None
        self._bars: Bars | None = None
        self._bar_count = 0
        self._equity_shown_at: datetime | None = None
        self._without_price: set[str] = set()
        self._day = ""
        self._out = sys.stdout  # plugins get another one
        self._styled = not as_json and self._out.isatty()

    # -- the start ---------------------------------------------------------------------------------

    def show_title(self, version: str, database: str, plugins: tuple[str, ...]) -> None:
        self._emit(
            "start",
            {"version": version, "mode": self._mode, "database": database, "plugins": plugins},
            f"smabot {version}  {self._mode}  {', '.join(plugins)}",
            "good" if self._mode == "PAPER" else "warn",
        )

    def show_step(self, step: StartupStep) -> None:
        """Show a step of the startup, what it found below each other."""
        head = f"  {step.name:<10}{step.milliseconds:>7.0f} ms"
        lines = []
        for place, found in enumerate(self._said(step.found).split("; ")):
            begin = head if place == 0 else ""
            lines += wrapped(f"{begin:<{STEP_INDENT}}{found}", self._width, STEP_INDENT + 2)
        self._emit(
            "step",
            {"name": step.name, "found": step.found, "ms": round(step.milliseconds, 1)},
            "\n".join(lines),
            log=f"{head.strip()}  {step.found}",
        )

    def show_note(self, text: str) -> None:
        self._emit("note", {"text": text}, f"  {self._said(text)}", "dim", indent=4, log=text)

    def show_warning(self, text: str) -> None:
        self._emit("warning", {"text": text}, f"  ! {self._said(text)}", "warn", indent=4, log=text)

    def show_ready(self, milliseconds: float) -> None:
        self._emit(
            "ready", {"ms": round(milliseconds, 1)}, f"ready in {milliseconds:,.0f} ms", "good"
        )

    # -- what happens ------------------------------------------------------------------------------

    def begin_progress(self, feed: Feed) -> None:
        """Begin the session; on a terminal a progress bar stands below the lines."""
        self._feed = feed
        progress = feed.progress()
        if not self._styled or progress is None:
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as ProgressBars
        from rich.progress import TimeRemainingColumn as Remaining

        columns = (
            TextColumn(f"[bold]{self._mode}"), TextColumn("{task.description}"),
            BarColumn(bar_width=None), TextColumn("{task.completed:.0f}/{task.total:.0f} min"),
            Remaining(),
        )  # fmt: skip
        self._bars = ProgressBars(
            *columns,
            console=Console(file=self._out),
            transient=True,
            redirect_stdout=False,
            expand=True,
        )
        self._bars.add_task("", total=progress.total, completed=progress.done)
        self._bars.start()

    def show_committed(self, rows: list[Any], bars: list[Bar]) -> None:
        """Show what a step has committed."""
        self._bar_count += len(bars)
        for row in rows:
            if isinstance(row, Signal):
                self._show(run_lines.signal_line(row))
            elif isinstance(row, Order):
                self._show(run_lines.order_line(row))
            elif isinstance(row, Fill):
                self._show(run_lines.fill_line(row))
            elif isinstance(row, EquityPoint):
                self._show_equity(row)
            elif isinstance(row, Event):
                self._note_price(row)
                self._show(run_lines.event_line(row))

    def end_progress(self) -> None:
        """Remove the progress bar. Safe to call twice."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    # -- the end -----------------------------------------------------------------------------------

    def show_conflicts(self, conflicts: tuple[Conflict, ...]) -> None:
        """Show the conflicts, a block of lines each, and how to resolve each kind."""
        ways: dict[str, list[Conflict]] = {}
        for each in conflicts:
            ways.setdefault(each.resolve, []).append(each)
        for resolve, alike in ways.items():
            for each in alike:
                self._show_conflict(each)
            if not self._json:
                for line in named_values([("resolve", resolve)], self._width, 4):
                    self._print(line)

    def show_summary(self, data: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
        """Show the table at the end."""
        self.end_progress()
        if self._json:
            self._emit("summary", dict(data), "")
            return
        self._print("")
        shown = [(title, self._said(text)) for title, text in lines]
        for line in named_values(shown, self._width, between=" · "):
            self._print(line)

    def show_failure(self, error: Exception) -> None:
        """Log why the run ended, and show its conflicts; whoever catches the error shows its line."""
        self.end_progress()
        logger.info("failed: {}", error)
        if isinstance(error, ReconciliationConflict):
            self.show_conflicts(error.conflicts)

    # -- lines -------------------------------------------------------------------------------------

    def _show_equity(self, point: EquityPoint) -> None:
        progress = self._feed.progress() if self._feed else None
        if self._bars is not None and progress is not None:
            self._move_bar(point, progress)
        last = self._equity_shown_at
        due = last is None or (point.time - last).total_seconds() >= EVERY_MINUTES * 60
        if not due and not self._json:
            return
        if due:
            self._equity_shown_at = point.time
        names = ", ".join(sorted(self._without_price))
        stale = f"STALE: the price of {names}" if names else ""
        self._show(run_lines.equity_line(point, self._bar_count, progress, stale, on_screen=due))

    def _move_bar(self, point: EquityPoint, progress: Progress) -> None:
        assert self._bars is not None
        at = f"{self._times.day(point.time)[5:]} {self._times.clock(point.time)}"
        self._bars.update(
            self._bars.task_ids[0],
            completed=progress.done,
            description=f"{at}  equity {money(point.equity)}",
        )

    def _note_price(self, event: Event) -> None:
        if event.kind == NO_PRICE:
            self._without_price.add(event.subject)
        elif event.kind == PRICE_AGAIN:
            self._without_price.discard(event.subject)

    def _show(self, line: RunLine) -> None:
        """Show what happened: below its day, with the reason behind it or below it."""
        if not (line.on_screen or self._json):
            return
        self._begin_day(line.time)
        text = f"{self._times.clock(line.time)}  {short_ids_in(line.text)}"
        reason = self._said(line.reason, near=line.time)
        lines = with_reason(text, reason, self._width, REASON_INDENT)
        (said,) = with_reason(line.text, line.reason, None, 0)
        exact = f"{line.time:%Y-%m-%d %H:%MZ}  {said}"
        self._emit(line.kind, line.data, "\n".join(lines), line.style, log=exact)

    def _said(self, text: str, near: datetime | None = None) -> str:
        """Return a text with times and order ids as screens show them."""
        return short_ids_in(self._times.in_text(text, near))

    def _begin_day(self, time: datetime) -> None:
        day = self._times.day(time)
        if day != self._day and not self._json:
            self._day = day
            self._print(f"{day}, {self._times.place}", "dim")

    def _show_conflict(self, conflict: Conflict) -> None:
        pairs = [("here", self._said(conflict.here)), ("broker", self._said(conflict.there))]
        data = {
            "kind": conflict.kind, "what": conflict.what, "here": conflict.here,
            "there": conflict.there, "resolve": conflict.resolve,
        }  # fmt: skip
        head = f"  {conflict.kind}  {short_ids_in(conflict.what)}"
        self._emit(
            "conflict",
            data,
            "\n".join([head, *named_values(pairs, self._width, 4)]),
            "warn",
            log=f"{head.strip()}  here: {conflict.here}  broker: {conflict.there}",
        )

    @property
    def _width(self) -> int | None:
        return width_of(self._out)

    def _emit(
        self,
        event: str,
        data: dict[str, Any],
        text: str,
        style: str = "",
        indent: int = 2,
        log: str = "",
    ) -> None:
        """Print an event as JSON or as text, and log it; a text of one line is wrapped.

        ``log`` is the line in the log where it differs: there times are exact.
        """
        text = clean(text)
        if self._json:
            line = json.dumps({"event": event, **data}, default=_plain)
            print(line, file=self._out, flush=True)
        else:
            for line in [text] if "\n" in text else wrapped(text, self._width, indent):
                self._print(line, style)
        logger.info("{}", clean(log) or text.strip() or event)

    def _print(self, line: str, style: str = "") -> None:
        if not self._styled:
            print(line, file=self._out, flush=True)
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(file=self._out, highlight=False)
        console = self._bars.console if self._bars is not None else console
        console.print(Text(line, style=STYLES.get(style, "")), soft_wrap=True)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
