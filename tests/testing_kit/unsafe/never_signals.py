"""Waits for a symbol that is not there."""

from smabot.api import Bar, Signal, hookimpl


class NeverSignals:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.symbol == "KO" else None
