"""The verbs that ask the broker: `run`, `reconcile`, `flatten`, `doctor`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from smabot.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Flag, Loaded


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Split ``A,B`` into its names. Raises UsageError where there are none."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        without = {
            "symbols": "trade all that the feed has",
            "plugins": "take those of the settings",
        }
        raise UsageError(
            f"--{parameter.name} names none: leave it out to {without[str(parameter.name)]}"
        )
    return names


A_DAY = 86_400
"""Seconds."""
Options = Sequence[Callable[[Any], Any]]
WHAT: Options = (
    click.option(
        "--plugins", metavar="A,B", callback=_names, help="Strategies and risk plugins. [sma,risk]"
    ),
    click.option(
        "--no-plugin",
        "no_plugins",
        metavar="NAME",
        multiple=True,
        help="Switch a plugin off; may be repeated.",
    ),
)
WHERE: Options = (
    click.option(
        "--data",
        metavar="PATH",
        help="Minute bars to replay: CSV, CSV.gz, Parquet or a folder. [a simulated market]",
    ),
    click.option("--tape", hidden=True),
    click.option(
        "--broker",
        metavar="NAME",
        help="alpaca, or exchange: the built-in paper exchange in process, faster. [alpaca]",
    ),
    click.option("--url", metavar="URL", help="Where alpaca finds the API, instead of at Alpaca."),
    click.option(
        "--ledger",
        metavar="PATH",
        help="The built-in paper exchange's own file. [beside the database]",
    ),
    click.option("--live", is_flag=True, default=None, help="Real money; asks first."),
    click.option(
        "--yes-live",
        "live_account",
        metavar="ACCOUNT",
        help="With --live: do not ask, but take this account only.",
    ),
)
"""Where orders go: for every verb that asks the broker."""
NO_TERMINAL = "--live asks for confirmation, and there is no terminal: add --yes-live ACCOUNT"
_symbols_option = click.option(
    "--symbols",
    metavar="SPY,IBM",
    callback=_names,
    help="Symbols that may be entered. [all that the feed has]",
)
_ignore_blocks = click.option(
    "--ignore-block",
    "ignored_blocks",
    metavar="NAME",
    multiple=True,
    help="Trade on though this plugin, which is left out, has blocked; may be repeated.",
)
_speed = click.option(
    "--speed", metavar="max|N", help="Replay speed: minutes of the data a second. [60]"
)


def _seconds(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("nan is not a number of seconds", ctx, parameter)
    return value


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give a command options, listed in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@_with(*WHAT, _ignore_blocks, _symbols_option, *WHERE, _speed)
@click.option(
    "--until", metavar="TIME", help="Stop at this time of the data, as 2026-03-02T15:30:00Z."
)
@click.pass_obj
def run(app: App, /, ignored_blocks: Sequence[str], **flags: Any) -> int:
    """Trade, from where the last run stopped."""
    loaded = load(app, flags)
    if not loaded.config.plugins:
        raise ConfigError(
            f"{loaded.origin('plugins')}: plugins = []: a run without a strategy and without a limit; "
            "leave the line out for sma and risk, or name what you want"
        )
    if loaded.config.live and not loaded.config.live_account:
        need_terminal(NO_TERMINAL)
    app.set_up_log()
    app.outlive_screens()

    from smabot.cli.run import run

    return run(loaded, app.as_json, ignored_blocks)


@click.command()
@_with(_symbols_option, *WHERE)
@click.option(
    "--accept",
    type=click.Choice(["broker"]),
    help="Take the broker's word: write audited adjustments.",
)
@click.pass_obj
def reconcile(app: App, /, accept: str | None, **flags: Any) -> int:
    """Compare the database with the broker, without trading."""
    loaded = load(app, flags)
    app.set_up_log()

    from smabot.cli.run import reconcile

    return reconcile(loaded, accept, app.as_json)


@click.command()
@click.option("--symbol", metavar="SYMBOL", help="Of this symbol only; entries are not halted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=A_DAY),
    callback=_seconds,
    default=60.0,
    metavar="SECONDS",
    help="Wait so long until all is flat. [60]",
)
@_with(*WHAT, _ignore_blocks, *WHERE, _speed)
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

    A bot that runs does it; without one it is done here. Killed in the middle, this or `smabot run`
    goes on with it.
    """
    loaded = load(app, flags)
    app.set_up_log()
    app.outlive_screens()

    from smabot.cli.flatten import flatten

    return flatten(app, loaded, (symbol or "").upper(), yes, timeout, ignored_blocks)


@click.command()
@_with(*WHAT, _symbols_option, *WHERE)
@click.pass_obj
def doctor(app: App, /, **flags: Any) -> int:
    """Check whether all is well, a line each; changes nothing.

    Exit code 3: the set-up is wrong; 4: the broker; 6: database and broker disagree.
    """
    from smabot.cli.doctor import doctor

    return doctor(app, lambda: load(app, flags))


def load(app: App, flags: dict[str, Any]) -> Loaded:
    """Read the settings with a verb's flags. Raises ConfigError and UsageError."""
    if flags["live_account"] and not flags["live"]:
        raise UsageError("--yes-live goes with --live: give both, or neither for paper trading")
    return app.load(_given(flags))


def need_terminal(otherwise: str) -> None:
    """Raise UsageError, which says what to do instead, where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(otherwise)


def confirm(what: str, word: str, otherwise: str) -> None:
    """Let the operator confirm by typing a word. Raises UsageError without it."""
    need_terminal(otherwise)
    click.echo(what, err=True)
    if click.prompt(f"Type '{word}' to go on", default="no", show_default=False, err=True) != word:
        raise UsageError("not confirmed, nothing was started")


def _given(flags: dict[str, Any]) -> list[Flag]:
    from smabot.settings.loading import Flag

    options = {"no_plugins": "--no-plugin", "live_account": "--yes-live"}
    return [
        Flag(key, options.get(key, f"--{key}"), list(value) if isinstance(value, tuple) else value)
        for key, value in flags.items()
        if value not in (None, ())
    ]
