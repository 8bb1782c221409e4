"""`smabot run`: its options; the run itself is `smabot.cli.bot_run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.broker_options import (
    BROKER_OPTIONS,
    IGNORE_BLOCK_OPTION,
    PLUGIN_OPTIONS,
    SPEED_OPTION,
    SYMBOLS_OPTION,
    load_settings,
    with_options,
)
from smabot.cli.confirmation import NO_TERMINAL_FOR_LIVE, require_terminal
from smabot.errors import ConfigError

if TYPE_CHECKING:
    from smabot.cli.app import App


@click.command()
@with_options(*PLUGIN_OPTIONS, IGNORE_BLOCK_OPTION, SYMBOLS_OPTION, *BROKER_OPTIONS, SPEED_OPTION)
@click.option(
    "--until", metavar="TIME", help="Stop at this time of the data, as 2026-03-02T15:30:00Z."
)
@click.pass_obj
def run(app: App, /, ignored_blocks: Sequence[str], **flags: Any) -> int:
    """Trade, from where the last run stopped."""
    loaded = load_settings(app, flags)
    if not loaded.config.plugins:
        raise ConfigError(
            f"{loaded.origin('plugins')}: plugins = []: a run without a strategy and without a limit; "
            "leave the line out for sma and risk, or name what you want"
        )
    if loaded.config.live and not loaded.config.live_account:
        require_terminal(NO_TERMINAL_FOR_LIVE)
    app.set_up_log()
    app.outlive_screens()

    from smabot.cli.bot_run import run_bot

    return run_bot(app, loaded, ignored_blocks)
