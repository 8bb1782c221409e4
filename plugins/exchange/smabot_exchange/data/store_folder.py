"""Which folder is the store of bars: as an option or the settings say, or the usual one."""

from __future__ import annotations

import shlex
from pathlib import Path

from smabot.provider import BARS_FOLDER, Config
from smabot_exchange.data.bar_store import BarStore
from smabot_exchange.data.data_files import SUFFIXES, TEXT_SUFFIXES
from smabot_exchange.data.data_source import is_simulated


def open_store(config: Config, folder: str | None, format: str | None = None) -> BarStore:
    """Open the store in ``folder``; without one in the folder that ``data`` of the settings names, as a
    bot and a backtest read it; else in `BARS_FOLDER`. Raises ConfigError."""
    if folder is None and config.data and _may_be_folder(config.data):
        folder = config.data
    return BarStore(Path(folder).expanduser() if folder else BARS_FOLDER, format)


def next_step(data: str, options: str = "") -> list[str]:
    """Return the lines that say how to backtest on data; ``options`` as `Hints.options` has them."""
    return ["backtest on it", f"  smabot backtest --data {shlex.quote(data)}{options}"]


def _may_be_folder(data: str) -> bool:
    return not is_simulated(data) and not data.lower().endswith((*SUFFIXES, *TEXT_SUFFIXES))
