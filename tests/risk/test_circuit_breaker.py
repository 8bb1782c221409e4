from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side, Status

FAILED = (Status.REJECTED, Status.UNKNOWN)
ONLY_FAILURES = {"max_failures": 3, "max_session_drawdown": 0, "max_peak_drawdown": 0}
ONLY_SESSION = {"max_failures": 0, "max_session_drawdown": "0.05", "max_peak_drawdown": 0}
ONLY_PEAK = {"max_failures": 0, "max_session_drawdown": 0, "max_peak_drawdown": "0.10"}


def fail(bot: Any, times: int, symbol: str = "SPY") -> None:
    for _ in range(times):
        bot.take(bot.submit(symbol), Status.REJECTED, reason="insufficient buying power")


def hold(bot: Any, shares: int, price: float = 100.0) -> None:
    """Hold shares bought at a price that stays."""
    bot.price("SPY", price)
    bot.fill(bot.submit(qty=shares), str(price))
    assert bot.book.holding("sma", "SPY") == shares


def test_there_is_one_row_from_the_first_start_on(desk: Any) -> None:
    bot = desk()
    assert bot.state.failure_count == 0
    assert not bot.state.tripped
    assert bot.told[0] == "armed, 0 failures"


def test_it_trips_at_so_many_failures_in_a_row(desk: Any) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    fail(bot, 2)
    assert (bot.state.failure_count, bot.state.tripped) == (2, False)
    fail(bot, 1)
    assert (bot.state.failure_count, bot.state.tripped) == (3, True)
    assert bot.state.tripped_at == bot.now
    assert bot.state.reason == (
        "3 submissions failed in a row, the last one rejected: insufficient buying power"
    )
    blocked = bot.submit()
    assert blocked.status is Status.BLOCKED
    assert blocked.reason == (
        "circuit breaker TRIPPED at 2026-03-02 15:00:00 UTC: 3 submissions failed in a row, the last "
        "one rejected: insufficient buying power; see `smabot breaker reset`"
    )


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.PARTIALLY_FILLED, Status.FILLED])
def test_a_submission_that_works_starts_the_count_anew(desk: Any, status: Status) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    fail(bot, 2)
    filled = {Status.PARTIALLY_FILLED: 4, Status.FILLED: 10}.get(status, 0)
    bot.take(bot.submit(), status, filled)
    assert bot.state.failure_count == 0
    fail(bot, 2)
    assert not bot.state.tripped


def test_news_that_is_told_twice_counts_once(desk: Any) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    order = bot.submit()
    bot.take(order, Status.UNKNOWN)
    bot.take(order, Status.UNKNOWN)
    bot.breaker.on_order(bot.book.order(order.client_order_id), bot.book)
    assert bot.state.failure_count == 1
    bot.take(order, Status.REJECTED)
    assert bot.state.failure_count == 1, "refused in the end: still one failure"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(Status), st.booleans()), max_size=30))
def test_the_count_is_that_of_failures_since_the_last_success(desk: Any, news: Any) -> None:
    bot = desk(breaker={**ONLY_FAILURES, "max_failures": 0})
    orders = [bot.submit(symbol) for symbol in ("SPY", "IBM", "F", "GE")]
    seen = dict.fromkeys(range(4), Status.PENDING)
    failed: set[int] = set()
    for which, status, restart in news:
        bot.at(bot.now + timedelta(seconds=1))
        if restart:
            bot.restart()
        bot.take(orders[which], status, orders[which].qty if status is Status.FILLED else 0)
        if status.rank > seen[which].rank:
            seen[which] = status
            if status in FAILED:
                failed.add(which)  # unknown first and refused then: once
            elif status in (Status.ACCEPTED, Status.PARTIALLY_FILLED, Status.FILLED):
                failed.clear()
        assert bot.state.failure_count == len(failed)


@pytest.mark.parametrize("filled", [0, 4])
def test_news_that_leaves_an_order_open_takes_back_no_failure_at_a_restart(
    desk: Any, filled: int
) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    order, status = bot.submit(), Status.PARTIALLY_FILLED if filled else Status.ACCEPTED
    bot.take(order, status, filled)
    bot.at(bot.now + MINUTE)
    fail(bot, 1)
    bot.at(bot.now + MINUTE)
    bot.take(order, status, filled * 2)
    bot.restart()
    assert bot.state.failure_count == 1


def test_an_order_that_is_not_accepted_yet_takes_back_no_failure_at_a_restart(
    desk: Any, update_of: Any
) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    fail(bot, 1)
    bot.at(bot.now + MINUTE)
    received = update_of(bot.submit(), Status.SUBMITTED, bot.now)
    bot.restart(replace(received, submitted_at=bot.now))
    bot.restart()
    assert bot.state.failure_count == 1


def test_an_order_accepted_ahead_of_the_bots_time_takes_back_no_later_failure(
    desk: Any, update_of: Any
) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    ahead = bot.now + timedelta(seconds=2)
    accepted = update_of(bot.submit(), Status.ACCEPTED, ahead)
    bot.restart(replace(accepted, submitted_at=ahead))
    fail(bot, 1)
    bot.restart()
    assert bot.state.failure_count == 1


def test_a_failure_ahead_of_the_bots_time_does_not_count_again_after_a_reset(desk: Any) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    bot.price("SPY", 100.0)
    bot.take(bot.submit(), Status.REJECTED, time=bot.now + timedelta(seconds=2))
    bot.command("breaker reset")
    bot.restart()
    assert bot.state.failure_count == 0


def test_it_trips_at_a_fall_from_the_session_start(desk: Any) -> None:
    bot = desk(breaker=ONLY_SESSION)
    hold(bot, 500)
    bot.price("SPY", 90.01)
    assert not bot.state.tripped
    bot.price("SPY", 90.0)
    assert bot.state.tripped
    assert bot.state.tripped_at == bot.now
    assert bot.state.reason == (
        "equity fell 5.00% from the session opening equity (100,000.00 to 95,000.00), the limit is 5.00%"
    )


def test_the_gap_between_sessions_counts_for_the_later_one(desk: Any) -> None:
    bot = desk(breaker=ONLY_SESSION)
    hold(bot, 500)
    bot.price("SPY", 98.0)
    assert bot.state.session_equity == 100_000
    bot.at(datetime(2026, 3, 3, 14, 30, tzinfo=UTC))
    bot.restart()
    bot.price("SPY", 88.6)
    assert bot.state.session_date == date(2026, 3, 3)
    assert bot.state.session_equity == 99_000
    assert not bot.state.tripped
    bot.price("SPY", 88.0)
    assert bot.state.tripped


def test_a_fill_found_while_starting_does_not_hide_the_gap(desk: Any, update_of: Any) -> None:
    bot = desk(breaker=ONLY_SESSION)
    hold(bot, 500)
    late = bot.submit("SPY", Side.SELL, 100)
    bot.at(datetime(2026, 3, 3, 14, 31, tzinfo=UTC))
    bot.restart(update_of(late, Status.FILLED, bot.now, 100, "80"))
    assert bot.state.session_equity == 100_000
    assert bot.day(date(2026, 3, 3)).start_equity == 100_000


def test_it_trips_at_a_fall_from_the_peak_over_sessions(desk: Any) -> None:
    bot = desk(breaker=ONLY_PEAK)
    hold(bot, 1000)
    bot.price("SPY", 110.0)
    assert bot.state.peak_equity == 110_000
    bot.at(datetime(2026, 3, 3, 14, 30, tzinfo=UTC))
    bot.price("SPY", 105.0)
    bot.restart()
    bot.price("SPY", 99.01)
    assert not bot.state.tripped
    bot.price("SPY", 99.0)
    assert "fell 10.00% from the peak (110,000.00 to 99,000.00)" in bot.state.reason


def test_each_cause_can_be_switched_off(desk: Any) -> None:
    bot = desk()
    hold(bot, 900)
    bot.price("SPY", 20.0)
    fail(bot, 30)
    assert not bot.state.tripped


def test_exits_pass_a_tripped_breaker_unless_all_is_set(desk: Any) -> None:
    for block, status in (("entries", Status.PENDING), ("all", Status.BLOCKED)):
        bot = desk(breaker={**ONLY_FAILURES, "block": block})
        hold(bot, 10)
        fail(bot, 3, "IBM")
        assert bot.submit("SPY", Side.SELL, 10).status is status
        assert bot.submit("SPY", Side.BUY, 10).status is Status.BLOCKED
        assert bot.submit("SPY", Side.SELL, 11).status is Status.BLOCKED, "turns the holding over"


def test_it_stays_tripped_over_restarts_until_it_is_reset(desk: Any) -> None:
    bot = desk(breaker=ONLY_SESSION)
    hold(bot, 500)
    bot.price("SPY", 85.0)
    for day in (3, 4, 10):
        bot.at(datetime(2026, 3, day, 15, tzinfo=UTC))
        bot.restart()
        bot.price("SPY", 200.0)
        assert bot.told[0].startswith("TRIPPED at 2026-03-02 15:02:00 UTC: equity fell 7.50%")
        assert bot.submit("IBM").status is Status.BLOCKED
    assert bot.command("halt") is None
    assert bot.state.tripped
    bot.price("SPY", 100.0)
    answer = bot.command("breaker reset")
    assert answer.startswith("the circuit breaker is reset; it was: TRIPPED at 2026-03-02 15:02:00")
    bot.restart()
    assert bot.told[0] == "armed, 0 failures"
    assert (bot.state.tripped_at, bot.state.reason) == (None, "")
    assert bot.submit("SPY").status is Status.PENDING


def test_after_a_reset_the_falls_are_measured_from_there(desk: Any) -> None:
    bot = desk(breaker={**ONLY_SESSION, "max_peak_drawdown": "0.10"})
    hold(bot, 1000)
    bot.price("SPY", 80.0)
    assert bot.state.tripped
    bot.command("breaker reset")
    assert (bot.state.session_equity, bot.state.peak_equity) == (80_000, 80_000)
    bot.price("SPY", 79.0)
    assert not bot.state.tripped
    bot.price("SPY", 76.0)
    assert bot.state.tripped


def test_the_first_cause_is_kept(desk: Any) -> None:
    bot = desk(breaker={**ONLY_SESSION, "max_failures": 3})
    fail(bot, 2)
    hold_at = bot.submit("SPY", qty=500)
    failing = [bot.submit(symbol) for symbol in ("IBM", "F", "GE")]
    bot.price("SPY", 100.0)
    bot.fill(hold_at)
    bot.price("SPY", 80.0)
    cause = bot.state.reason
    for order in failing:
        bot.at(bot.now + timedelta(minutes=1))
        bot.take(order, Status.REJECTED)
    assert bot.state.failure_count == 3
    assert bot.state.reason == cause
    assert "equity fell" in cause


def test_a_reset_takes_back_the_failures(desk: Any) -> None:
    bot = desk(breaker=ONLY_FAILURES)
    fail(bot, 2)
    assert bot.command("breaker reset") == "the circuit breaker is reset; it was: armed, 2 failures"
    fail(bot, 2)
    assert not bot.state.tripped


@pytest.mark.parametrize("restart", [False, True])
def test_it_resets_itself_after_the_cool_down_on_the_exchange_clock(
    desk: Any, restart: bool
) -> None:
    bot = desk(breaker={**ONLY_FAILURES, "cool_down_minutes": 30})
    fail(bot, 3)
    tripped_at = bot.state.tripped_at
    bot.at(tripped_at + timedelta(minutes=30) - timedelta(microseconds=1))
    assert bot.submit().status is Status.BLOCKED
    if restart:
        bot.restart()
    bot.at(tripped_at + timedelta(minutes=30))
    assert bot.submit().status is Status.PENDING
    bot.price("SPY", 100.0)
    assert (bot.state.tripped, bot.state.failure_count) == (False, 0)


def test_a_minute_without_an_order_resets_it_too(desk: Any) -> None:
    bot = desk(breaker={**ONLY_SESSION, "cool_down_minutes": 2})
    hold(bot, 500)
    bot.price("SPY", 85.0)
    bot.price("SPY", 84.0)
    assert bot.state.tripped
    bot.price("SPY", 83.0)
    assert not bot.state.tripped
    assert bot.state.session_equity == bot.state.peak_equity == Decimal(91_500)


def test_nothing_is_written_where_nothing_changed(desk: Any) -> None:
    bot = desk(breaker=ONLY_SESSION)
    hold(bot, 500)
    row = bot.book.row(type(bot.state), "main")
    bot.price("SPY", 99.0)
    bot.price("SPY", 98.5)
    assert bot.book.row(type(bot.state), "main") is row
