"""A journal in memory for a backtest, whose data may be larger than memory: its bars stay with the feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from operator import attrgetter

from smabot.domain.book_view import EPOCH
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
        self._reading: Iterator[list[Bar]] = iter(())
        self._minute: list[Bar] = []
        self._passed = EPOCH

    def _keep_bars(self, bars: Sequence[Bar]) -> None:
        if bars:
            self._counts.update(map(_symbol_of, bars))
            self._newest = bars[-1].time

    def bar_counts(self) -> dict[str, int]:
        return dict(self._counts)

    def newest_bar(self) -> datetime | None:
        return self._newest

    def bars_within(self, since: datetime, until: datetime, symbol: str | None = None) -> list[Bar]:
        """Return the bars that start from ``since`` to ``until``, as `smabot.hooks.ports.BarRows`.

        Who asks for one span after the other has the history read once.
        """
        found: list[Bar] = []
        self._go_to(since)
        while self._minute and (time := self._minute[0].time) <= until:
            found += [bar for bar in self._minute if symbol in (None, bar.symbol)]
            if time == until:
                break  # others may ask for the same minute
            self._pass()
        return found

    def _go_to(self, since: datetime) -> None:
        """Make ``_minute`` the first one from a time on; empty where there is none."""
        if not self._minute or since <= self._passed:
            self._reading = self._feed.history(list(self._counts), since - MINUTE, 0)
            self._minute, self._passed = next(self._reading, []), since - MINUTE
        while self._minute and self._minute[0].time < since:
            self._pass()

    def _pass(self) -> None:
        self._passed = self._minute[0].time
        self._minute = next(self._reading, [])

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        """Yield the newest minutes that have a bar of the symbols, so many, once one was committed."""
        if self._counts:
            yield from self._feed.history(symbols, None, lookback)
