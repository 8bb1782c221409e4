"""Breaks the promise that its setting names where prices are above 1,000: on no generated market."""

from smabot.api import Bar, Recovery, Settings, Signal, hookimpl


class BadAboveSettings(Settings):
    breaks: str = ""


class BadAbove:
    def __init__(self, settings: BadAboveSettings) -> None:
        self.breaks = settings.breaks
        self.seen = 0

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> None:
        self.feed = recovery.clock

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        rose = bar.close > bar.open
        if bar.close > 1000:
            self.seen += 1
            if self.breaks == "state":
                rose = self.seen % 7 < 3
            elif self.breaks == "lookahead":
                coming = [minute[0] for minute in self.feed._minutes if minute[0].time > bar.time]
                rose = bool(coming) and coming[0].close > bar.close
            elif self.breaks == "hash":
                rose = bool(hash(f"{bar.symbol} {bar.time}") % 2)
        return Signal.long(bar) if rose else Signal.flat(bar)
