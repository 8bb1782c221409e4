"""Lists by pages, and answers that change with what is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot_exchange.matching.account import AccountTerms
from smabot_exchange.matching.costs import Costs

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def test_orders_by_pages_of_until(place: Any, call: Any) -> None:
    sent = []
    for index in range(7):
        sent.append(call.buy(1, type="limit", limit_price=f"{50 + index}")["id"])
        place.play(1)
    found, until = [], None
    while page := call.get("/v2/orders", limit=3, until=until):
        found += [order["id"] for order in page]
        until = page[-1]["submitted_at"]
    assert found == sent[::-1]
    forward, after = [], None
    while page := call.get("/v2/orders", limit=3, after=after, direction="asc"):
        forward += [order["id"] for order in page]
        after = page[-1]["submitted_at"]
    assert forward == sent


@pytest.mark.parametrize(
    ("direction", "name"), [("asc", "after_order_id"), ("desc", "before_order_id")]
)
def test_orders_of_one_instant_by_pages(call: Any, direction: str, name: str) -> None:
    sent = [call.buy(1, type="limit", limit_price=f"{50 + index}")["id"] for index in range(7)]
    found: list[str] = []
    last = None
    while page := call.get("/v2/orders", limit=3, direction=direction, **{name: last}):
        found += [order["id"] for order in page]
        last = page[-1]["id"]
    assert found == (sent if direction == "asc" else sent[::-1])


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_activities_by_pages(serve: Any, call_at: Any, direction: str) -> None:
    place = serve(volume=20)
    call = call_at(place)
    call.buy(9)
    call.buy(5, "IBM")
    place.play(5)
    whole = call.get("/v2/account/activities", direction=direction)
    assert len(whole) == 8
    times = [fill["transaction_time"] for fill in whole]
    assert times == sorted(times, reverse=direction == "desc")
    found: list[Any] = []
    token = None
    while page := call.get(
        "/v2/account/activities/FILL", direction=direction, page_size=3, page_token=token
    ):
        found += page
        token = page[-1]["id"]
    assert found == whole
    assert len({fill["id"] for fill in whole}) == 8


def test_activities_by_time(place: Any, call: Any) -> None:
    for _ in range(4):
        call.buy(1)
        place.play(1)
    everything = call.get("/v2/account/activities", direction="asc")
    times = [fill["transaction_time"] for fill in everything]
    assert call.get("/v2/account/activities", after=times[1], direction="asc") == everything[2:]
    assert call.get("/v2/account/activities", until=times[1]) == everything[:1]
    assert len(call.get("/v2/account/activities", date="2026-03-02")) == 4
    assert call.get("/v2/account/activities", date="2026-03-01") == []


def test_activities_by_kind(place: Any, call: Any) -> None:
    call.buy(1)
    place.play(1)
    path = "/v2/account/activities"
    assert len(call.get(path, activity_types="DIV,FILL")) == 1
    assert len(call.get(path, category="trade_activity")) == 1
    assert call.get(path, category="non_trade_activity") == []
    assert call.get(path, activity_types="DIV") == []
    assert call.get(f"{path}/DIV") == []


def test_partial_fills_in_activities(serve: Any, call_at: Any) -> None:
    place = serve(volume=20)
    call = call_at(place)
    call.buy(5)
    place.play(3)
    fills = call.get("/v2/account/activities", direction="asc")
    told = [(f["qty"], f["cum_qty"], f["leaves_qty"], f["type"], f["order_status"]) for f in fills]
    assert told == [
        ("2", "2", "3", "partial_fill", "partially_filled"),
        ("2", "4", "1", "partial_fill", "partially_filled"),
        ("1", "5", "0", "fill", "filled"),
    ]


def test_an_order_is_pending_in_a_session_and_accepted_outside(place: Any, call: Any) -> None:
    first = call.buy(1, type="limit", limit_price="90", time_in_force="gtc")
    assert first["status"] == "pending_new"
    assert call.get(f"/v2/orders/{first['id']}")["status"] == "new"
    while place.exchange.advance():
        pass
    assert call.buy(1, type="limit", limit_price="90")["status"] == "accepted"


def test_numbers_as_numbers_or_text(call: Any) -> None:
    for qty, price in ((10, 90.5), ("10", "90.5"), (10.0, "90.50"), ("10.0", 90.50)):
        order = call.buy(qty, type="limit", limit_price=price)
        assert (order["qty"], order["limit_price"]) == ("10", "90.5")


def test_symbols_as_tickers_or_asset_ids(call: Any) -> None:
    asset = call.get("/v2/assets/SPY")
    assert call.buy(1, asset["id"])["symbol"] == "SPY"
    assert call.buy(1, "spy")["symbol"] == "SPY"


def test_fields_unknown_here_are_passed_over(call: Any) -> None:
    assert call.buy(1, no_such_field=1)["symbol"] == "SPY"


@pytest.mark.parametrize("text", ["True", "true", "1"])
def test_cancel_orders_in_any_spelling(place: Any, call: Any, text: str) -> None:
    call.buy(10)
    place.play(1)
    call.sell(10, type="limit", limit_price="150")
    response = call("DELETE", "/v2/positions", params={"cancel_orders": text})
    assert response.status_code == 207
    assert [(one["symbol"], one["status"]) for one in response.json()] == [("SPY", 200)]


def test_no_content_where_an_order_is_canceled(call: Any) -> None:
    order = call.buy(1, type="limit", limit_price="90")
    response = call("DELETE", f"/v2/orders/{order['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-type" not in response.headers


def test_a_short_position_has_negative_numbers(serve: Any, call_at: Any) -> None:
    place = serve({"SPY": [100.0, 100.0, 110.0, 110.0]}, terms=AccountTerms(multiplier=2))
    call = call_at(place)
    order = call.sell(10)
    assert order["position_intent"] == "sell_to_open"
    place.play(3)
    position = call.get("/v2/positions/SPY")
    assert (position["side"], position["qty"]) == ("short", "-10")
    assert (position["market_value"], position["cost_basis"]) == ("-1100", "-1000")
    assert (position["unrealized_pl"], position["unrealized_plpc"]) == ("-100", "-0.1")
    account = call.get("/v2/account")
    assert (account["short_market_value"], account["equity"]) == ("-1100", "99900")
    assert account["position_market_value"] == "1100"


def test_an_order_shows_what_it_was_charged(serve: Any, call_at: Any) -> None:
    costs = Costs(commission_per_share=Decimal("0.0125"), commission_minimum=Decimal(1))
    place = serve({"SPY": [100.0, 100.0, 110.0, 110.0]}, terms=AccountTerms(costs=costs))
    call = call_at(place)
    order = call.buy(100)
    assert "commission" not in order
    place.play(2)
    assert call.get(f"/v2/orders/{order['id']}")["commission"] == "1.25"
    assert call.get("/v2/account")["cash"] == "89998.75"


def test_the_history_of_days(serve: Any, call_at: Any) -> None:
    place = serve("simulated:symbols=1,sessions=3")
    call = call_at(place)
    call.buy(10)
    while place.exchange.advance():
        pass
    history = call.get("/v2/account/portfolio/history", period="1M", timeframe="1D")
    days = [datetime.fromtimestamp(stamp, UTC) for stamp in history["timestamp"]]
    assert days == [datetime(2026, 3, day, tzinfo=UTC) for day in (3, 4, 5)]
    assert history["equity"][-1] == float(call.get("/v2/account")["equity"])
    gains = [equity - history["base_value"] for equity in history["equity"]]
    assert history["profit_loss"] == pytest.approx(gains)
    assert history["profit_loss_pct"] == pytest.approx(
        [gain / history["base_value"] for gain in gains], abs=1e-8
    )


def test_the_history_of_minutes_between_two_times(place: Any, call: Any) -> None:
    place.play(20)
    asked = {
        "start": (OPEN + timedelta(minutes=5)).isoformat(),
        "end": (OPEN + timedelta(minutes=15)).isoformat(),
        "timeframe": "5Min",
    }
    history = call.get("/v2/account/portfolio/history", **asked)
    starts = [datetime.fromtimestamp(stamp, UTC) for stamp in history["timestamp"]]
    assert starts == [OPEN + timedelta(minutes=5), OPEN + timedelta(minutes=10)]


def test_half_days_and_holidays_in_the_calendar(serve: Any, call_at: Any) -> None:
    place = serve({"SPY": [100.0] * 5}, start=datetime(2026, 11, 25, 14, 30, tzinfo=UTC))
    call = call_at(place)
    day, half, monday = call.get("/v2/calendar", start="2026-11-25", end="2026-11-30")
    assert [one["date"][-2:] for one in (day, half, monday)] == ["25", "27", "30"]
    assert half == {
        "date": "2026-11-27",
        "open": "09:30",
        "close": "13:00",
        "session_open": "0400",
        "session_close": "1700",
        "settlement_date": "2026-11-30",
    }
    assert (day["settlement_date"], day["session_close"]) == ("2026-11-27", "2000")


def test_one_key_may_make_many_requests_at_once(place: Any, call_at: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    calls = [call_at(place) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: calls[n % 4].post("buy", 1, client_order_id=f"{n // 2}"), range(40))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [422] * 20
    assert len(place.exchange.orders("all")) == 20
