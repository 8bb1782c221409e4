"""`smabot report`: what an account did, on the screen, as a page, as JSON or as CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import with_options
from smabot.cli.records.record_filters import Span, newest_time
from smabot.cli.records.time_arguments import DAYS_OPTIONS, TypedTime
from smabot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write it as a page: one new file."
)  # fmt: skip
@click.option(
    "--csv", "folder", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Write trades, orders, days, months, checks and equity as new CSV files.",
)  # fmt: skip
@with_options(*DAYS_OPTIONS)
@click.pass_obj
def report(
    app: App,
    html: Path | None,
    folder: Path | None,
    since: TypedTime | None,
    until: TypedTime | None,
) -> None:
    """Report what an account did, on the screen or as a page.

    Of a backtest's database, or of a bot's, also while it is running: figures, charts, trades with their
    reasons, checks and restarts. The page of --html needs no network.
    """
    from smabot.cli.records.equity_history import no_equity
    from smabot.cli.report.report_data import Report
    from smabot.cli.report.report_files import ReportFiles
    from smabot.cli.report.report_output import emit_report, page_of

    files = ReportFiles("report", html, folder)
    files.require_new()
    with app.rows() as rows:
        span = _span(app, rows, since, until)
        found = Report.of(rows, span)
        if found is None:
            missing = no_equity(rows)
            if files or since or until:
                raise ConfigError(f"nothing to report, and nothing was written: {missing}")
            app.emit({"sessions": 0}, missing)
            return
        written = files.write_csv(found, rows, span) if folder else []
    if html:
        written += files.write_page(page_of(app, found, app.heading))
    emit_report(app, found, written)


def _span(app: App, rows: Any, since: TypedTime | None, until: TypedTime | None) -> Span:
    """Return the days asked for; up to what there is now, where a bot goes on writing."""
    from smabot.domain.calendar import EXCHANGE_ZONE

    newest = newest_time(rows)
    now = newest or app.wall()
    begin = since.begin(now, EXCHANGE_ZONE) if since else None
    end = until.end(now, EXCHANGE_ZONE) if until else None
    if since and until and begin and end and begin > end:
        raise UsageError(f"--from {since.text} is after --to {until.text}")
    if newest is not None and rows.in_use():
        end = newest if end is None else min(end, newest)
    return Span(begin, end)
