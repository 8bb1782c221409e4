"""`smabot status`: its options; what it knows is `smabot.cli.status.status_data`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App

WATCH_SECONDS = 2.0


@click.command()
@click.option(
    "--watch",
    type=click.FloatRange(0.5, 86_400),
    is_flag=False,
    flag_value=WATCH_SECONDS,
    metavar="[SECONDS]",
    help=f"Show it again every so many seconds, until Ctrl-C. [{WATCH_SECONDS:g}]",
)
@click.pass_obj
def status(app: App, watch: float | None) -> None:
    """Show whether the bot runs, and what it holds.

    Equity and the day's P&L, positions, open orders, what it does next, last signals and why they have
    no position, breaker and limits.
    """
    from smabot.cli.status.status_data import as_json, read_status

    if watch is None:
        found = read_status(app)
        if app.as_json:
            app.emit(as_json(found), "")
            return
        from smabot.cli.status.status_screen import status_parts

        app.emit({}, status_parts(found, app.times))
        return
    _require_screen(app)
    _watch(app, watch)


def _require_screen(app: App) -> None:
    if app.as_json:
        raise UsageError("--watch shows a screen: leave --json out, or call it again by yourself")
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal: leave it out")


def _watch(app: App, seconds: float) -> None:
    from smabot.cli.status.live_screen import watch
    from smabot.cli.status.status_data import read_status
    from smabot.cli.status.status_screen import status_parts

    def title() -> str:
        return (
            f"{app.heading}  {app.times.full(app.wall(), seconds=True)}, every {seconds:g} s; "
            "Ctrl-C ends"
        )

    watch(lambda: status_parts(read_status(app), app.times), title, seconds)
