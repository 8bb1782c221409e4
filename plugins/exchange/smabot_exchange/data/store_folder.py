"""Which folder is the store of bars: as an option or the settings say, or the usual one."""

from __future__ import annotations

from pathlib import Path

from smabot.provider import Config
from smabot_exchange.data.bar_store import DEFAULT_STORE, BarStore
from smabot_exchange.data.data_files import SUFFIXES, TEXT_SUFFIXES
from smabot_exchange.data.data_source import is_simulated


def open_store(config: Config, folder: str | None, format: str | None = None) -> BarStore:
    """Open the store in ``folder``; without one in the folder that ``data`` of the settings names, as a
    bot and a backtest read it; else in `DEFAULT_STORE`. Raises ConfigError."""
    if folder is None and config.data and _may_be_folder(config.data):
        folder = config.data
    return BarStore(Path(folder).expanduser() if folder else DEFAULT_STORE, format)


def _may_be_folder(data: str) -> bool:
    return not is_simulated(data) and not data.lower().endswith((*SUFFIXES, *TEXT_SUFFIXES))
