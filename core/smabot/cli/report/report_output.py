"""How a report reaches its reader: on the screen, as JSON, and as the text of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smabot.cli.output import listing, table
from smabot.cli.performance.backtest_table import backtest_lines, note_lines
from smabot.cli.performance.reading_notes import reading_notes
from smabot.cli.report.report_page import PageHead, report_page
from smabot.cli.report.report_values import report_data
from smabot.cli.run_settings import SETTING_COLUMNS, change_columns

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.report.report_data import Report
    from smabot.cli.times import Times

MOST_CHANGES = 20
"""Changes of settings on the screen: the newest ones."""


def page_of(
    app: App,
    report: Report,
    heading: str,
    notes: Sequence[str] | None = None,
    title: str = "Report",
) -> str:
    """Return the page of a report, made now; ``notes`` are those of a backtest."""
    head = PageHead(title, heading, app.wall())
    told = _notes(report) if notes is None else notes
    return report_page(report, head, app.times, told)


def _notes(report: Report) -> list[str]:
    used = [each.name for each in report.settings or ()]
    return [*report.kept_notes, *reading_notes(report.performance, used)]


def emit_report(app: App, report: Report, written: Sequence[Path]) -> None:
    """Show a report's figures, the checks that bound, and which files were written."""
    notes = _notes(report)
    data = {**report_data(report, notes), "files": [str(path) for path in written]}
    lines = backtest_lines(report.performance, report.market, app.times, notes)
    app.emit(data, [*lines, *_more_lines(report, app.times), *written_lines(written)])


def written_lines(written: Sequence[Path]) -> list[str]:
    """Return a line that names the files that were written."""
    return ["", f"wrote {', '.join(map(str, written))}"] if written else []


def _more_lines(report: Report, times: Times) -> Iterator[Any]:
    bound = [each for each in report.checks if each.bound]
    if bound:
        yield ""
        yield table(
            ("check", ">asked", ">bound"),
            [(each.name, f"{each.asked:,}", f"{each.bound:,}") for each in bound],
        )
    yield from _settings_lines(report, times)
    if len(report.runs) > 1:
        yield from note_lines([f"{len(report.runs):,} runs: `smabot runs` shows how each ended"])


def _settings_lines(report: Report, times: Times) -> Iterator[Any]:
    if report.settings is None:
        yield from note_lines(
            ["settings were not recorded: only runs of a newer release keep theirs"]
        )
        return
    if used := [each for each in report.settings if not each.is_default]:
        yield ""
        yield listing(SETTING_COLUMNS, used)
    if changes := report.settings_changes[-MOST_CHANGES:]:
        yield ""
        yield listing(change_columns(times), changes)
    if (left := len(report.settings_changes) - MOST_CHANGES) > 0:
        yield f"{left:,} older changes, with --json"
