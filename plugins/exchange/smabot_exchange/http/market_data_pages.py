"""Market data in pages: the limit counts over all symbols, which follow one another by name.

https://docs.alpaca.markets/reference/stockbars. A page token is the symbol and the time of the last
item sent; as at Alpaca clients don't read it.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smabot.provider import MINUTE, Bar, Calendar
from smabot_exchange.data.timeframe import Timeframe
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import MarketDataRefused
from smabot_exchange.json_forms.market_data_json import stamp

DEFAULT_LIMIT = 1_000
LONGEST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class BarRange:
    """What a request asks for: bars of a timeframe that start from ``start`` to ``end``, both included."""

    symbols: Sequence[str]
    timeframe: Timeframe
    start: datetime
    end: datetime
    limit: int = DEFAULT_LIMIT
    descending: bool = False
    adjusted: bool = False
    """Whether prices are in shares of now."""


def page(
    exchange: Exchange, span: BarRange, token: str | None
) -> tuple[dict[str, list[Bar]], str | None]:
    """Return the bars of a page by symbol, and the token of the next page if there is one.

    Raises DataError for a token that is none.
    """
    symbols = sorted(set(span.symbols).intersection(exchange.symbols))
    resume, after = (None, None) if token is None else _read_token(token)
    if resume is not None:
        symbols = [symbol for symbol in symbols if symbol >= resume]
    found: dict[str, list[Bar]] = {}
    left = span.limit
    last: Bar | None = None
    for symbol, bars in _by_symbol(exchange, span, symbols):
        if symbol == resume and after is not None:
            bars = [b for b in bars if (b.time < after if span.descending else b.time > after)]
        if not bars:
            continue
        if not left:
            assert last is not None
            return found, _write_token(last)
        kept = bars[:left]
        found[symbol] = kept
        left -= len(kept)
        last = kept[-1]
        if len(kept) < len(bars):
            return found, _write_token(last)
    return found, None


def _by_symbol(
    exchange: Exchange, span: BarRange, symbols: Sequence[str]
) -> Iterator[tuple[str, list[Bar]]]:
    """Yield each symbol's bars, reading no more symbols at once than a page may need."""
    timeframe = span.timeframe
    now = exchange.now
    if span.start > span.end or span.start >= now:
        return
    end = min(span.end, now)
    until = end if timeframe.minute else timeframe.span(end)[1] - MINUTE
    start = _first_start(timeframe, span.start)
    each = max(_session_minutes(exchange.calendar, start, min(until, now)), 1)
    at_once = max(span.limit // each, 1) + 1
    for index in range(0, len(symbols), at_once):
        some = symbols[index : index + at_once]
        minutes: defaultdict[str, list[Bar]] = defaultdict(list)
        for bar in exchange.bars(some, start, until):
            minutes[bar.symbol].append(bar)
        for symbol in some:
            bars: Iterable[Bar] = minutes[symbol]
            as_stored = exchange.wrong_bars.as_stored
            if span.adjusted:
                bars = exchange.adjusted(symbol, minutes[symbol])
            found = as_stored(bars) if timeframe.minute else list(timeframe.merge(bars))
            yield symbol, found[::-1] if span.descending else found


def _first_start(timeframe: Timeframe, start: datetime) -> datetime:
    """Return the first start of a bar from an instant on."""
    if timeframe.minute:
        return start
    begun, following = timeframe.span(start)
    return start if begun == start else following


def _session_minutes(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Return how many minutes of sessions lie between two instants."""
    total = timedelta()
    for session in calendar.sessions:
        total += max(min(session.close, end) - max(session.open, start), timedelta())
    return int(total / MINUTE)


def shaped(
    found: dict[str, list[Bar]], shape: Callable[..., dict[str, object]], offset: timedelta
) -> dict[str, list[dict[str, object]]]:
    """Return bars as JSON shows them, or as the trades or quotes made of them.

    Bars of many symbols share their minutes: each one's time is written once.
    """
    times: dict[datetime, str] = {}

    def text(time: datetime) -> str:
        known = times.get(time)
        if known is None:
            known = times[time] = stamp(time + offset)
        return known

    return {symbol: [shape(bar, text(bar.time)) for bar in bars] for symbol, bars in found.items()}


def _write_token(last: Bar) -> str:
    return urlsafe_b64encode(f"{last.symbol}|M|{last.time.isoformat()}".encode()).decode()


def _read_token(token: str) -> tuple[str, datetime]:
    try:
        symbol, _, time = urlsafe_b64decode(token).decode().split("|")
        after = datetime.fromisoformat(time)
        if after.tzinfo is None:
            raise ValueError
    except (binascii.Error, ValueError):
        raise MarketDataRefused("invalid page_token") from None
    return symbol, after
