"""Clock and calendar in both of Alpaca's versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

NYSE = {
    "acronym": "NYSE", "name": "New York Stock Exchange", "mic": "XNYS",
    "timezone": "America/New_York",
}  # fmt: skip


def test_the_newer_clock_tells_the_phase_of_each_market(call: Any) -> None:
    clocks = call.get("/v3/clock", markets="NYSE,xnas")["clocks"]
    assert [clock["market"]["acronym"] for clock in clocks] == ["NYSE", "NASDAQ"]
    assert clocks[0] == {
        "market": NYSE,
        "timestamp": "2026-03-02T09:30:00-05:00",
        "is_market_day": True,
        "next_market_open": "2026-03-03T09:30:00-05:00",
        "next_market_close": "2026-03-02T16:00:00-05:00",
        "phase": "core",
        "phase_until": "2026-03-02T16:00:00-05:00",
    }


def test_without_markets_all_that_share_the_hours_are_told(call: Any) -> None:
    found = {clock["market"]["mic"] for clock in call.get("/v3/clock")["clocks"]}
    assert found == {"XNYS", "XNAS", "IEXG", "OTCM"}


@pytest.mark.parametrize(
    "time, phase, until, market_day",
    [
        ("2026-03-02T03:59:00-05:00", "closed", "2026-03-02T04:00:00-05:00", True),
        ("2026-03-02T04:00:00-05:00", "pre", "2026-03-02T09:30:00-05:00", True),
        ("2026-03-02T16:00:00-05:00", "post", "2026-03-02T20:00:00-05:00", True),
        ("2026-03-02T20:00:00-05:00", "closed", "2026-03-03T04:00:00-05:00", True),
        ("2026-11-27T14:00:00-05:00", "post", "2026-11-27T17:00:00-05:00", True),
        ("2026-07-04T12:00:00-04:00", "closed", "2026-07-06T04:00:00-04:00", False),
        ("2010-06-01T12:00:00Z", "pre", "2010-06-01T09:30:00-04:00", True),
    ],
)
def test_the_clock_of_another_time(
    call: Any, time: str, phase: str, until: str, market_day: bool
) -> None:
    (clock,) = call.get("/v3/clock", markets="IEX", time=time)["clocks"]
    assert (clock["phase"], clock["phase_until"]) == (phase, until)
    assert clock["is_market_day"] is market_day
    assert datetime.fromisoformat(clock["timestamp"]) == datetime.fromisoformat(time)


def test_the_newer_calendar_has_the_hours_of_each_day(call: Any) -> None:
    found = call.get("/v3/calendar/NYSE", start="2026-03-02", end="2026-03-02")
    assert found == {
        "market": NYSE,
        "calendar": [
            {
                "date": "2026-03-02",
                "pre_start": "2026-03-02T04:00:00-05:00",
                "pre_end": "2026-03-02T09:30:00-05:00",
                "core_start": "2026-03-02T09:30:00-05:00",
                "core_end": "2026-03-02T16:00:00-05:00",
                "post_start": "2026-03-02T16:00:00-05:00",
                "post_end": "2026-03-02T20:00:00-05:00",
                "settlement_date": "2026-03-03",
            }
        ],
    }
    days = call.get("/v3/calendar/XNAS", timezone="UTC")["calendar"]
    assert [day["date"] for day in days] == [
        "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06", "2026-03-09",
    ]  # fmt: skip
    assert days[0]["core_start"] == "2026-03-02T14:30:00Z"


@pytest.mark.parametrize(
    "path, params, words",
    [
        ("/v3/calendar/LSE", {}, "invalid market: LSE"),
        ("/v3/clock", {"markets": "NYSE,JPX"}, "invalid market: JPX"),
        ("/v3/clock", {"time": "noon"}, "invalid time: noon"),
        ("/v3/calendar/NYSE", {"start": "March"}, "invalid start"),
        ("/v3/calendar/NYSE", {"timezone": "PST"}, "invalid timezone: PST"),
    ],
)
def test_what_the_newer_calls_refuse(call: Any, path: str, params: Any, words: str) -> None:
    response = call("GET", path, params=params)
    assert response.status_code == 400
    assert words in response.json()["message"]


def test_the_calendar_reaches_from_1990_to_2036(call: Any) -> None:
    days = call.get("/v2/calendar")
    assert (days[0]["date"], days[-1]["date"]) == ("1990-01-02", "2036-12-31")
    assert len({day["date"] for day in days}) == len(days) > 11_000
    february = call.get("/v2/calendar", start="2026-02-01", end="2026-02-28")
    assert len(february) == 19
    assert february[-1]["settlement_date"] == "2026-03-02"


def test_days_without_data_are_no_sessions(serve: Any, call_at: Any) -> None:
    two_days = [100.0] * 5 + [None] * (2 * 24 * 60 - 5) + [100.0] * 5
    call = call_at(serve({"SPY": two_days}))
    days = [day["date"] for day in call.get("/v2/calendar", start="2026-02-27", end="2026-03-05")]
    assert days == ["2026-02-27", "2026-03-02", "2026-03-04", "2026-03-05"]


def test_days_by_their_settlement(call: Any) -> None:
    span = {"start": "2026-03-09", "end": "2026-03-09"}
    days = call.get("/v2/calendar", date_type="SETTLEMENT", **span)
    assert [(day["date"], day["settlement_date"]) for day in days] == [("2026-03-06", "2026-03-09")]


def test_after_the_data_the_clock_says_closed(place: Any, call: Any) -> None:
    while place.exchange.advance() is not None:
        pass
    clock = call.get("/v2/clock")
    assert clock == {
        "timestamp": "2026-03-02T16:00:00-05:00",
        "is_open": False,
        "next_open": "2026-03-03T09:30:00-05:00",
        "next_close": "2026-03-03T16:00:00-05:00",
    }
    assert call.buy()["status"] == "accepted"
