"""`smabot backtest`: its options; the run itself is `smabot.cli.backtest_run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import BROKER_OPTIONS, PLUGIN_OPTIONS, SYMBOLS_OPTION, with_options
from smabot.cli.records.time_arguments import DAYS_OPTIONS
from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App

DATA_OPTIONS = BROKER_OPTIONS[0], BROKER_OPTIONS[2]


@click.command()
@with_options(*PLUGIN_OPTIONS, SYMBOLS_OPTION, *DATA_OPTIONS, *DAYS_OPTIONS)
@click.option("--cash", metavar="DOLLARS", help="Cash at the beginning. [100000]")
@click.option(
    "--costs",
    metavar="NAME|A=B,C=D",
    help="Trading costs: alpaca, or settings as commission_per_share=0.005,slippage=0.01. [none]",
)
@click.option(
    "--set", "changes", multiple=True, metavar="NAME=VALUE",
    help="A setting, as sma.fast=5 or sizing.shares=100; a range, as sma.fast=5:30:5, tries each value. "
    "May be repeated.",
)  # fmt: skip
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    metavar="N",
    help="Processes, with ranges. [1]",
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a report: one new HTML file."
)  # fmt: skip
@click.pass_obj
def backtest(
    app: App, /, changes: tuple[str, ...], jobs: int, html: Path | None, **flags: Any
) -> int:
    """Show what strategies would have made on past bars.

    The bot of `smabot run` trades on the built-in exchange, as fast as it can. Nothing is kept,
    unless --db names a new database.
    """
    from smabot.cli.backtest_ranges import choices_of, run_ranges
    from smabot.cli.backtest_run import run_backtest
    from smabot.cli.backtest_settings import load_backtest, warn_of_simulated_market

    combinations = choices_of(changes)
    if len(combinations) > 1:
        _require_none_of(html=html, db=app.db)
    choices = [(each, load_backtest(app, flags, each)) for each in combinations]
    app.set_up_log()
    warn_of_simulated_market(app, choices[0][1].config)
    if len(choices) == 1:
        return run_backtest(app, choices[0][1], html)
    return run_ranges(app, choices, jobs)


def _require_none_of(**options: Path | None) -> None:
    """Raise UsageError for an option that says where to keep one backtest, where there are several."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name}: not with ranges of settings; leave it out, or give one value of each setting"
            )
