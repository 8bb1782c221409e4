"""When a stream is stale: the one rule, without sockets, clocks or REST."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Status
from smabot.domain.records import OrderUpdate
from smabot_alpaca.streams.stream_health import (
    FRESH,
    DataStreamSeen,
    OrderSeen,
    data_stream_health,
    delivery_health,
    knows_more,
    trade_stream_health,
)

T0 = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
MOST = 2
PATIENCE = 5.0
UP = DataStreamSeen().after_up(T0)


def minutes(*numbers: int) -> list[datetime]:
    return [T0 + number * MINUTE for number in numbers]


def update(status: Status, filled: int = 0, name: str = "o") -> OrderUpdate:
    return OrderUpdate(name, status, T0, "broker-id", Decimal(filled), None)


def test_a_data_stream_is_stale_after_so_many_minutes_by_rest_alone() -> None:
    once = UP.after_rest(minutes(0))
    assert data_stream_health(once, MOST) == FRESH
    twice = once.after_rest(minutes(1))
    health = data_stream_health(twice, MOST)
    assert health.stale
    assert "REST has bars" in health.why


def test_many_bars_of_a_minute_are_one_minute() -> None:
    assert data_stream_health(UP.after_rest(minutes(0, 0, 0)), MOST) == FRESH


def test_a_bar_by_the_stream_begins_the_count_again() -> None:
    seen = UP.after_rest(minutes(0)).after_bars(T0 + 2 * MINUTE).after_rest(minutes(2))
    assert data_stream_health(seen, MOST) == FRESH
    assert data_stream_health(seen.after_rest(minutes(3)), MOST).stale


def test_holes_before_the_newest_streamed_bar_do_not_count() -> None:
    seen = UP.after_bars(T0 + 9 * MINUTE).after_rest(minutes(*range(9)))
    assert data_stream_health(seen, MOST) == FRESH


def test_minutes_from_before_the_connection_do_not_count() -> None:
    seen = UP.after_rest(minutes(-3, -2, -1))
    assert data_stream_health(seen, MOST) == FRESH


def test_a_data_stream_that_is_down_is_not_stale() -> None:
    down = UP.after_rest(minutes(0)).after_down().after_rest(minutes(1, 2, 3))
    assert data_stream_health(down, MOST) == FRESH
    assert data_stream_health(down.after_up(T0 + 4 * MINUTE), MOST) == FRESH


def test_a_reconnect_is_requested_once() -> None:
    stale = UP.after_rest(minutes(0, 1))
    assert data_stream_health(stale, MOST).stale
    assert data_stream_health(stale.after_reconnect(), MOST) == FRESH


events = st.lists(
    st.one_of(
        st.tuples(st.just("up"), st.integers(0, 9)),
        st.tuples(st.just("down"), st.just(0)),
        st.tuples(st.just("bars"), st.integers(0, 9)),
        st.tuples(st.just("rest"), st.integers(0, 9)),
        st.tuples(st.just("reconnect"), st.just(0)),
    ),
    max_size=40,
)


@given(events, st.integers(1, 4))
def test_stale_is_what_a_count_over_the_history_says(
    events: list[tuple[str, int]], most: int
) -> None:
    """The verdict is a function of what was seen: recounted here from the events alone."""
    seen, up, streamed, count = DataStreamSeen(), None, datetime.min.replace(tzinfo=UTC), 0
    for kind, number in events:
        time = T0 + number * MINUTE
        if kind == "up":
            seen, up, count = seen.after_up(time), time, 0
        elif kind == "down":
            seen, up = seen.after_down(), None
        elif kind == "bars":
            seen, streamed, count = seen.after_bars(time), max(streamed, time), 0
        elif kind == "reconnect":
            seen, count = seen.after_reconnect(), 0
        else:
            seen = seen.after_rest([time, time])
            count += up is not None and time >= up and time >= streamed
        health = data_stream_health(seen, most)
        assert health.stale == (up is not None and count >= most)
        assert bool(health.why) == health.stale


def test_a_trade_stream_may_lag_behind_rest_for_a_while() -> None:
    order = OrderSeen(update(Status.FILLED, 5), 10.0, update(Status.ACCEPTED))
    assert trade_stream_health([order], 14.9, PATIENCE) == FRESH
    health = trade_stream_health([order], 15.0, PATIENCE)
    assert health.stale
    assert " o" in health.why


def test_a_trade_stream_that_says_as_much_is_fresh_however_late() -> None:
    filled = update(Status.FILLED, 5)
    assert trade_stream_health([OrderSeen(filled, 0.0, filled)], 99.0, PATIENCE) == FRESH
    assert trade_stream_health([], 99.0, PATIENCE) == FRESH


def test_an_open_order_without_fills_says_nothing_of_the_stream() -> None:
    order = OrderSeen(update(Status.ACCEPTED), 0.0)
    assert trade_stream_health([order], 99.0, PATIENCE) == FRESH


def test_one_silent_order_among_many_is_enough() -> None:
    filled = update(Status.FILLED, 5)
    fine = [OrderSeen(replace(filled, client_order_id=n), 0.0, filled) for n in "abc"]
    silent = OrderSeen(replace(filled, client_order_id="d"), 0.0)
    assert trade_stream_health([*fine, silent], 9.0, PATIENCE).why.endswith(" d")


@pytest.mark.parametrize(
    ("sent", "received", "stale"),
    [(None, 0, False), (0, 0, False), (3, 3, False), (3, 4, False), (3, 2, True)],
)
def test_a_stream_is_stale_when_less_came_than_was_sent(
    sent: int | None, received: int, stale: bool
) -> None:
    assert delivery_health(sent, received).stale is stale


updates = st.builds(update, st.sampled_from(list(Status)), st.integers(0, 3))


@given(updates, updates)
def test_of_two_updates_at_most_one_knows_more(one: OrderUpdate, other: OrderUpdate) -> None:
    assert not knows_more(one, one)
    assert not (knows_more(one, other) and knows_more(other, one))


@given(
    st.lists(st.tuples(updates, st.floats(0, 20), st.none() | updates), max_size=5),
    st.floats(0, 40),
    st.floats(0, 10),
)
def test_a_stale_trade_stream_stays_stale_until_something_comes(
    rows: list[tuple[OrderUpdate, float, OrderUpdate | None]], at: float, patience: float
) -> None:
    orders = [OrderSeen(*row) for row in rows]
    health = trade_stream_health(orders, at, patience)
    assert bool(health.why) == health.stale
    if health.stale:
        assert trade_stream_health(orders, at + 1, patience).stale
        assert trade_stream_health(orders, at, 0).stale
    caught_up = [OrderSeen(o.by_rest, o.by_rest_at, o.by_rest) for o in orders]
    assert trade_stream_health(caught_up, at, patience) == FRESH


def test_time_alone_does_not_make_a_data_stream_stale() -> None:
    """A symbol may not trade for hours: only bars that REST has are a reason."""
    assert data_stream_health(DataStreamSeen().after_up(T0 - timedelta(days=3)), 1) == FRESH
