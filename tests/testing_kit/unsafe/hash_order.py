"""Decides by hash(), which Python changes with each process."""

from smabot.api import Bar, Signal, hookimpl


class HashOrder:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        odd = hash(f"{bar.symbol} {bar.time}") % 2
        return Signal.long(bar) if odd else Signal.flat(bar)
