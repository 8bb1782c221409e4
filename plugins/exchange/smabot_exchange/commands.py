"""`smabot exchange serve`: the exchange as a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smabot.provider import UsageError, note_renamed

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_exchange.settings import ExchangeSettings

DEFAULT_PORT = 8100
DEFAULT_SPEED = "60"
MOST_HISTORY = 2500
DEFAULT_LEDGER = Path("data/exchange.db")


def exchange_group(settings: ExchangeSettings) -> click.Group:
    """Return the commands about the exchange."""

    @click.group()
    def exchange() -> None:
        """The built-in paper exchange, with an Alpaca-compatible API."""

    @exchange.command()
    @click.option(
        "--data",
        metavar="PATH|simulated",
        help="Minute bars to replay: a file, a folder, or a simulated market.",
    )
    @click.option("--tape", hidden=True)
    @click.option(
        "--data-zone",
        metavar="ZONE",
        help="Time zone of the data's times that have none: America/New_York, UTC, …",
    )
    @click.option(
        "--speed",
        metavar="N|max|step",
        help="Replay speed: minutes of the data a second; step: a minute when a client asks for it. [60]",
    )
    @click.option(
        "--clock",
        type=click.Choice(["replay", "wall"]),
        default="replay",
        show_default=True,
        help="wall: the wall clock, with data of today, a minute a minute.",
    )
    @click.option(
        "--history",
        type=click.IntRange(0, MOST_HISTORY),
        metavar="N",
        help="The first N sessions of the data are the past. [the setting; 0]",
    )
    @click.option(
        "--ledger",
        type=click.Path(path_type=Path),
        metavar="PATH",
        default=DEFAULT_LEDGER,
        show_default=True,
        help="The exchange's own file.",
    )
    @click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="0 takes a free one.",
    )
    @click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True)
    @click.option(
        "--faults", type=click.Path(path_type=Path), metavar="FILE", help="A file of faults."
    )
    @click.option(
        "--as",
        "as_seen",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Behave as `smabot alpaca probe` saw Alpaca behave: the file that it wrote.",
    )
    @click.option(
        "--requests-per-minute",
        type=click.IntRange(0, 1_000_000),
        metavar="N",
        help="Quota of a key in a minute of the exchange; 0: none. [200; with step and max none]",
    )
    @click.option(
        "--keys",
        metavar="N|FILE",
        help="So many pairs of API keys, or a file with a key id and its secret on each line.",
    )
    @click.option("--at-once", is_flag=True, help="Begin without waiting for a client.")
    @click.option(
        "--hide-admin",
        is_flag=True,
        help="Answer 404 under /_exchange, so that clients treat it as Alpaca.",
    )
    @click.pass_obj
    def serve(app: App, /, data: str | None, tape: str | None, **options: Any) -> int:
        """Serve the exchange on one port: REST, trade updates and market data."""
        from smabot_exchange.server_process import ServeOptions, serve

        speed = options.pop("speed")
        if options["clock"] == "wall" and (speed is not None or options["at_once"]):
            given = "--at-once" if speed is None else f"--speed {speed}"
            raise UsageError(
                f"--clock wall and {given}: the wall clock has its own speed; leave one out"
            )
        app.outlive_screens()
        return serve(
            ServeOptions(_data(data, tape), speed=speed or DEFAULT_SPEED, **options),
            app,
            settings,
        )

    return exchange


def _data(data: str | None, tape: str | None) -> str | None:
    """Return the data of either flag. Raises UsageError where they differ."""
    if tape is None:
        return data
    if data not in (None, tape):
        raise UsageError(
            f"--data {data} and --tape {tape}: --tape is the old name of --data; leave it out"
        )
    note_renamed("--tape", "--data")
    return tape
