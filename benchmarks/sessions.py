"""Sessions in this process, with real plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smabot.config import Config
from smabot.plugins import Plugins
from smabot.recovery import Session, open_session

WIDE = {
    "daily_limits": {
        "max_trades": 0, "max_orders": 0, "max_orders_per_symbol": 0, "max_loss": 0,
        "max_exposure": 0, "max_exposure_per_symbol": 0,
    },
    "circuit_breaker": {"max_session_drawdown": 0, "max_peak_drawdown": 0},
}  # fmt: skip
"""Limits that are computed but never block: the work of an order is measured, not its refusal."""

RICH = 1_000_000_000


def config(folder: Path, tape: str, **plugin: Any) -> Config:
    """Return the settings of a session that keeps its files in a folder, at full speed."""
    tables = {"risk": WIDE, "exchange": {"cash": RICH}, **plugin}
    return Config.model_validate(
        {"db": folder / "trades.db", "tape": tape, "speed": "max", "plugin": tables}
    )


def opened(settings: Config) -> Session:
    """Return a session with its journal, broker and feed open."""
    return open_session(settings, Plugins.load(settings))
