"""A limit belongs to the exchange's trading date, over every boundary and a restart at each."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.order_terms import Side, Status

INSTANTS = st.datetimes(
    datetime(2025, 11, 4), datetime(2026, 12, 29), timezones=st.just(UTC)
)  # fmt: skip


def ny(text: str) -> datetime:
    """An instant by the clock in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)


def oracle(xnys: Any, time: datetime) -> date:
    local = time.astimezone(ZoneInfo("America/New_York")).date()
    found: date = xnys.date_to_session(local.isoformat(), direction="next").date()
    return found


OFF = (
    "max_trades", "max_loss", "max_exposure", "max_exposure_per_symbol", "max_order_notional",
)  # fmt: skip
BOUNDARIES = {
    "midnight UTC, 19:00 in New York": ("2026-03-02T18:59:59", "2026-03-02T19:00:00", False),
    "midnight in New York": ("2026-03-02T23:59:59", "2026-03-03T00:00:00", True),
    "into the week-end": ("2026-03-06T23:59:59", "2026-03-07T00:00:00", True),
    "Saturday to Sunday": ("2026-03-14T23:59:59", "2026-03-15T00:00:00", False),
    "out of the week-end": ("2026-03-15T23:59:59", "2026-03-16T00:00:00", False),
    "into a long week-end": ("2026-07-02T23:59:59", "2026-07-03T00:00:00", True),
    "within a long week-end": ("2026-07-03T23:59:59", "2026-07-04T00:00:00", False),
    "into a holiday": ("2026-11-25T23:59:59", "2026-11-26T00:00:00", True),
    "a holiday to a half day": ("2026-11-26T23:59:59", "2026-11-27T00:00:00", False),
    "the close of a half day": ("2026-11-27T12:59:59", "2026-11-27T13:00:00", False),
    "a half day's afternoon": ("2026-11-27T13:00:00", "2026-11-27T16:00:00", False),
    "out of a half day": ("2026-11-27T23:59:59", "2026-11-28T00:00:00", True),
    "the spring change": ("2026-03-08T01:59:59", "2026-03-08T03:00:00", False),
    "midnight before the spring change": ("2026-03-07T23:59:59", "2026-03-08T00:00:00", False),
    "midnight after the spring change": ("2026-03-09T23:59:59", "2026-03-10T00:00:00", True),
    "the autumn change": ("2026-11-01T00:59:59", "2026-11-01T02:00:00", False),
    "midnight after the autumn change": ("2026-11-02T23:59:59", "2026-11-03T00:00:00", True),
    "New Year's Eve": ("2025-12-31T23:59:59", "2026-01-01T00:00:00", True),
}


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("name", BOUNDARIES)
def test_a_limit_starts_anew_where_the_date_does_and_nowhere_else(
    desk: Any, xnys: Any, name: str, restart: bool
) -> None:
    before, after, is_new = BOUNDARIES[name]
    limits = dict.fromkeys(OFF, 0)
    bot = desk(ny(before), limits={**limits, "max_orders": 1})
    bot.mark(bot.now)
    bot.fill(bot.submit())
    assert bot.submit().status is Status.BLOCKED
    bot.at(ny(after))
    if restart:
        bot.restart()
    assert bot.submit().status is (Status.PENDING if is_new else Status.BLOCKED)
    assert (oracle(xnys, ny(before)) != oracle(xnys, ny(after))) is is_new
    day = bot.day(oracle(xnys, ny(after)))
    assert (day.order_count, day.trade_count) == (1, 0 if is_new else 1)


@given(time=INSTANTS, later=st.timedeltas(timedelta(), timedelta(days=4)), restart=st.booleans())
def test_the_date_is_that_of_the_exchange(
    desk: Any, xnys: Any, time: datetime, later: timedelta, restart: bool
) -> None:
    bot = desk(time)
    order = bot.submit()
    filled_at = min(time + later, datetime(2026, 12, 30, tzinfo=UTC))
    bot.at(filled_at)
    if restart:
        bot.restart()
    bot.fill(order, time=filled_at)
    ordered, traded = oracle(xnys, time), oracle(xnys, filled_at)
    assert bot.day(ordered).order_count == 1
    assert bot.day(traded).trade_count == 1
    assert bot.state.session_date == traded
    assert bot.symbol("SPY").trading_date == ordered


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_the_week_end_has_mondays_baseline(desk: Any, restart: bool) -> None:
    bot = desk(ny("2026-03-06T15:57:00"))
    bot.price("SPY", 100.0)
    bot.fill(bot.submit(qty=100))
    bot.price("SPY", 99.0)
    for instant, price in (("2026-03-07T12:00:00", 98.0), ("2026-03-09T09:30:00", 97.0)):
        bot.at(ny(instant))
        if restart:
            bot.restart()
        bot.price("SPY", price)
    assert bot.day(date(2026, 3, 9)).start_equity == 99_900
    assert bot.state.session_equity == 99_900
    bot.fill(bot.submit("SPY", Side.SELL, 100), "97")
    assert bot.day(date(2026, 3, 9)).realized_pnl == -300
    assert bot.day(date(2026, 3, 6)).realized_pnl == 0
