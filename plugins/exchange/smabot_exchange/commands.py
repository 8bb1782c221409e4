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
        "--speed",
        metavar="N|max|step",
        default="60",
        show_default=True,
        help="Replay speed: minutes of the data a second; step: a minute when a client asks for it.",
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

        app.outlive_screens()
        return serve(
            ServeOptions(_data(data, tape), **options), app.config(), settings, as_json=app.as_json
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
