"""The bars that history has delivered, so that the streams' bars join them without a seam."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from smabot.provider import Bar
from smabot_alpaca.feed.minute_assembly import REMEMBERED


class DeliveredBars:
    """``newest``: start of each symbol's newest bar; ``recent``: the newest minutes' bars."""

    def __init__(self) -> None:
        self.newest: dict[str, datetime] = {}
        self.recent: dict[datetime, dict[str, Bar]] = {}
        self._covered: dict[str, datetime] = {}

    def add_minute(self, minute: Sequence[Bar]) -> None:
        for bar in minute:
            self.newest[bar.symbol] = max(bar.time, self.newest.get(bar.symbol, bar.time))
            self.recent.setdefault(bar.time, {})[bar.symbol] = bar
        while len(self.recent) > REMEMBERED:
            del self.recent[min(self.recent)]

    def mark_covered(self, symbols: Collection[str], until: datetime) -> None:
        """History was read for these symbols up to the minute that starts at ``until``."""
        self._covered.update(dict.fromkeys(symbols, until))

    def covered_until(self, symbols: Collection[str], otherwise: datetime) -> datetime:
        """Return the newest minute for which history was read for all symbols; a symbol without counts
        as read up to ``otherwise``."""
        return min((self._covered.get(symbol, otherwise) for symbol in symbols), default=otherwise)
