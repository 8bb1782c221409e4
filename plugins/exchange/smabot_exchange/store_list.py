"""The screen of `smabot data list`: what the store of bars has of each symbol."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from smabot.provider import ConfigError
from smabot_exchange.data.bar_store import BarStore
from smabot_exchange.data.coverage import coverage_of
from smabot_exchange.data_check import action_as_json, listed_actions

if TYPE_CHECKING:
    from smabot.api import App

COLUMNS = ("symbol", "first", "last", ">sessions", ">missing", ">bars", ">gaps", ">size")
_UNITS = ("B", "kB", "MB", "GB", "TB")


def show_list(app: App, store: BarStore) -> int:
    """Show a line for each symbol; returns the exit code. Raises ConfigError where nothing is stored."""
    found = []
    with app.progress(len(store.symbols)) as tell:
        for done, symbol in enumerate(store.symbols):
            tell(done, symbol)
            if days := store.days(symbol):
                found.append((symbol, coverage_of(days), store.size(symbol)))
    actions = [each.action for each in store.actions()]
    if not found:
        raise ConfigError(
            f"{store.label}: no bars are stored there: `smabot data fetch` and `smabot data import` bring some"
        )
    rows = [
        [
            symbol, each.first.isoformat(), each.last.isoformat(), f"{each.sessions:,}",
            f"{len(each.missing):,}", f"{each.bars:,}", f"{each.gaps:,}", size_text(size),
        ]
        for symbol, each, size in found
    ]  # fmt: skip
    data = {
        "data": str(store.folder),
        "format": store.format,
        "symbols": [
            {"symbol": symbol, **asdict(each), "bytes": size} for symbol, each, size in found
        ],
        "corporate_actions": [action_as_json(each) for each in actions],
    }
    notes = [f"corporate actions: {listed_actions(actions)}"] if actions else []
    notes += ["missing: sessions without a bar; gaps: minutes without one in the other sessions"]
    app.emit(data, [app.table(COLUMNS, rows), *notes])
    return 0


def size_text(size: float) -> str:
    """Return a number of bytes as people write it: ``7.4 MB``."""
    power = 0
    while size >= 1000 and power < len(_UNITS) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.1f} {_UNITS[power]}" if power and size < 100 else f"{size:.0f} {_UNITS[power]}"
