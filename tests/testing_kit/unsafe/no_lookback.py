"""Looks at 12 closes and does not say so."""

from collections import deque

from smabot.api import Bar, Signal, hookimpl


class NoLookback:
    def __init__(self) -> None:
        self.closes: dict[str, deque[float]] = {}

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        closes = self.closes.setdefault(bar.symbol, deque(maxlen=12))
        closes.append(bar.close)
        if len(closes) < 12:
            return None
        return Signal.long(bar) if bar.close > sum(closes) / 12 else Signal.flat(bar)
