"""The verbs that open a session: `run` and `reconcile`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings import Flag


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Split ``A,B`` into its names."""
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _symbols(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Split ``A,B`` into its symbols; nothing named would mean all."""
    names = _names(ctx, parameter, value)
    if names == []:
        raise UsageError("--symbols names none: leave it out to trade all that the feed has")
    return names


@click.command()
@click.option(
    "--plugins", metavar="A,B", callback=_names, help="Strategies and risk plugins. [sma,risk]"
)
@click.option(
    "--no-plugin",
    "no_plugins",
    metavar="NAME",
    multiple=True,
    help="Switch a plugin off; may be repeated.",
)
@click.option(
    "--symbols",
    metavar="SPY,IBM",
    callback=_symbols,
    help="Symbols to trade. [all that the feed has]",
)
@click.option(
    "--tape",
    metavar="PATH",
    help="Minutes to play: CSV, CSV.gz, Parquet or a folder. [a made market]",
)
@click.option(
    "--broker",
    metavar="NAME",
    help="alpaca, or exchange: the embedded one in process, faster. [alpaca]",
)
@click.option("--url", metavar="URL", help="Where alpaca finds the API, instead of at Alpaca.")
@click.option("--speed", metavar="max|N", help="Minutes of the tape a second. [60]")
@click.option(
    "--ledger", metavar="PATH", help="The embedded exchange's own file. [beside the database]"
)
@click.option(
    "--until", metavar="TIME", help="Stop at this time of the tape, as 2026-03-02T15:30:00Z."
)
@click.option("--live", is_flag=True, default=None, help="Trade real money; asks first.")
@click.option(
    "--yes-live",
    "live_account",
    metavar="ACCOUNT",
    help="With --live: do not ask, but trade this account only.",
)
@click.pass_obj
def run(app: App, /, **flags: Any) -> int:
    """Trade, from where the last run stopped."""
    if flags["live_account"] and not flags["live"]:
        raise UsageError("--yes-live goes with --live: give both, or neither for paper trading")
    loaded = app.load(_given(flags))
    if loaded.config.live and not loaded.config.live_account:
        _ask(str(loaded.config.db))
    app.set_up_log()

    from smabot.cli.run import run

    return run(loaded, app.as_json)


@click.command()
@click.option(
    "--accept",
    type=click.Choice(["broker"]),
    help="Take the broker's word: write audited adjustments.",
)
@click.pass_obj
def reconcile(app: App, accept: str | None) -> int:
    """Compare the database with the broker, without trading."""
    loaded = app.loaded()
    app.set_up_log()

    from smabot.cli.run import reconcile

    return reconcile(loaded, accept, app.as_json)


def _given(flags: dict[str, Any]) -> list[Flag]:
    from smabot.settings import Flag

    options = {"no_plugins": "--no-plugin", "live_account": "--yes-live"}
    return [
        Flag(key, options.get(key, f"--{key}"), list(value) if isinstance(value, tuple) else value)
        for key, value in flags.items()
        if value not in (None, ())
    ]


def _ask(db: str) -> None:
    """Let a person confirm that this is about money. Raises UsageError without a yes."""
    if not sys.stdin.isatty():
        raise UsageError("--live asks for a yes, and there is no terminal: add --yes-live ACCOUNT")
    click.echo(f"LIVE: orders will be sent for real money. Database {db}.", err=True)
    if click.prompt("Type 'live' to go on", default="no", show_default=False, err=True) != "live":
        raise UsageError("not confirmed, nothing was started")
