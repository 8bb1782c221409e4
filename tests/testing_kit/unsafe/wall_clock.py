"""Trades by the computer's clock."""

from datetime import datetime

from smabot.api import Bar, Signal, hookimpl


class WallClock:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        early = datetime.now().year < 3000
        return Signal.long(bar) if early and bar.close > bar.open else Signal.flat(bar)
