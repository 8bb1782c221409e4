"""Signals for the bar before, when it knows how that one went on."""

from smabot.api import Bar, Signal, hookimpl


class Repaints:
    def __init__(self) -> None:
        self.before: dict[str, Bar] = {}

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        before = self.before.get(bar.symbol)
        self.before[bar.symbol] = bar
        if before is None:
            return None
        return Signal.long(before) if bar.close > before.close else Signal.flat(before)
