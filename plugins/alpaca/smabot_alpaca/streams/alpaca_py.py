"""Imports alpaca-py's streams without what they don't need.

They drag pandas and numpy in, for the ``.df`` of models that this plugin never makes: most of the
import's second, and 80 MB. While they are imported something else stands in their place, which becomes
the real one at its first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

SPARED = ("pandas", "numpy")


class _Later(ModuleType):
    importing = True

    def __getattr__(self, name: str) -> Any:
        if not self.importing:
            return getattr(importlib.import_module(self.__name__), name)
        if name == "DataFrame":  # of an annotation
            return Any
        raise AttributeError(name)


def streams() -> tuple[type[Any], type[Any]]:
    """Return alpaca-py's ``StockDataStream`` and ``TradingStream``."""
    if "alpaca.trading.stream" in sys.modules:
        return _import()
    later = [_Later(name) for name in SPARED if name not in sys.modules]
    sys.modules.update({module.__name__: module for module in later})
    try:
        return _import()
    except (AttributeError, ImportError):  # this alpaca-py needs more of them than the annotation
        pass
    finally:
        for module in later:
            del sys.modules[module.__name__]
            module.importing = False
    return _import()


def _import() -> tuple[type[Any], type[Any]]:
    from alpaca.data.live.stock import StockDataStream
    from alpaca.trading.stream import TradingStream

    return StockDataStream, TradingStream
