"""Imports alpaca-py's streams without what they don't need.

They drag in its models, its requests and its other clients, and with those pandas and numpy: most of the
import's time, and 80 MB, for objects that this plugin never makes. While the streams are imported something
else stands in their place: a model becomes the real one at its first use. What is imported so stays out of
`sys.modules`, so that whoever else imports alpaca-py gets all of it.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("alpaca.data", "alpaca.data.live", "alpaca.trading")
"""Their modules are imported, but not what the packages import themselves."""
MODELS = (
    "alpaca.data.models",
    "alpaca.data.models.bars",
    "alpaca.data.models.quotes",
    "alpaca.data.models.trades",
)


class _Model:
    """What annotations name, and a caller of the class gets."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *values: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(self._module), self._name)(*values, **named)


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Model(self.__name__, name)


@cache
def streams() -> tuple[type[Any], type[Any]]:
    """Return alpaca-py's ``StockDataStream`` and ``TradingStream``."""
    if any(name in sys.modules for name in PACKAGES):
        return _import()
    try:
        return _import_alone()
    except (AttributeError, ImportError, TypeError):  # this alpaca-py needs more than their names
        return _import()


def _import_alone() -> tuple[type[Any], type[Any]]:
    import alpaca

    before = {*sys.modules}
    for name in (*PACKAGES, *MODELS):
        module = sys.modules[name] = _StandIn(name)
        if name in PACKAGES:
            folder = Path(*name.split(".")[1:])
            module.__path__ = [str(path / folder) for path in map(Path, alpaca.__path__)]
    try:
        return _import()
    finally:
        for name in {*sys.modules} - before:
            if name.startswith(PACKAGES):
                del sys.modules[name]


def _import() -> tuple[type[Any], type[Any]]:
    from alpaca.data.live.stock import StockDataStream
    from alpaca.trading.stream import TradingStream

    return StockDataStream, TradingStream
