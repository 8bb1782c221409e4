"""`smabot backtest`: its options; the run itself is `smabot.cli.backtest_run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import BROKER_OPTIONS, PLUGIN_OPTIONS, SYMBOLS_OPTION, with_options
from smabot.cli.records.time_arguments import TimeArgument

if TYPE_CHECKING:
    from smabot.cli.app import App

DATA_OPTIONS = BROKER_OPTIONS[0], BROKER_OPTIONS[2]


@click.command()
@with_options(*PLUGIN_OPTIONS, SYMBOLS_OPTION, *DATA_OPTIONS)
@click.option(
    "--from", "since", type=TimeArgument(days=True), metavar="DATE", help="Begin with this day."
)
@click.option(
    "--to", "until", type=TimeArgument(days=True), metavar="DATE", help="End with this day."
)
@click.option("--cash", metavar="DOLLARS", help="Cash at the beginning. [100000]")
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE",
    help="A setting, as sma.fast=5 or sizing.shares=100; may be repeated.",
)  # fmt: skip
@click.pass_obj
def backtest(app: App, /, **flags: Any) -> int:
    """Show what strategies would have made on past bars.

    The bot of `smabot run` trades on the built-in exchange, as fast as it can. Nothing is kept,
    unless --db names a new database.
    """
    app.set_up_log()

    from smabot.cli.backtest_run import run_backtest
    from smabot.cli.backtest_settings import load_backtest

    return run_backtest(app, load_backtest(app, flags))
