"""Keeps its promises, with a long window: compares a close with the average of as many before it."""

from collections import deque

from smabot.api import Bar, Settings, Signal, hookimpl


class LongLookbackSettings(Settings):
    bars: int = 2000


class LongLookback:
    def __init__(self, settings: LongLookbackSettings) -> None:
        self.bars = settings.bars
        self.windows: dict[str, deque[int]] = {}

    @hookimpl
    def lookback(self) -> int:
        return self.bars

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        window = self.windows.setdefault(bar.symbol, deque(maxlen=self.bars))
        window.append(round(bar.close * 100))
        if len(window) < self.bars:
            return None
        above = window[-1] * self.bars > sum(window)
        return Signal.long(bar) if above else Signal.flat(bar)
