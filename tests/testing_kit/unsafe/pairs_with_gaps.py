"""Looks at 10 minutes that two symbols have in common, which may be more bars of each where one has gaps."""

from collections import deque

from smabot.api import Bar, Book, Signal, hookimpl


class Pairs:
    def __init__(self) -> None:
        self.ratios: deque[float] = deque(maxlen=10)

    @hookimpl
    def lookback(self) -> int:
        return 10

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        other = book.last.get("QQQ")
        if bar.symbol != "SPY" or other is None or other.time != bar.time:
            return None
        self.ratios.append(bar.close / other.close)
        if len(self.ratios) < 10:
            return None
        cheap = self.ratios[-1] < sum(self.ratios) / 10
        return Signal.long(bar) if cheap else Signal.flat(bar)
