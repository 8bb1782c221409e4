"""`smabot data`: commands about historical data. `check` says what smabot would make of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_exchange.settings import ExchangeSettings


def data_group(_settings: ExchangeSettings) -> click.Group:
    """Return the commands about historical data."""

    @click.group()
    def data() -> None:
        """Historical data that the paper exchange replays."""

    @data.command()
    @click.argument("file", required=False, metavar="[FILE]")
    @click.option(
        "--data-zone",
        metavar="ZONE",
        help="Time zone of times that have none: America/New_York, UTC, …",
    )
    @click.pass_obj
    def check(app: App, file: str | None, data_zone: str | None) -> int:
        """Show what smabot makes of FILE.

        FILE is a data file, a folder, or simulated:…; without it, what the settings name. The answer has
        columns, symbols, times, sessions, gaps, and all that is wrong, not only the first. Changes
        nothing. Exit code 3: it can't be replayed.
        """
        from smabot_exchange.data.data_source import DEFAULT_DATA
        from smabot_exchange.data_report import show_check

        config = app.config()
        return show_check(app, file or config.data or DEFAULT_DATA, data_zone or config.data_zone)

    return data
