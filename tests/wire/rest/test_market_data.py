"""Bars, trades, quotes and snapshots; alpaca-py's StockHistoricalDataClient, unchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from smabot_exchange.matching.account import AccountTerms

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOTH = ["SPY", "IBM"]


@pytest.fixture
def place(serve: Any) -> Any:
    """Thirty minutes in which SPY rises by a dollar each and IBM misses every third."""
    spy = [100.0 + index for index in range(30)]
    ibm = [None if index % 3 == 2 else 50.0 for index in range(30)]
    place = serve({"SPY": spy, "IBM": ibm})
    place.play(30)
    return place


def test_bars_of_the_client(data: Any) -> None:
    bars = data.get_stock_bars(
        StockBarsRequest(
            symbol_or_symbols=BOTH,
            timeframe=TimeFrame.Minute,
            start=OPEN,
            end=OPEN + 5 * MINUTE,
            feed=DataFeed.IEX,
            adjustment=Adjustment.RAW,
        )
    )
    assert [bar.timestamp for bar in bars["SPY"]] == [OPEN + n * MINUTE for n in range(6)]
    assert [bar.timestamp for bar in bars["IBM"]] == [OPEN + n * MINUTE for n in (0, 1, 3, 4)]
    third = bars["SPY"][2]
    assert (third.open, third.high, third.low, third.close) == (101, 102, 101, 102)
    assert (third.volume, third.trade_count, third.vwap) == (100_000, None, None)


def test_bars_by_pages_are_the_same_bars(data: Any, call: Any) -> None:
    span = {"symbols": "SPY,IBM", "timeframe": "1Min", "start": OPEN.isoformat()}
    whole = call.get("/v2/stocks/bars", **span, limit=10_000)
    assert whole["next_page_token"] is None
    for limit in (1, 7, 20, 29, 30, 49, 50):
        pages: dict[str, list[Any]] = {}
        token, count = None, 0
        while True:
            page = call.get("/v2/stocks/bars", **span, limit=limit, page_token=token)
            told = sum(map(len, page["bars"].values()))
            assert 0 < told <= limit
            for symbol, bars in page["bars"].items():
                pages.setdefault(symbol, []).extend(bars)
            token, count = page["next_page_token"], count + 1
            if token is None:
                break
        assert pages == whole["bars"]
        assert count == -(-50 // limit)


def test_the_newest_first(call: Any, minute: Any) -> None:
    asked = {"timeframe": "1Min", "start": OPEN.isoformat(), "sort": "desc", "limit": 2}
    first = call.get("/v2/stocks/SPY/bars", **asked)
    assert [bar["t"] for bar in first["bars"]] == [minute(29), minute(28)]
    second = call.get("/v2/stocks/SPY/bars", **asked, page_token=first["next_page_token"])
    assert [bar["t"] for bar in second["bars"]] == [minute(27), minute(26)]


def test_both_ends_are_included(call: Any, minute: Any) -> None:
    asked = {"timeframe": "1Min", "start": minute(3), "end": minute(4)}
    bars = call.get("/v2/stocks/SPY/bars", **asked)["bars"]
    assert [bar["t"] for bar in bars] == [minute(3), minute(4)]


def test_what_is_not_played_is_not_there(serve: Any, call_at: Any, minute: Any) -> None:
    place = serve({"SPY": [100.0] * 5})
    call = call_at(place)
    asked = {"timeframe": "1Min", "start": minute(0), "end": minute(5)}
    assert call.get("/v2/stocks/SPY/bars", **asked)["bars"] is None
    assert call.get("/v2/stocks/bars/latest", symbols="SPY") == {"bars": {}}
    assert call.get("/v2/stocks/snapshots", symbols="SPY") == {}
    assert call("GET", "/v2/stocks/SPY/bars/latest").status_code == 404
    place.play(2)
    assert len(call.get("/v2/stocks/SPY/bars", **asked)["bars"]) == 2


def test_by_default_it_is_the_day_up_to_now(call: Any, minute: Any) -> None:
    bars = call.get("/v2/stocks/SPY/bars", timeframe="1Min")["bars"]
    assert (bars[0]["t"], len(bars)) == (minute(0), 30)


def test_a_date_is_new_yorks(call: Any) -> None:
    asked = {"timeframe": "1Day", "start": "2026-03-02", "end": "2026-03-02"}
    (day,) = call.get("/v2/stocks/SPY/bars", **asked)["bars"]
    assert day["t"] == "2026-03-02T05:00:00Z"


def test_unknown_symbols_are_absent(call: Any, data: Any) -> None:
    asked = {"timeframe": "1Min", "start": OPEN.isoformat()}
    assert call.get("/v2/stocks/bars", symbols="NO,NONE", **asked)["bars"] == {}
    assert list(call.get("/v2/stocks/bars", symbols="SPY,NO", **asked)["bars"]) == ["SPY"]
    for kind in ("bars", "trades", "quotes"):
        latest = call.get(f"/v2/stocks/{kind}/latest", symbols="NO,SPY")[kind]
        assert list(latest) == ["SPY"]
    assert list(call.get("/v2/stocks/snapshots", symbols="NO,SPY")) == ["SPY"]


def test_symbols_in_any_case(call: Any) -> None:
    assert list(call.get("/v2/stocks/bars/latest", symbols="spy,SPY")["bars"]) == ["SPY"]


@pytest.mark.parametrize(
    ("timeframe", "counts"),
    [
        (TimeFrame(5, TimeFrameUnit.Minute), [5] * 6),
        (TimeFrame(7, TimeFrameUnit.Minute), [4, 7, 7, 7, 5]),
        (TimeFrame.Hour, [30]),
        (TimeFrame.Day, [30]),
        (TimeFrame.Week, [30]),
        (TimeFrame.Month, [30]),
    ],
    ids=str,
)
def test_larger_timeframes(data: Any, timeframe: Any, counts: list[int]) -> None:
    bars = data.get_stock_bars(
        StockBarsRequest(
            symbol_or_symbols="SPY", timeframe=timeframe, start=datetime(2026, 3, 1, tzinfo=UTC)
        )
    )["SPY"]
    assert [bar.volume / 100_000 for bar in bars] == counts
    ends = [sum(counts[: index + 1]) - 1 for index in range(len(counts))]
    assert [bar.close for bar in bars] == [100 + end for end in ends]
    assert [bar.high for bar in bars] == [100 + end for end in ends]
    assert bars[0].open == 100
    assert sorted(bar.timestamp for bar in bars) == [bar.timestamp for bar in bars]


def test_where_larger_bars_start(call: Any) -> None:
    def starts(timeframe: str) -> list[str]:
        found = call.get("/v2/stocks/SPY/bars", timeframe=timeframe, start="2026-01-01")
        return [bar["t"] for bar in found["bars"]]

    assert starts("7Min")[:2] == ["2026-03-02T14:27:00Z", "2026-03-02T14:34:00Z"]
    assert starts("1Hour") == ["2026-03-02T14:00:00Z"]
    assert starts("4H") == ["2026-03-02T13:00:00Z"]
    assert starts("1D") == ["2026-03-02T05:00:00Z"]
    assert starts("1Week") == ["2026-03-02T05:00:00Z"]
    assert starts("3Month") == ["2026-01-01T05:00:00Z"]


def test_larger_bars_by_pages(call: Any) -> None:
    asked = {"symbols": "IBM,SPY", "timeframe": "10Min", "start": "2026-03-02"}
    whole = call.get("/v2/stocks/bars", **asked)["bars"]
    first = call.get("/v2/stocks/bars", **asked, limit=4)
    second = call.get("/v2/stocks/bars", **asked, limit=4, page_token=first["next_page_token"])
    assert second["next_page_token"] is None
    assert first["bars"]["IBM"] == whole["IBM"]
    assert first["bars"]["SPY"] + second["bars"]["SPY"] == whole["SPY"]


def test_latest_of_the_client(data: Any) -> None:
    last = OPEN + 29 * MINUTE
    bars = data.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=BOTH))
    assert (bars["SPY"].timestamp, bars["SPY"].close) == (last, 129)
    assert bars["IBM"].timestamp == last - MINUTE
    trade = data.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))["SPY"]
    assert (trade.price, trade.size) == (129, 100)
    assert last < trade.timestamp < last + MINUTE
    quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="SPY"))["SPY"]
    assert (quote.bid_price, quote.ask_price) == (128.99, 129.01)


def test_quotes_show_the_spread(serve: Any, call_at: Any) -> None:
    place = serve(terms=AccountTerms(half_spread=Decimal("0.05")))
    place.play(2)
    call = call_at(place)
    quote = call.get("/v2/stocks/SPY/quotes/latest")["quote"]
    assert (quote["bp"], quote["ap"]) == (99.95, 100.05)
    assert call.get("/v2/stocks/SPY/snapshot")["latestQuote"] == quote
    assert call.get("/v2/stocks/SPY/quotes", start=OPEN.isoformat())["quotes"][-1] == quote
    assert call.get("/v2/stocks/SPY/trades/latest")["trade"]["p"] == 100


def test_trades_and_quotes_of_the_client(data: Any) -> None:
    span = {"symbol_or_symbols": BOTH, "start": OPEN, "end": OPEN + 4 * MINUTE}
    trades = data.get_stock_trades(StockTradesRequest(**span))
    assert [trade.price for trade in trades["SPY"]] == [100, 101, 102, 103]
    assert len({trade.id for trade in trades["SPY"]}) == 4
    quotes = data.get_stock_quotes(StockQuotesRequest(**span))
    assert [quote.ask_price for quote in quotes["IBM"]] == [50.01] * 3


def test_snapshots_of_the_client(data: Any) -> None:
    snapshots = data.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=BOTH))
    spy = snapshots["SPY"]
    assert spy.latest_trade.price == spy.minute_bar.close == spy.daily_bar.close == 129
    assert (spy.daily_bar.open, spy.daily_bar.low, spy.daily_bar.volume) == (100, 100, 3_000_000)
    assert spy.previous_daily_bar is None


def test_the_day_before_in_snapshots(serve: Any, call_at: Any) -> None:
    place = serve("simulated:symbols=2,sessions=2")
    call = call_at(place)
    while place.exchange.calendar.trading_date(place.exchange.now).day == 2:
        place.play(1)
    asked = {"timeframe": "1Day", "start": "2026-03-02"}
    place.play(5)
    days = call.get("/v2/stocks/SPY/bars", **asked)["bars"]
    snapshot = call.get("/v2/stocks/SPY/snapshot")
    assert [snapshot["prevDailyBar"], snapshot["dailyBar"]] == days
    minutes = call.get("/v2/stocks/SPY/bars", timeframe="1Min", start="2026-03-02", limit=390)
    assert days[0]["n"] == sum(bar["n"] for bar in minutes["bars"])
    assert days[0]["v"] == sum(bar["v"] for bar in minutes["bars"])
    assert min(bar["l"] for bar in minutes["bars"]) < days[0]["vw"] < days[0]["h"]


def test_adjustments_may_be_combined(call: Any) -> None:
    bars = [
        call.get("/v2/stocks/SPY/bars", timeframe="1Min", start="2026-03-02", adjustment=adjustment)
        for adjustment in ("raw", "split,spin-off", "split,dividend,spin-off", "all")
    ]
    assert bars[0]["bars"]
    assert all(each == bars[0] for each in bars)


BAD = [
    ("bars", {"symbols": "SPY"}, "timeframe is required"),
    ("bars", {"timeframe": "1Min"}, "symbols is required"),
    ("bars", {"timeframe": "61Min"}, "invalid timeframe: 61Min"),
    ("bars", {"timeframe": "2Day"}, "invalid timeframe: 2Day"),
    ("bars", {"timeframe": "bar"}, "invalid timeframe: bar"),
    ("bars", {"timeframe": "1Min", "start": "yesterday"}, "invalid start: yesterday"),
    ("bars", {"timeframe": "1Min", "start": "2026-03-02T14:30:00"}, "invalid start"),
    ("bars", {"timeframe": "1Min", "end": "2026-13-01"}, "invalid end"),
    ("bars", {"timeframe": "1Min", "limit": "0"}, "limit must be between 1 and 10000"),
    ("bars", {"timeframe": "1Min", "limit": "10001"}, "limit must be between 1 and 10000"),
    ("bars", {"timeframe": "1Min", "limit": "many"}, "limit must be between 1 and 10000"),
    ("bars", {"timeframe": "1Min", "feed": "cta"}, "invalid feed: cta"),
    ("bars", {"timeframe": "1Min", "adjustment": "no"}, "invalid adjustment: no"),
    ("bars", {"timeframe": "1Min", "adjustment": "split,no"}, "invalid adjustment: no"),
    ("bars", {"timeframe": "1Min", "sort": "up"}, "invalid sort: up"),
    ("bars", {"timeframe": "1Min", "page_token": "?"}, "invalid page_token"),
    ("bars", {"timeframe": "1Min", "currency": "EUR"}, "invalid currency: EUR"),
    ("bars", {"symbols": "$", "timeframe": "1Min"}, "invalid symbol: $"),
    ("trades/latest", {"symbols": ""}, "symbols is required"),
    ("snapshots", {"feed": "no"}, "invalid feed: no"),
]


@pytest.mark.parametrize(("path", "params", "message"), BAD, ids=lambda value: str(value))
def test_bad_parameters(ask: Any, path: str, params: dict[str, str], message: str) -> None:
    if message != "symbols is required":
        params = {"symbols": "SPY", **params}
    response = ask("GET", f"/v2/stocks/{path}", params=params)
    assert response.status_code == 400
    assert list(response.json()) == ["message"]
    assert response.json()["message"].startswith(message)
