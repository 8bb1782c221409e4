"""Imports alpaca-py's streams without what they don't need.

They drag pandas in, for the ``.df`` of models that this plugin never makes: three quarters of the
import's second, and 80 MB. While they are imported something else stands in its place, which becomes
pandas at its first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _PandasLater(ModuleType):
    importing = True

    def __getattr__(self, name: str) -> Any:
        if not self.importing:
            return getattr(importlib.import_module("pandas"), name)
        if name == "DataFrame":  # of an annotation
            return Any
        raise AttributeError(name)


def streams() -> tuple[type[Any], type[Any]]:
    """Return alpaca-py's ``StockDataStream`` and ``TradingStream``."""
    if "alpaca.trading.stream" in sys.modules or "pandas" in sys.modules:
        return _import()
    later = sys.modules["pandas"] = _PandasLater("pandas")
    try:
        return _import()
    finally:
        del sys.modules["pandas"]
        later.importing = False


def _import() -> tuple[type[Any], type[Any]]:
    from alpaca.data.live.stock import StockDataStream
    from alpaca.trading.stream import TradingStream

    return StockDataStream, TradingStream
