"""`smabot data fetch`: bars of the past from Alpaca."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from smabot.provider import UsageError

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_alpaca.settings import AlpacaSettings

FEEDS = ("iex", "sip")
ADJUSTMENTS = ("raw", "split", "dividend", "all")


def _day(ctx: click.Context, parameter: click.Parameter, text: str | None) -> date | None:
    """Read a trading date, as ``2026-03-02``."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a date: give 2026-03-02") from None


def data_group(settings: AlpacaSettings) -> click.Group:
    """Return the commands about historical data: one group with those of the paper exchange."""

    @click.group()
    def data() -> None:
        """Historical data: fetch, import, list and check it."""

    @data.command()
    @click.option("--symbols", metavar="A,B", help="Whose bars. [the settings' symbols]")
    @click.option(
        "--from", "first", callback=_day, metavar="DATE", required=True, help="The first day."
    )
    @click.option(
        "--to",
        "last",
        callback=_day,
        metavar="DATE",
        help="The last day. [the last session that ended]",
    )
    @click.option(
        "--data",
        "folder",
        metavar="FOLDER",
        help="Where to keep them. [data of the settings; data/bars]",
    )
    @click.option(
        "--feed",
        type=click.Choice(FEEDS),
        help="Trades of one exchange, or of all. [the setting; iex]",
    )
    @click.option(
        "--adjustment",
        type=click.Choice(ADJUSTMENTS),
        default="raw",
        show_default=True,
        help="What prices are adjusted for; raw: as they were traded.",
    )
    @click.option(
        "--format",
        type=click.Choice(["csv", "parquet"]),
        help="Of new files. [as those that are there; csv]",
    )
    @click.option("--url", metavar="URL", help="A server in Alpaca's place. [Alpaca]")
    @click.pass_obj
    def fetch(app: App, /, symbols: str | None, folder: str | None, **options: Any) -> int:
        """Fetch minute bars of past sessions from Alpaca.

        Only what the folder lacks is fetched: after a kill or an error, the same command goes on. Regular
        sessions that have ended, into a file for each symbol and year.
        """
        from smabot_alpaca.fetch_command import FetchOptions, fetch_bars

        names = symbols.split(",") if symbols else list(app.config().symbols)
        if not any(map(str.strip, names)):
            raise UsageError("name the symbols to fetch: --symbols SPY,QQQ")
        return fetch_bars(app, settings, FetchOptions(names, folder=folder, **options))

    return data
