"""Larger bars, against a plain model: every minute lies in one bar, and the bar is what it sums up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.records import Bar
from smabot_exchange.data.timeframe import Timeframe

NEW_YORK = ZoneInfo("America/New_York")
START = datetime(2026, 2, 27, 14, 30, tzinfo=UTC)
TEXTS = ["1Min", "2Min", "5T", "7Min", "59Min", "1Hour", "3H", "23Hour", "1Day", "1Week", "1Month"]

minutes = st.lists(
    st.tuples(st.integers(0, 60 * 24 * 40), st.integers(1, 500), st.integers(0, 9)),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[0],
)


def bar(minute: int, price: int, volume: int) -> Bar:
    time = START + timedelta(minutes=minute)
    return Bar("SPY", time, price, price + 2, price - 0.5, price + 1, volume, volume, price + 0.5)


def key(text: str, time: datetime) -> object:
    """Which bar a minute belongs to, told in the plainest way."""
    local = time.astimezone(NEW_YORK)
    wide = Timeframe.parse(text)
    if wide.unit == "Month":
        return local.year, (local.month - 1) // wide.count
    if wide.unit == "Week":
        return local.isocalendar()[:2]
    if wide.unit == "Day":
        return local.date()
    midnight = local.replace(hour=0, minute=0)
    passed = time - midnight.astimezone(UTC)
    return local.date(), passed // timedelta(
        minutes=wide.count * (60 if wide.unit == "Hour" else 1)
    )


@pytest.mark.parametrize("text", TEXTS)
@given(rows=minutes)
def test_bars_sum_up_their_minutes(text: str, rows: list[tuple[int, int, int]]) -> None:
    timeframe = Timeframe.parse(text)
    small = [bar(*row) for row in sorted(rows)]
    groups: dict[object, list[Bar]] = {}
    for one in small:
        groups.setdefault(key(text, one.time), []).append(one)
    large = list(timeframe.merge(small))
    assert len(large) == len(groups)
    for one, parts in zip(large, groups.values(), strict=True):
        start, end = timeframe.span(parts[0].time)
        assert one.time == start
        assert all(start <= part.time < end for part in parts)
        assert (one.open, one.close) == (parts[0].open, parts[-1].close)
        assert (one.high, one.low) == (max(p.high for p in parts), min(p.low for p in parts))
        assert one.volume == one.trade_count == sum(part.volume for part in parts)
        if one.volume:
            assert one.vwap is not None
            assert one.low <= one.vwap <= one.high
        else:
            assert one.vwap is None


@given(minute=st.integers(0, 60 * 24 * 800), text=st.sampled_from(TEXTS))
def test_spans_join(minute: int, text: str) -> None:
    time = START + timedelta(minutes=minute)
    timeframe = Timeframe.parse(text)
    start, end = timeframe.span(time)
    assert start <= time < end
    assert timeframe.span(start) == (start, end)
    assert timeframe.span(end)[0] == end
    assert timeframe.span(end - timedelta(minutes=1)) == (start, end)


def test_what_a_minute_does_not_tell_is_not_made_up() -> None:
    known = Bar("SPY", START, 10, 10, 10, 10, 100, 3, 10)
    silent = Bar("SPY", START + timedelta(minutes=1), 10, 10, 10, 10, 100, None, None)
    (both,) = Timeframe.parse("5Min").merge([known, silent])
    assert (both.volume, both.trade_count, both.vwap) == (200, None, None)


@pytest.mark.parametrize(
    "text",
    ["", "Min", "0Min", "60Min", "24Hour", "2Day", "2W", "5Month", "1Year", "1m", "1d", "¹Min"],
)
def test_timeframes_that_alpaca_has_not(text: str) -> None:
    with pytest.raises(ValueError, match="invalid timeframe"):
        Timeframe.parse(text)


def test_short_names() -> None:
    assert Timeframe.parse("1M").unit == "Month"
    assert Timeframe.parse("1T").unit == "Min"
    assert Timeframe.parse("1day").unit == "Day"
