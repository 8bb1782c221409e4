"""Bars of the past: paged right, only closed ones of regular sessions, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.calendar import MINUTE, Calendar, Session
from smabot.domain.records import Bar
from smabot.errors import BrokerError
from smabot_alpaca.rest import bar_history as module
from smabot_alpaca.rest.bar_history import BarHistory

MakeBar = Callable[..., Bar]
At = Callable[[str], datetime]


class Archive:
    """Pages as Alpaca does: by symbol, then time; the limit counts over symbols; the end is included.

    ``most`` bars a page, however high the limit; every other page is shorter than it need be.
    """

    def __init__(self, bars: list[Bar], most: int = 10_000) -> None:
        self.bars = sorted(bars, key=lambda bar: (bar.symbol, bar.time))
        self.most = most
        self.asked: list[Mapping[str, Any]] = []

    def get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        assert path == "/v2/stocks/bars"
        assert (params["timeframe"], params["adjustment"]) == ("1Min", "raw")
        assert len(urlencode(params)) < 6000
        self.asked.append(params)
        symbols = params["symbols"].split(",")
        start, end = (datetime.fromisoformat(params[name]) for name in ("start", "end"))
        found = [b for b in self.bars if b.symbol in symbols and start <= b.time <= end]
        begin = int(params.get("page_token", 0))
        size = min(self.most, params["limit"])
        if begin % 2 == 0 and begin:
            size = max(size // 2, 1)
        page: dict[str, list[dict[str, Any]]] = {}
        for bar in found[begin : begin + size]:
            row = dict(zip("ohlcv", bar[2:7], strict=True))
            page.setdefault(bar.symbol, []).append(
                {"t": f"{bar.time:%Y-%m-%dT%H:%M:%SZ}", "n": bar.trade_count, "vw": bar.vwap, **row}
            )
        token = str(begin + size) if begin + size < len(found) else None
        return {"bars": page, "next_page_token": token}


@pytest.fixture(scope="module")
def everything(calendar: Calendar, make_bar: MakeBar) -> list[Bar]:
    """Every minute of every session, and some beside them."""
    bars = []
    for session in calendar.sessions:
        time = session.open - 5 * MINUTE
        while time <= session.close + 5 * MINUTE:
            bars += [make_bar(symbol, time) for symbol in ("KO", "SPY")]
            time += MINUTE
    return bars


def regular(calendar: Calendar, bars: list[Bar]) -> list[Bar]:
    kept = [bar for bar in bars if calendar.session_at(bar.time)]
    return sorted(kept, key=lambda bar: (bar.time, bar.symbol))


def test_since_a_time_over_sessions(calendar: Calendar, everything: list[Bar], at: At) -> None:
    past = BarHistory(Archive(everything).get, calendar, "iex")
    since, now = at("2026-11-25 15:58"), at("2026-11-27 09:31") + timedelta(seconds=59)
    minutes = list(past.since(["SPY", "KO"], since, now))
    assert [minute[0].time for minute in minutes] == [
        at("2026-11-25 15:59"),
        at("2026-11-27 09:30"),
    ]
    assert all([bar.symbol for bar in minute] == ["KO", "SPY"] for minute in minutes)


def test_a_bar_that_has_not_closed_stays_out(
    calendar: Calendar, everything: list[Bar], at: At
) -> None:
    past = BarHistory(Archive(everything).get, calendar, "iex")
    just_before = at("2026-11-25 09:32") - timedelta(microseconds=1)
    assert [m[0].time for m in past.since(["SPY"], at("2026-11-24 10:00"), just_before)] == [
        at("2026-11-25 09:30")
    ]


@given(st.integers(1, 7), st.sampled_from([5, 100, 10_000]), st.integers(1, 3))
def test_however_it_is_paged(most: int, hours: int, batch: int) -> None:
    from datetime import date

    opens = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    calendar = Calendar([Session(date(2026, 11, 27), opens, opens + timedelta(hours=3.5))])
    names = ["A", "B", "C", "D"]
    bars = [
        Bar(name, opens + n * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0, 1, 1.0)
        for n in range(12)
        for number, name in enumerate(names)
        if n % (number + 1) == 0
    ]
    past = BarHistory(Archive(bars, most).get, calendar, "iex")
    found = past.since(names, opens - MINUTE, opens + hours * MINUTE)
    closed = [bar for bar in bars if bar.end <= opens + hours * MINUTE]
    assert [bar for minute in found for bar in minute] == closed


@pytest.mark.parametrize("count", [1, 31, 391, 700])
def test_the_newest_minutes_reach_back_over_sessions(
    calendar: Calendar, everything: list[Bar], at: At, count: int
) -> None:
    past = BarHistory(Archive(everything).get, calendar, "iex")
    now = at("2026-11-30 09:40")
    minutes = list(past.newest(["KO", "SPY"], count, now))
    closed = [bar for bar in regular(calendar, everything) if bar.end <= now]
    assert [bar for minute in minutes for bar in minute] == closed[-2 * count :]


def test_minutes_without_bars_do_not_count(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    rare = [make_bar("SPY", f"2026-11-25 {hour}:00") for hour in range(10, 16)]
    archive = Archive(rare)
    past = BarHistory(archive.get, calendar, "iex")
    minutes = list(past.newest(["SPY"], 4, at("2026-11-30 12:00")))
    assert minutes == [[bar] for bar in rare[-4:]]
    assert len(archive.asked) < 20
    assert list(past.newest(["SPY"], 9, at("2026-11-30 12:00"))) == [[bar] for bar in rare]
    assert list(past.newest(["SPY"], 0, at("2026-11-30 12:00"))) == []
    assert list(past.newest([], 4, at("2026-11-30 12:00"))) == []


def test_a_symbol_that_hardly_trades_does_not_use_the_rate_limit_up(make_bar: MakeBar) -> None:
    """Two years of sessions are looked through for it, at a start within the minute's 200 requests."""
    opens = datetime(2025, 1, 2, 14, 30, tzinfo=UTC)
    days = [
        opens + timedelta(days=n) for n in range(720) if (opens + timedelta(days=n)).weekday() < 5
    ]
    calendar = Calendar([Session(day.date(), day, day + timedelta(hours=6.5)) for day in days])
    archive = Archive([make_bar("RARE", days[3]), make_bar("RARE", days[400])])
    past = BarHistory(archive.get, calendar, "iex")
    found = list(past.newest(["RARE"], 31, days[-1] + timedelta(hours=2)))
    assert [minute[0].time for minute in found] == [days[3], days[400]]
    assert len(archive.asked) < 30


def test_many_symbols_make_several_requests(calendar: Calendar, at: At, make_bar: MakeBar) -> None:
    names = [f"SYM{number:05d}" for number in range(2000)]
    archive = Archive([make_bar(name, "2026-11-25 09:30") for name in names])
    past = BarHistory(archive.get, calendar, "iex")
    (minute,) = past.newest(names, 1, at("2026-11-25 09:31"))
    assert [bar.symbol for bar in minute] == names
    assert 2 < len(archive.asked) < 10


def test_five_hundred_symbols_are_warm_in_few_requests(
    calendar: Calendar, at: At, make_bar: MakeBar
) -> None:
    names = [f"S{number}" for number in range(500)]
    start = at("2026-11-25 10:00")
    bars = [make_bar(name, start + n * MINUTE) for name in names for n in range(31)]
    archive = Archive(bars)
    past = BarHistory(archive.get, calendar, "iex")
    assert sum(map(len, past.newest(names, 31, at("2026-11-25 10:31")))) == 15_500
    assert len(archive.asked) <= 4


def test_a_long_gap_is_read_in_parts(
    calendar: Calendar, everything: list[Bar], at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BARS_AT_ONCE", 100)
    archive = Archive(everything)
    past = BarHistory(archive.get, calendar, "iex")
    minutes = past.since(["KO", "SPY"], at("2026-11-25 09:29"), at("2026-11-25 16:30"))
    next(minutes)
    assert len(archive.asked) == 1
    assert sum(1 for _ in minutes) == 389
    assert len(archive.asked) == 8


@pytest.mark.parametrize(
    "answer",
    [{}, [], {"bars": []}, {"bars": {"SPY": 1}, "next_page_token": None},
     {"bars": {}, "next_page_token": "again"}],
)  # fmt: skip
def test_an_answer_that_can_not_be_read(calendar: Calendar, at: At, answer: Any) -> None:
    past = BarHistory(lambda path, params: answer, calendar, "iex")
    with pytest.raises(BrokerError):
        list(past.newest(["SPY"], 3, at("2026-11-25 12:00")))


def test_no_bars_at_all_is_told_by_null(calendar: Calendar, at: At) -> None:
    past = BarHistory(lambda *_: {"bars": None, "next_page_token": None}, calendar, "iex")
    assert list(past.newest(["SPY"], 3, at("2026-11-25 12:00"))) == []
