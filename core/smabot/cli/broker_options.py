"""The options of the commands that ask the broker: what to trade, where orders go; and the settings by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from smabot.cli.help.shell_completion import files, one_of, plugin_names
from smabot.errors import UsageError

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Flag, Loaded

Option = Callable[[Any], Any]


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


PLUGINS_OPTION = click.option(
    "--plugins",
    metavar="A,B",
    callback=_names,
    shell_complete=plugin_names,
    help="Strategies and risk plugins: names, or files as ./rising.py. [sma,risk]",
)
PLUGIN_OPTIONS: Sequence[Option] = (
    PLUGINS_OPTION,
    click.option(
        "--no-plugin",
        "no_plugins",
        metavar="NAME",
        multiple=True,
        shell_complete=plugin_names,
        help="Switch a plugin off; may be repeated.",
    ),
)
DATA_ZONE_OPTION = click.option(
    "--data-zone",
    metavar="ZONE",
    help="Time zone of the data's times that have none: America/New_York, UTC, …",
)
BROKER_OPTIONS: Sequence[Option] = (
    click.option(
        "--data",
        metavar="PATH",
        shell_complete=files,
        help="Minute bars to replay: CSV, CSV.gz, Parquet or a folder. [a simulated market]",
    ),
    click.option("--tape", hidden=True),
    DATA_ZONE_OPTION,
    click.option(
        "--broker",
        metavar="NAME",
        shell_complete=one_of("alpaca", "exchange"),
        help="alpaca, or exchange: the built-in one in process, faster. [alpaca]",
    ),
    click.option("--url", metavar="URL", help="API that alpaca connects to, instead of Alpaca's."),
    click.option(
        "--ledger",
        metavar="PATH",
        shell_complete=files,
        help="The built-in exchange's own file. [beside the database]",
    ),
    click.option("--live", is_flag=True, default=None, help="Real money; asks first."),
    click.option(
        "--yes-live",
        "live_account",
        metavar="ACCOUNT",
        help="With --live: trade this account only, without confirmation.",
    ),
)
"""Where orders go: for every command that asks the broker."""
SYMBOLS_OPTION = click.option(
    "--symbols",
    metavar="SPY,IBM",
    callback=_names,
    help="Symbols that may be entered. [all that the feed has]",
)
IGNORE_BLOCK_OPTION = click.option(
    "--ignore-block",
    "ignored_blocks",
    metavar="NAME",
    multiple=True,
    shell_complete=plugin_names,
    help="Ignore the blocks of this plugin, which is left out of the run; may be repeated.",
)
SPEED_OPTION = click.option(
    "--speed",
    metavar="max|N",
    shell_complete=one_of("max", "60"),
    help="Replay speed, in minutes a second. [60]",
)


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give a command options, listed in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def load_settings(app: App, flags: dict[str, Any]) -> Loaded:
    """Read the settings with a command's flags. Raises ConfigError and UsageError."""
    if flags.get("live_account") and not flags.get("live"):
        raise UsageError("--yes-live goes with --live: give both, or neither for paper trading")
    return app.load(_set_flags(flags))


def _set_flags(flags: dict[str, Any]) -> list[Flag]:
    from smabot.settings.loading import Flag

    options = {
        "no_plugins": "--no-plugin",
        "live_account": "--yes-live",
        "data_zone": "--data-zone",
    }
    return [
        Flag(key, options.get(key, f"--{key}"), list(value) if isinstance(value, tuple) else value)
        for key, value in flags.items()
        if value not in (None, ())
    ]
