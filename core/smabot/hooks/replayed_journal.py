"""A journal in memory for a backtest, whose data may be larger than memory: its bars stay with the feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from operator import attrgetter

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Bar
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.ports import Feed

_symbol_of = attrgetter("symbol")


class ReplayedJournal(MemoryJournal):
    """Counts the bars that are committed, and reads them from the feed's history."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._counts: Counter[str] = Counter()
        self._newest: datetime | None = None

    def _keep_bars(self, bars: Sequence[Bar]) -> None:
        if bars:
            self._counts.update(map(_symbol_of, bars))
            self._newest = bars[-1].time

    def bar_counts(self) -> dict[str, int]:
        return dict(self._counts)

    def newest_bar(self) -> datetime | None:
        return self._newest

    def bars_within(self, since: datetime, until: datetime, symbol: str | None = None) -> list[Bar]:
        """Return the bars that start from ``since`` to ``until``, as `smabot.hooks.ports.BarRows`."""
        found: list[Bar] = []
        for minute in self._feed.history(
            [symbol] if symbol else list(self._counts), since - MINUTE, 0
        ):
            if minute[0].time > until:
                break
            found += minute
        return found

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        """Yield the newest minutes that have a bar of the symbols, so many, once one was committed."""
        if self._counts:
            yield from self._feed.history(symbols, None, lookback)
