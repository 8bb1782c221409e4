"""Closed bars of regular sessions by REST, minute by minute.

``GET /v2/stocks/bars`` (https://docs.alpaca.markets/reference/stockbars): ``limit`` counts over all
symbols, a page may be short though a ``next_page_token`` follows, ``end`` is inclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from loguru import logger

from smabot.provider import MINUTE, Bar, BrokerError, Calendar
from smabot_alpaca.bar_json import BarDecoder, MalformedData
from smabot_alpaca.clock import last_closed, session_spans
from smabot_alpaca.rest.data_pages import data_pages

Get = Callable[[str, Mapping[str, Any]], Any]

PATH = "/v2/stocks/bars"
PAGE = 10_000
SYMBOLS_LENGTH = 5_000
"""Characters of symbols in one URL; servers and proxies begin to refuse at 8 kB."""
BARS_AT_ONCE = 200_000
"""About so many bars are held at a time while a long gap is read."""

_by_minute = itemgetter(1, 0)


class BarHistory:
    """Reads bars of the past. Not safe to share between threads."""

    def __init__(self, get: Get, calendar: Calendar, feed: str, adjustment: str = "raw") -> None:
        """``adjustment``: what prices are adjusted for, ``raw`` for nothing: the prices that were traded."""
        self._get = get
        self._calendar = calendar
        self._feed = feed
        self._adjustment = adjustment
        self._decoder = BarDecoder(calendar)

    def since(
        self, symbols: Collection[str], since: datetime, now: datetime
    ) -> Iterator[list[Bar]]:
        """Yield the minutes that start after ``since`` and have ended at ``now``."""
        names, last = sorted(symbols), last_closed(now)
        most = max(BARS_AT_ONCE // max(len(names), 1), 1)
        for first, end in self._spans(since + MINUTE, last, most):
            yield from _minutes(self.between(names, first, end))

    def newest(self, symbols: Collection[str], count: int, now: datetime) -> Iterator[list[Bar]]:
        """Yield the newest ``count`` minutes that have bars, and have ended at ``now``.

        It looks back over as many sessions as that takes, in steps that double; each is asked for at
        once, as a symbol that hardly trades may take all sessions there are.
        """
        names, end = sorted(symbols), last_closed(now)
        found: list[list[Bar]] = []
        step = count
        while len(found) < count and (first := self._back(end, step)) is not None:
            found = [*_minutes(self.between(names, first, end)), *found]
            end, step = first - MINUTE, step * 2
        yield from found[-count:] if count else []

    def between(self, symbols: Sequence[str], first: datetime, last: datetime) -> list[Bar]:
        """Return the bars that start from ``first`` to ``last``, both included, oldest first.

        One that can't be read, or can't be, is left out. Raises BrokerError when they can't be had.
        """
        bars: list[Bar] = []
        if first > last:
            return bars
        for batch in in_batches(symbols):
            wanted = frozenset(batch)
            params = {
                "symbols": ",".join(batch), "timeframe": "1Min", "adjustment": self._adjustment,
                "feed": self._feed, "limit": PAGE,
                "start": f"{first:%Y-%m-%dT%H:%M:%SZ}", "end": f"{last:%Y-%m-%dT%H:%M:%SZ}",
            }  # fmt: skip
            bars += [
                bar
                for bar in self._pages(params)
                if first <= bar.time <= last and bar.symbol in wanted
            ]
        bars.sort(key=_by_minute)
        return bars

    def _pages(self, params: dict[str, Any]) -> Iterator[Bar]:
        for page in data_pages(partial(self._get, PATH), params, "bars by REST"):
            try:
                bars = page["bars"]
                decoded, unreadable = self._decoder.decode_page({} if bars is None else bars)
            except (MalformedData, KeyError, TypeError) as error:
                raise BrokerError(f"bars by REST can't be read: {error}") from error
            if unreadable:
                logger.warning("alpaca: {} of {} bars by REST left out; {}: {}", len(unreadable), len(unreadable) + len(decoded), *unreadable[0])  # fmt: skip
            yield from decoded

    def _back(self, end: datetime, count: int) -> datetime | None:
        """Return the start of the session minute that is the ``count``-th up to ``end``, or None."""
        first = None
        for session in reversed(self._calendar.sessions):
            last = min(end, session.close - MINUTE)
            if last < session.open:
                continue
            minutes = (last - session.open) // MINUTE + 1
            first = max(session.open, last - (count - 1) * MINUTE)
            count -= minutes
            if count <= 0:
                break
        return first

    def _spans(
        self, first: datetime, last: datetime, most: int
    ) -> Iterator[tuple[datetime, datetime]]:
        """Yield spans within sessions from ``first`` to ``last``, of at most ``most`` minutes."""
        for start, end in session_spans(self._calendar, first, last):
            while start <= end:
                yield start, min(end, start + (most - 1) * MINUTE)
                start += most * MINUTE


def _minutes(bars: Sequence[Bar]) -> Iterator[list[Bar]]:
    """Yield sorted bars by their minutes; of a duplicate bar the first."""
    minute: list[Bar] = []
    for bar in bars:
        if minute and bar.time != minute[0].time:
            yield minute
            minute = []
        if not minute or bar.symbol != minute[-1].symbol:
            minute.append(bar)
    if minute:
        yield minute


def in_batches(symbols: Sequence[str]) -> Iterator[list[str]]:
    """Yield the symbols in batches that keep a URL short; a comma is three characters there."""
    batch: list[str] = []
    length = 0
    for symbol in symbols:
        if batch and length + len(symbol) + 3 > SYMBOLS_LENGTH:
            yield batch
            batch, length = [], 0
        batch.append(symbol)
        length += len(symbol) + 3
    if batch:
        yield batch
