"""Takes its time at each bar."""

from smabot.api import Bar, Signal, hookimpl


class Slow:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        total = sum(number * number for number in range(4_000_000))
        return Signal.long(bar) if total and bar.close > bar.open else Signal.flat(bar)
