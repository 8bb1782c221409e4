"""`smabot runs`: what each start did, and how each run ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.records.record_filters import Filters, filtered, rows_within
from smabot.cli.records.record_listing import ON_SCREEN, limit_of, show
from smabot.cli.run_outcome import failure_of, how_it_ended, running_id
from smabot.cli.run_settings import SETTING_COLUMNS, settings_data, settings_of
from smabot.cli.start_steps import found_by, read_steps
from smabot.errors import UsageError, counted, listed

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from smabot.cli.app import App
    from smabot.cli.records.listing import Listing
    from smabot.domain.bot_records import Run

TOLD = ("load", "reconcile", "backfill", "subscribe")
"""The steps of a start that the list tells of: what it restored, and what it found."""


@click.command()
@click.argument("run", required=False, metavar="[RUN|last]")
@click.pass_obj
@filtered(limit=limit_of("runs"), names=False)
def runs(app: App, filters: Filters, run: str | None) -> None:
    """List runs, the newest last: how each began and ended.

    With RUN, an id or a part that no other run has, or last: all steps of its start. Times are this
    machine's.
    """
    from smabot.domain.bot_records import Run

    if run is not None:
        _show_one(app, run, filters)
        return
    unlimited = filters.limit is None and (app.as_json or filters.as_csv)
    limit = None if unlimited else filters.limit or ON_SCREEN + 1
    with app.rows(app.journal_plugins()) as rows:
        running = running_id(rows)
        span = filters.span(app, rows, by_wall=True)
        found: list[Run] = rows_within(rows, Run, "started_at", span, limit=limit)
    show(
        app, "runs", found, filters, span, csv_fields=Run,
        screen=lambda shown: _listing(app, shown, running),
        as_json=lambda each: _data(each, running),
    )  # fmt: skip


def _data(run: Run, running: str) -> dict[str, Any]:
    took, used = duration(run), settings_of(run)
    return {
        **asdict(run),
        "steps": read_steps(run),
        "settings": None if used is None else settings_data(used),
        "end": how_it_ended(run, running=run.run_id == running),
        "seconds": None if took is None else took.total_seconds(),
    }


def _listing(app: App, runs: list[Run], running: str) -> Listing:
    from smabot.cli.records.listing import Listing

    columns = (
        app.times.column(runs, lambda r: r.started_at, seconds=True),
        ("end", lambda r: how_it_ended(r, running=r.run_id == running)),
        (">ready in", _ready),
        (">lasted", lambda r: _lasted(r, app.wall() if r.run_id == running else None)),
        ("mode", lambda r: r.mode),
        (">pid", lambda r: r.pid),
    )
    return Listing(columns, runs, notes=lambda r: map(app.times.in_text, _notes(r)))


def _notes(run: Run) -> list[str]:
    told = [f"{name}: {found}" for name in TOLD if (found := found_by(run, name))]
    ignored = f"ignored blocks: {run.ignored_blocks}" if run.ignored_blocks else ""
    plugins = f"plugins: {', '.join(run.plugins.split(','))}" if run.plugins else "plugins: none"
    return [failure_of(run), plugins, ignored, *told]


def _ready(run: Run) -> str:
    return "" if run.ready_ms is None else f"{run.ready_ms:,.0f} ms"


def duration(run: Run) -> timedelta | None:
    """Return how long a run lasted; None where nobody knows."""
    return None if run.ended_at is None else run.ended_at - run.started_at


def _lasted(run: Run, now: datetime | None) -> str:
    took = now - run.started_at if now is not None else duration(run)
    return "" if took is None else span_words(took)


def span_words(span: timedelta) -> str:
    """Return a span of time in short: ``4 s``, ``12 min``, ``3 h 05 min``, ``2 d 04 h``."""
    seconds = round(span.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60:02} min"
    return f"{hours // 24} d {hours % 24:02} h"


# -- one run ---------------------------------------------------------------------------------------


def _show_one(app: App, text: str, filters: Filters) -> None:
    from smabot.cli import output
    from smabot.domain.bot_records import Run

    if filters.selective or filters.limit is not None:
        raise UsageError("a run's id names it: give no --since, --date or other filter with it")
    with app.rows(app.journal_plugins()) as rows:
        running = running_id(rows)
        run = _find(rows.rows(Run, newest_by="run_id"), text)
    if filters.as_csv:
        output.print_csv(Run, [run])
        return
    app.emit({"run": _data(run, running)}, _in_full(app, run, running))


def _find(runs: list[Run], text: str) -> Run:
    """Return the run that a text means. Raises UsageError where none does, or several do."""
    wanted = text.strip().casefold()
    if not runs:
        raise UsageError("there are no runs yet: `smabot run` makes one")
    if wanted == "last":
        return runs[-1]
    matches = [run for run in runs if wanted and wanted in run.run_id.casefold()]
    exact = [run for run in matches if run.run_id.casefold() == wanted]
    if len(exact or matches) == 1:
        return (exact or matches)[0]
    if matches:
        names = listed((run.run_id for run in reversed(matches)), 3)
        raise UsageError(f"more than one run has '{text}' in its id: give more of it: {names}")
    raise UsageError(f"there is no run '{text}': give last, or an id of `smabot runs --json`")


def _in_full(app: App, run: Run, running: str) -> list[Any]:
    from smabot.cli import output
    from smabot.cli.explanation.moments import Facts

    used = settings_of(run)
    changed = [each for each in used or () if not each.is_default]
    exact = app.times.full(run.started_at, seconds=True)
    head = [
        ("run", run.run_id),
        ("pid", f"{run.pid}, smabot {run.version}, {run.mode}"),
        ("started", f"{exact}{f', ready in {_ready(run)}' if run.ready_ms is not None else ''}"),
        ("ended", _end_line(app, run, running)),
        ("reason", failure_of(run)),
        ("plugins", ", ".join(run.plugins.split(",")) or "none"),
        ("ignored", run.ignored_blocks),
        ("settings", "not recorded" if used is None else "" if changed else "all defaults"),
    ]
    settings = ["", output.listing(SETTING_COLUMNS, changed)] if changed else []
    steps = read_steps(run)
    if not steps:
        told = "no steps were kept: it did not get through its start"
        return [Facts(app.times, head), "", told, *settings]
    widest = max(len(str(step["step"])) for step in steps)
    found = [(f"{s['step']:<{widest}}  {s['ms']:>8,.1f} ms", s.get("found") or "-") for s in steps]
    return [
        Facts(app.times, head),
        "",
        f"the start, in {counted(len(steps), 'step')}",
        Facts(app.times, found),
        *settings,
    ]


def _end_line(app: App, run: Run, running: str) -> str:
    how = how_it_ended(run, running=run.run_id == running)
    if run.ended_at is None:
        return how if run.run_id == running else f"{how}: its end was not written"
    at = app.times.full(run.ended_at, seconds=True)
    took = duration(run)
    return f"{how} at {at}, after {span_words(took) if took is not None else ''}"
