"""What clients see of a past that lies before the clock's start."""

from __future__ import annotations

from typing import Any

import pytest

from smabot_exchange.ledger.beginning import Beginning


@pytest.fixture
def past(serve: Any, call_at: Any) -> Any:
    place = serve("simulated:symbols=2", beginning=Beginning(30))
    return place, call_at(place)


def test_thirty_daily_bars_and_the_day_before(past: Any) -> None:
    place, call = past
    clock = call.get("/v2/clock")
    assert (clock["timestamp"], clock["is_open"]) == ("2026-04-14T09:30:00-04:00", True)
    asked = {"timeframe": "1Day", "start": "2026-01-01", "limit": 1000}
    days = call.get("/v2/stocks/SPY/bars", **asked)["bars"]
    assert len(days) == 30
    place.play(1)
    snapshot = call.get("/v2/stocks/SPY/snapshot")
    assert snapshot["prevDailyBar"] == days[-1]
    assert snapshot["dailyBar"]["t"] == "2026-04-14T04:00:00Z"


def test_the_account_was_worth_its_cash(past: Any) -> None:
    _, call = past
    history = call.get("/v2/account/portfolio/history", period="1M", timeframe="1D")
    assert len(history["equity"]) >= 20
    assert set(history["equity"]) == {100_000}
    assert call.get("/v2/calendar", start="2026-03-02", end="2026-04-14")[0]["date"] == "2026-03-02"
    assert call.get("/_exchange")["progress"] == [0, 780]
