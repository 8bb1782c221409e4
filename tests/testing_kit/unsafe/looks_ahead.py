"""Takes the next bar from the feed that it was shown at the start."""

from smabot.api import Bar, Recovery, Signal, hookimpl


class LooksAhead:
    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> None:
        self.feed = recovery.clock

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        coming = [
            each
            for minute in self.feed._minutes
            for each in minute
            if each.symbol == bar.symbol and each.time > bar.time
        ]
        if not coming:
            return None
        return Signal.long(bar) if coming[0].close > bar.close else Signal.flat(bar)
