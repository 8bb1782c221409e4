"""Keeps the last close in a variable of the module: in one process it seems to survive."""

from smabot.api import Bar, Signal, hookimpl

LAST: dict[str, float] = {}


class ModuleState:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        rose = bar.close > LAST.get(bar.symbol, 0.0)
        LAST[bar.symbol] = bar.close
        return Signal.long(bar) if rose else Signal.flat(bar)
