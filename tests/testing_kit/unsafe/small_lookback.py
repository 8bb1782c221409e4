"""Looks at 12 closes and says that it needs 5."""

from collections import deque

from smabot.api import Bar, Signal, hookimpl


class SmallLookback:
    def __init__(self) -> None:
        self.closes: dict[str, deque[float]] = {}

    @hookimpl
    def lookback(self) -> int:
        return 5

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        closes = self.closes.setdefault(bar.symbol, deque(maxlen=12))
        closes.append(bar.close)
        if len(closes) < 12:
            return None
        return Signal.long(bar) if bar.close > sum(closes) / 12 else Signal.flat(bar)
