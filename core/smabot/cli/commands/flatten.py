"""`smabot flatten`: its options; what it does is `smabot.cli.flatten_run`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import (
    BROKER_OPTIONS,
    IGNORE_BLOCK_OPTION,
    PLUGIN_OPTIONS,
    SPEED_OPTION,
    load_settings,
    with_options,
)

if TYPE_CHECKING:
    from smabot.cli.app import App


A_DAY = 86_400
"""Seconds."""


def _seconds(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is not a number of seconds", ctx, parameter)
    return value


@click.command()
@click.option("--symbol", metavar="SYMBOL", help="This symbol only; entries are not halted.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=A_DAY),
    callback=_seconds,
    default=60.0,
    metavar="SECONDS",
    help="Wait this long until all is flat. [60]",
)
@with_options(*PLUGIN_OPTIONS, IGNORE_BLOCK_OPTION, *BROKER_OPTIONS, SPEED_OPTION)
@click.pass_obj
def flatten(
    app: App,
    /,
    symbol: str | None,
    yes: bool,
    timeout: float,
    ignored_blocks: Sequence[str],
    **flags: Any,
) -> int:
    """Close all positions, cancel all entries and halt.

    The running bot does it; without one, this command does. Killed halfway, either this command or
    `smabot run` finishes it.
    """
    loaded = load_settings(app, flags)
    app.set_up_log()
    app.outlive_screens()

    from smabot.cli.flatten_run import flatten_positions

    return flatten_positions(app, loaded, (symbol or "").upper(), yes, timeout, ignored_blocks)
