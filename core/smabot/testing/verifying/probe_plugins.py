"""Strategies that trade often, for plugins that need one beside them. They are safe to restart."""

from __future__ import annotations

from smabot.domain.records import Bar, Signal
from smabot.hooks.specifications import hookimpl


class Seesaw:
    """Holds what rose in the last minute, and decides every third one."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        if bar.time.minute % 3:
            return None
        return Signal.long(bar) if bar.close > bar.open else Signal.flat(bar)


class Holder:
    """Holds everything, but for a few minutes of each hour."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        return Signal.flat(bar) if bar.time.minute % 30 >= 26 else Signal.long(bar)


PROBES = (("probe_seesaw", Seesaw), ("probe_holder", Holder))


class BuyOnce:
    """Buys each symbol at its first bar, and holds it for ever."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        return Signal.long(bar)
