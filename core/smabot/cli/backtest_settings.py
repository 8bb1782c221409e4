"""The settings of a backtest: those of the bot, on the built-in exchange, in memory."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smabot.cli.run_outcome import BACKTEST
from smabot.errors import ConfigError, UsageError, suggest
from smabot.settings.loading import Flag
from smabot.settings.model import BARS_FOLDER, IN_MEMORY, Config
from smabot.system.new_database import database_files
from smabot.system.paths import file_exists

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Loaded

FORCED: Mapping[str, Any] = {
    "broker": "exchange",
    "speed": "max",
    "live": False,
    "live_account": None,
    "url": None,
    "ledger": str(IN_MEMORY),
    "equity_every_minutes": 1,
    "audit": False,
    "reconcile_every_minutes": 24 * 60,
    "log.file": None,
}
"""What a backtest has, whatever the settings say: it trades at no broker, where nobody else does, and sees each minute."""
COSTS = (
    "half_spread", "slippage", "slippage_of_range", "max_volume_share", "commission_per_share",
    "commission_per_order", "commission_minimum", "sec_fee_rate", "taf_per_share", "taf_maximum", "cat_per_share",
)  # fmt: skip
"""The exchange's settings that say what a fill costs."""
OPTIONS = {"since": "--from", "until": "--to", "db": "--db"}
"""Settings that have an option here."""


def load_backtest(app: App, flags: Mapping[str, Any], changes: Sequence[str] = ()) -> Loaded:
    """Read the settings with the command's flags; ``changes`` are those of ``--set``.

    Raises ConfigError and UsageError, also where ``--db`` names a database that is there.
    """
    database = app.db or IN_MEMORY
    loaded = app.load(
        [*_flags(flags), *map(_changed, changes), Flag("db", BACKTEST, str(database))]
    )
    if not loaded.config.in_memory:
        _require_new(loaded.config.db)
    if not loaded.config.plugins:
        raise ConfigError("plugins = []: a backtest without a strategy; name one with --plugins")
    return loaded


def warn_of_simulated_market(app: App, config: Config) -> None:
    """Warn where no data are named while bars are stored: they may be meant."""
    if config.data is None and any(
        next(BARS_FOLDER.glob(f"[!.]*.{kind}"), None) for kind in ("csv", "parquet")
    ):
        app.warn(
            f"no --data: this trades a simulated market, whose prices are random; for the bars in {BARS_FOLDER} "
            f"give --data {BARS_FOLDER}"
        )


def _require_new(path: Path) -> None:
    """Raise ConfigError where a database, or a folder, is there."""
    if file_exists(path, f"database {path}"):
        files = " ".join(shlex.quote(str(file)) for file in database_files(path) if file.exists())
        raise ConfigError(
            f"{path}: is there already, and a backtest begins anew: give another --db, or remove {files}"
        )


def _flags(flags: Mapping[str, Any]) -> Iterator[Flag]:
    for key, value in FORCED.items():
        yield Flag(key, BACKTEST, value)
    for key, option in (
        ("plugins", "--plugins"), ("no_plugins", "--no-plugin"), ("symbols", "--symbols"),
        ("data", "--data"), ("data_zone", "--data-zone"),
    ):  # fmt: skip
        if value := flags.get(key):
            yield Flag(key, option, list(value) if isinstance(value, tuple) else value)
    if flags["cash"] is not None:
        yield Flag("plugin.exchange.cash", "--cash", flags["cash"])
    yield from _costs(flags["costs"] or "")
    since, until = flags["since"], flags["until"]
    if since and until and until.day < since.day:
        raise UsageError(f"--from {since.text} is after --to {until.text}")
    for key, day in (("since", since), ("until", until)):
        if day is not None:
            yield Flag(key, "--from" if key == "since" else "--to", _moment(key, day))


def _costs(text: str) -> Iterator[Flag]:
    """Yield the exchange's settings of ``--costs``: the name of its ``costs``, and single ones as ``NAME=VALUE``."""
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = map(str.strip, part.partition("="))
        a_name = name.isalpha() and name not in COSTS
        if (equals and not (name and value)) or not (equals or a_name):
            raise UsageError(
                f"--costs {part}: write NAME=VALUE, as commission_per_share=0.005 or slippage=0.01"
            )
        if equals and name not in COSTS:
            raise ConfigError(
                f"--costs {part}: no such cost{suggest(name, COSTS)}; give alpaca, none, or {', '.join(COSTS)}"
            )
        key, given = (name, _value(value)) if equals else ("costs", name)
        yield Flag(f"plugin.exchange.{key}", "--costs", given)


def _moment(key: str, day: Any) -> Any:
    """Return where a day begins, or ends, in UTC."""
    from smabot.domain.calendar import EXCHANGE_ZONE
    from smabot.system.wall_clock import utc_now

    return (day.begin if key == "since" else day.end)(utc_now(), EXCHANGE_ZONE)


def _changed(change: str) -> Flag:
    """Return a setting as ``--set`` has it: a setting of core, or of a plugin by the plugin's name."""
    name, equals, text = change.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise UsageError(f"--set {change}: write NAME=VALUE, as sma.fast=5")
    if name.strip() in FORCED:
        raise UsageError(f"--set {name.strip()}: a backtest has its own; leave it out")
    if name.strip() in OPTIONS:
        raise UsageError(f"--set {name.strip()}: give {OPTIONS[name.strip()]} instead")
    if len(keys) == 1 and keys[0] not in Config.model_fields:
        hint = (
            suggest(keys[0], Config.model_fields)
            or ", and a plugin's has its name before it, as sma.fast"
        )
        raise ConfigError(f"--set {name.strip()}: no such setting{hint}")
    own = keys[0] in Config.model_fields and keys[0] != "plugin"
    dotted = name.strip() if own or keys[0] == "plugin" else f"plugin.{name.strip()}"
    return Flag(dotted, f"--set {name.strip()}", _value(text.strip()))


def _value(text: str) -> Any:
    """Return a value as a settings file has it; text that is no TOML is itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError, KeyError):
        return text
