"""Compares with the average of all bars since it began, which no window restores."""

from smabot.api import Bar, Signal, hookimpl


class RunningSum:
    def __init__(self) -> None:
        self.sums: dict[str, tuple[float, int]] = {}

    @hookimpl
    def lookback(self) -> int:
        return 5

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        total, count = self.sums.get(bar.symbol, (0.0, 0))
        self.sums[bar.symbol] = total, count = total + bar.close, count + 1
        return Signal.long(bar) if bar.close > total / count else Signal.flat(bar)
