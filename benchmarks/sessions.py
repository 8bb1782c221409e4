"""Sessions in this process, with real plugins."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smabot.engine.loop import Engine
from smabot.engine.start.bot_session import BotSession
from smabot.engine.start.opening import open_session
from smabot.engine.start.recovery import recover
from smabot.engine.transaction import Watcher
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config

HUGE = 10**9
WIDE = {
    "daily_limits": {
        "max_trades": HUGE, "max_orders": HUGE, "max_orders_per_symbol": HUGE, "max_loss": HUGE,
        "max_exposure": HUGE, "max_exposure_per_symbol": HUGE,
    }
}  # fmt: skip
"""Limits that are judged but never block: the work of an order is measured, not its refusal."""


def config(folder: Path, plugin: Mapping[str, Any] | None = None, **settings: Any) -> Config:
    """Return the settings of a session that keeps its files in a folder, at full speed, by default
    with the exchange in this process."""
    tables = {"risk": WIDE, "exchange": {"cash": HUGE}, **(plugin or {})}
    given = {"broker": "exchange", "speed": "max", **settings}
    return Config.model_validate({"db": folder / "trades.db", "plugin": tables, **given})


def opened(settings: Config) -> BotSession:
    """Return a session with its journal, broker and feed open."""
    return open_session(settings, Plugins.load(settings))


def ready(session: BotSession, watch: Watcher | None = None) -> Engine:
    """Return the engine, with the garbage collector set as `smabot run` sets it."""
    engine = recover(session, watch)
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    return engine
