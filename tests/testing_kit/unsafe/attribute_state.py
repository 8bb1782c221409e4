"""Counts bars in an attribute, which a kill loses."""

from smabot.api import Bar, Signal, hookimpl


class Counts:
    def __init__(self) -> None:
        self.bars = 0

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        self.bars += 1
        return Signal.long(bar) if self.bars % 9 < 4 else Signal.flat(bar)
