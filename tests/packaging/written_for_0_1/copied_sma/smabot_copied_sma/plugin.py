"""SMA crossover: hold a symbol from where its fast average crosses above the slow one until it
crosses below.

A signal comes of a crossing alone: a bot that starts while fast is above slow waits for the next
one. Nothing but the last ``slow + 1`` closes decides, so that a restarted bot decides alike.
"""

from __future__ import annotations

from smabot.hookspecs import hookimpl
from smabot.records import Bar, Signal

from smabot_copied_sma.crossover import Crossover
from smabot_copied_sma.settings import SmaSettings


class Sma:
    """The plugin. Core makes it with the checked settings table of its name."""

    def __init__(self, settings: SmaSettings) -> None:
        self._settings = settings
        self._crossovers: dict[str, Crossover] = {}

    @hookimpl
    def lookback(self) -> int:
        """Return the longest window and one bar more: a crossing shows between two bars."""
        return self._settings.longest + 1

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        """Signal at a crossing, else nothing."""
        try:
            crossover = self._crossovers[bar.symbol]
        except KeyError:
            crossover = Crossover(*self._settings.windows(bar.symbol))
            self._crossovers[bar.symbol] = crossover
        crossing = crossover.add(bar.close)
        if crossing > 0:
            return Signal.long(bar, "fast average crossed above slow")
        if crossing < 0:
            return Signal.flat(bar, "fast average crossed below slow")
        return None
