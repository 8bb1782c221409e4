"""Corporate actions on the wire: alpaca-py's client, activities of a split, and adjusted bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.enums import Adjustment, CorporateActionsType
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
from alpaca.data.timeframe import TimeFrame

from smabot.domain.order_terms import Side
from smabot_exchange.in_process import to_broker_order
from smabot_exchange.matching.orders import OrderChange, OrderRequest, OrderType

HEADER = "symbol,ex_date,kind,new_shares,old_shares,new_symbol"
ACTIONS = (
    "SPY,2026-03-03,split,3,2,",
    "IBM,2026-03-03,split,1,10,",
    "FB,2026-03-04,rename,,,META",
    "SPY,2026-03-05,split,2,1,",
)
OPENS = [datetime(2026, 3, day, 14, 30, tzinfo=UTC) for day in (2, 3)]


@pytest.fixture
def split_place(serve: Any, tmp_path: Path) -> Any:
    """SPY at 150 for three minutes, then at 100; IBM at 10, then at 100."""
    rows = [
        f"{symbol},{opens + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{price},{price},{price},{price},600,,"
        for opens, prices in zip(OPENS, ({"SPY": 150, "IBM": 10}, {"SPY": 100, "IBM": 100}), strict=True)
        for minute in range(3)
        for symbol, price in prices.items()
    ]  # fmt: skip
    folder = tmp_path / "bars"
    folder.mkdir()
    header = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap"
    folder.joinpath("all.csv").write_text("\n".join([header, *rows]) + "\n")
    folder.joinpath("corporate_actions.csv").write_text("\n".join([HEADER, *ACTIONS]) + "\n")
    return serve(str(folder))


@pytest.fixture
def split_call(split_place: Any, call_at: Callable[[Any], Any]) -> Any:
    return call_at(split_place)


@pytest.fixture
def actions_client(split_place: Any) -> Iterator[CorporateActionsClient]:
    client = CorporateActionsClient("PKTEST", "the secret", url_override=split_place.url)
    client._session.trust_env = False
    yield client
    client._session.close()


def test_the_real_client_reads_the_list(actions_client: CorporateActionsClient) -> None:
    request = CorporateActionsRequest(start=date(2026, 3, 1), end=date(2026, 3, 31))
    found: Any = actions_client.get_corporate_actions(request)
    lists = found.data
    assert set(lists) == {"forward_splits", "reverse_splits", "name_changes"}
    assert [(each.symbol, each.new_rate, each.old_rate, each.ex_date) for each in lists["forward_splits"]] == [
        ("SPY", 3, 2, date(2026, 3, 3)), ("SPY", 2, 1, date(2026, 3, 5)),
    ]  # fmt: skip
    (reverse,) = lists["reverse_splits"]
    assert (reverse.symbol, reverse.new_rate, reverse.old_rate) == ("IBM", 1, 10)
    assert reverse.old_cusip != reverse.new_cusip
    (renamed,) = lists["name_changes"]
    assert (renamed.old_symbol, renamed.new_symbol, renamed.process_date) == (
        "FB", "META", date(2026, 3, 4),
    )  # fmt: skip


def test_the_list_is_filtered(actions_client: CorporateActionsClient, split_call: Any) -> None:
    request = CorporateActionsRequest(
        symbols=["SPY"], types=[CorporateActionsType.FORWARD_SPLIT],
        start=date(2026, 3, 3), end=date(2026, 3, 4),
    )  # fmt: skip
    found: Any = actions_client.get_corporate_actions(request)
    (split,) = found.data["forward_splits"]
    assert split.ex_date == date(2026, 3, 3)
    assert split_call.get("/v1/corporate-actions") == {
        "corporate_actions": {}, "next_page_token": None,
    }  # fmt: skip
    one = split_call.get("/v1/corporate-actions", ids=str(split.id))
    assert [each["id"] for each in one["corporate_actions"]["forward_splits"]] == [str(split.id)]


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_together_are_the_list(split_call: Any, sort: str) -> None:
    asked = {"start": "2026-03-01", "end": "2026-03-31", "sort": sort}
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = split_call.get("/v1/corporate-actions", **asked, limit=1, page_token=token)
        (entries,) = page["corporate_actions"].values()
        found += entries
        token, pages = page["next_page_token"], pages + 1
    assert pages == 4
    dates = [each["process_date"] for each in found]
    assert dates == sorted(dates, reverse=sort == "desc")
    assert len({each["id"] for each in found}) == 4


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"types": "splits"}, "invalid type: splits"),
        ({"start": "soon"}, "invalid start: soon is not a date like 2026-03-02"),
        ({"start": "2026-03-05", "end": "2026-03-04"}, "end should not be before start"),
        ({"limit": "1001"}, "limit must be between 1 and 1000"),
        ({"page_token": "what"}, "invalid page_token"),
        ({"ids": "1", "symbols": "SPY"}, "ids can't be used with other filters"),
        ({"sort": "up"}, "invalid sort: up"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    split_call: Any, asked: dict[str, str], message: str
) -> None:
    response = split_call("GET", "/v1/corporate-actions", params=asked)
    assert (response.status_code, response.json()) == (400, {"message": message})


def test_a_split_is_two_activities_among_the_fills(split_place: Any, split_call: Any) -> None:
    split_call.buy(5)
    split_call.sell(20, "IBM")
    split_place.play(4)
    split_call.buy(1)
    split_place.play()
    held = {each["symbol"]: each for each in split_call.get("/v2/positions")}
    assert (held["SPY"]["qty"], held["SPY"]["cost_basis"]) == ("8.5", "850")
    assert (held["IBM"]["qty"], held["IBM"]["cost_basis"]) == ("-2", "-200")
    splits = split_call.get("/v2/account/activities/SPLIT", direction="asc")
    assert {(each["symbol"], each["qty"], each["activity_sub_type"]) for each in splits} == {
        ("SPY", "-5", "FSPLIT"), ("SPY", "7.5", "FSPLIT"),
        ("IBM", "20", "RSPLIT"), ("IBM", "-2", "RSPLIT"),
    }  # fmt: skip
    assert {each["date"] for each in splits} == {"2026-03-03"}
    others = split_call.get(
        "/v2/account/activities", category="non_trade_activity", direction="asc"
    )
    assert others == splits
    everything = split_call.get("/v2/account/activities", direction="asc")
    kinds = [each["activity_type"] for each in everything]
    assert kinds == ["FILL"] * 2 + ["SPLIT"] * 4 + ["FILL"]
    for direction in ("asc", "desc"):
        paged, token = [], None
        for _ in range(7):
            asked = {"page_size": 1, "direction": direction, "page_token": token}
            (entry,) = split_call.get("/v2/account/activities", **asked)
            paged.append(entry)
            token = entry["id"]
        assert split_call.get("/v2/account/activities", page_token=token, direction=direction) == []
        assert paged == (everything if direction == "asc" else everything[::-1])


def test_positions_and_account_show_the_split(split_place: Any, split_call: Any) -> None:
    split_call.buy(5)
    split_place.play(3)
    before = split_call.get("/v2/account")
    split_place.play()
    position = split_call.get("/v2/positions/SPY")
    assert (position["qty"], position["avg_entry_price"], position["cost_basis"]) == (
        "7.5",
        "100",
        "750",
    )
    assert (position["lastday_price"], position["current_price"], position["change_today"]) == (
        "100",
        "100",
        "0",
    )
    after = split_call.get("/v2/account")
    assert after["equity"] == before["equity"] == after["last_equity"] == "100000"


def test_bars_can_be_adjusted_for_splits(split_place: Any, split_call: Any) -> None:
    def closes(symbol: str, adjustment: str, timeframe: str = "1Min") -> list[tuple[float, float]]:
        answer = split_call.get(
            "/v2/stocks/bars",
            symbols=symbol,
            timeframe=timeframe,
            start="2026-03-02",
            adjustment=adjustment,
        )
        return [(bar["c"], bar["v"]) for bar in answer["bars"][symbol]]

    split_place.play(3)
    assert closes("SPY", "split") == closes("SPY", "raw") == [(150, 600)] * 3
    split_place.play(3)
    assert closes("SPY", "raw") == [(150, 600)] * 3 + [(100, 600)] * 3
    assert closes("SPY", "split") == [(100, 900)] * 3 + [(100, 600)] * 3
    assert closes("IBM", "all") == [(100, 60)] * 3 + [(100, 600)] * 3
    assert closes("IBM", "dividend") == closes("IBM", "raw")
    assert closes("SPY", "split", "1Day") == [(100, 2700), (100, 1800)]


def test_the_real_clients_adjusted_bars(split_place: Any) -> None:
    client = StockHistoricalDataClient("PKTEST", "the secret", url_override=split_place.url)
    client._session.trust_env = False
    split_place.play(6)
    request = StockBarsRequest(
        symbol_or_symbols="SPY",
        timeframe=TimeFrame.Minute,
        start=OPENS[0],
        adjustment=Adjustment.SPLIT,
    )
    bars: Any = client.get_stock_bars(request)
    assert {bar.close for bar in bars.data["SPY"]} == {100.0}
    client._session.close()


def test_a_replacement_says_what_it_replaced(split_place: Any) -> None:
    exchange = split_place.exchange
    first = exchange.submit(
        OrderRequest("SPY", Side.BUY, Decimal(1), OrderType.LIMIT, Decimal(50))
    ).order
    second = exchange.replace(first.id, OrderChange(limit_price=Decimal(51)))
    assert to_broker_order(second).replaces == str(first.id)
    assert to_broker_order(exchange.order(first.id)).replaces == ""
