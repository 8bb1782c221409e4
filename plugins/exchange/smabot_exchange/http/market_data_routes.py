"""The Market Data API v2 for stocks. https://docs.alpaca.markets/reference/stockbars

Every feed shows the same data: there is one source. Prices can be adjusted for splits; the data have no
dividends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smabot.provider import MINUTE, Bar
from smabot_exchange.data.timeframe import Timeframe, merged
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.answers import MarketDataRefused, answer
from smabot_exchange.http.market_data_pages import (
    DEFAULT_LIMIT,
    LONGEST_PAGE,
    BarRange,
    page,
    shaped,
)
from smabot_exchange.http.query import Query
from smabot_exchange.http.venue import Venue
from smabot_exchange.json_forms import market_data_json

FEEDS = ("iex", "sip", "delayed_sip", "otc", "boats", "overnight")
ADJUSTMENTS = ("raw", "split", "dividend", "spin-off", "all")

_SYMBOL = re.compile(r"[A-Za-z][A-Za-z0-9./-]{0,31}")
_LAST_MOMENT = MINUTE - timedelta(microseconds=1)
_AT_ONCE = 25
_KINDS = {"bars": timedelta(), "trades": _LAST_MOMENT, "quotes": _LAST_MOMENT}
"""When in its minute each happens."""


def routes(venue: Venue) -> list[Route]:
    """Return the routes under ``/v2/stocks``. Starlette runs these functions in threads."""
    exchange = venue.exchange
    shapes: dict[str, Callable[..., dict[str, Any]]] = {
        "bars": market_data_json.bar,
        "trades": market_data_json.trade,
        "quotes": partial(market_data_json.quote, half_spread=exchange.half_spread),
    }

    def history(kind: str) -> Callable[[Request], Response]:
        shape, offset = shapes[kind], _KINDS[kind]

        def many(request: Request) -> Response:
            query = _query(request)
            span = _span(query, kind, _symbols(query), exchange.now)
            found, token = page(exchange, span, query.text("page_token"))
            return answer({kind: shaped(found, shape, offset), "next_page_token": token})

        return many

    def history_of_one(kind: str) -> Callable[[Request], Response]:
        shape, offset = shapes[kind], _KINDS[kind]

        def one(request: Request) -> Response:
            query = _query(request)
            symbol = _symbol(request.path_params["symbol"])
            span = _span(query, kind, [symbol], exchange.now)
            found, token = page(exchange, span, query.text("page_token"))
            items = shaped(found, shape, offset).get(symbol)
            return answer({kind: items, "symbol": symbol, "next_page_token": token})

        return one

    def latest(kind: str) -> Callable[[Request], Response]:
        shape = shapes[kind]

        def many(request: Request) -> Response:
            bars = exchange.latest_bars(_symbols(_query(request)))
            return answer({kind: {symbol: shape(bar) for symbol, bar in bars.items()}})

        return many

    def latest_of_one(kind: str) -> Callable[[Request], Response]:
        shape = shapes[kind]
        name = kind.removesuffix("s")

        def one(request: Request) -> Response:
            _query(request)
            symbol = _symbol(request.path_params["symbol"])
            bar = exchange.latest_bars([symbol]).get(symbol)
            if bar is None:
                raise MarketDataRefused(f"no {name} found for {symbol}", 404)
            return answer({name: shape(bar), "symbol": symbol})

        return one

    def snapshots(request: Request) -> Response:
        return answer(_snapshots(venue, _symbols(_query(request))))

    def snapshot(request: Request) -> Response:
        _query(request)
        symbol = _symbol(request.path_params["symbol"])
        found = _snapshots(venue, [symbol]).get(symbol)
        if found is None:
            raise MarketDataRefused(f"no snapshot found for {symbol}", 404)
        return answer({"symbol": symbol, **found})

    paths: list[tuple[str, Callable[[Request], Response]]] = []
    for kind in _KINDS:
        paths += [
            (f"/v2/stocks/{kind}", history(kind)),
            (f"/v2/stocks/{kind}/latest", latest(kind)),
            (f"/v2/stocks/{{symbol}}/{kind}", history_of_one(kind)),
            (f"/v2/stocks/{{symbol}}/{kind}/latest", latest_of_one(kind)),
        ]
    paths += [
        ("/v2/stocks/snapshots", snapshots),
        ("/v2/stocks/{symbol}/snapshot", snapshot),
    ]
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in paths]


def _query(request: Request) -> Query:
    """Check what all these calls have in common."""
    query = Query(request, MarketDataRefused)
    query.choice("feed", FEEDS, "sip")
    currency = query.text("currency")
    if currency not in (None, "USD"):
        raise MarketDataRefused(f"invalid currency: {currency}; the data are in USD")
    return query


def _symbols(query: Query) -> list[str]:
    symbols = query.names("symbols")
    if not symbols:
        raise MarketDataRefused("symbols is required")
    return [_symbol(symbol) for symbol in symbols]


def _symbol(text: str) -> str:
    if not _SYMBOL.fullmatch(text):
        raise MarketDataRefused(f"invalid symbol: {text}")
    return text.upper()


def _span(query: Query, kind: str, symbols: list[str], now: datetime) -> BarRange:
    """Read what a call for history asks; by default it is the day up to now."""
    timeframe = Timeframe(1, "Min")
    offset, adjusted = _KINDS[kind], False
    if kind == "bars":
        text = query.text("timeframe")
        if text is None:
            raise MarketDataRefused("timeframe is required")
        try:
            timeframe = Timeframe.parse(text)
        except ValueError as error:
            raise MarketDataRefused(str(error)) from None
        for adjustment in query.names("adjustment"):
            if adjustment.lower() not in ADJUSTMENTS:
                raise MarketDataRefused(f"invalid adjustment: {adjustment}")
            adjusted = adjusted or adjustment.lower() in ("split", "all")
    return BarRange(
        symbols,
        timeframe,
        (query.time("start") or Timeframe(1, "Day").span(now)[0]) - offset,
        (query.time("end") or now) - offset,
        query.whole("limit", DEFAULT_LIMIT, LONGEST_PAGE),
        query.choice("sort", ("asc", "desc"), "asc") == "desc",
        adjusted,
    )


def _snapshots(venue: Venue, symbols: list[str]) -> dict[str, dict[str, Any]]:
    """Return the newest prices of each symbol that has traded, with its day and the day before.

    A few symbols at a time, so that other requests get their turns.
    """
    found: dict[str, dict[str, Any]] = {}
    for index in range(0, len(symbols), _AT_ONCE):
        some = symbols[index : index + _AT_ONCE]
        days = _days(venue.exchange, some)
        for symbol, bar in venue.exchange.latest_bars(some).items():
            today, before = (day.get(symbol) for day in days)
            found[symbol] = {
                "latestTrade": market_data_json.trade(bar),
                "latestQuote": market_data_json.quote(bar, half_spread=venue.exchange.half_spread),
                "minuteBar": market_data_json.bar(bar),
                "dailyBar": today and market_data_json.bar(today),
                "prevDailyBar": before and market_data_json.bar(before),
            }
    return found


def _days(exchange: Exchange, symbols: list[str]) -> list[dict[str, Bar]]:
    """Return the bars by symbol of the newest session that has begun, and of the one before."""
    now = exchange.now
    newest = [session for session in exchange.calendar.sessions if session.open < now][:-3:-1]
    days: list[dict[str, Bar]] = [{}, {}]
    for day, session in zip(days, newest, strict=False):
        minutes: dict[str, list[Bar]] = {}
        for bar in exchange.bars(symbols, session.open, session.close - MINUTE):
            minutes.setdefault(bar.symbol, []).append(bar)
        start = Timeframe(1, "Day").span(session.open)[0]
        day.update({symbol: merged(start, bars) for symbol, bars in minutes.items()})
    return days
