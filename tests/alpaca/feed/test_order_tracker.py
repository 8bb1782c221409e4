"""What REST tells of orders against what the trade stream says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from smabot.domain.order_terms import Status
from smabot.domain.records import OrderUpdate
from smabot_alpaca.feed.order_tracker import ASK_AGAIN, OrderTracker
from smabot_alpaca.streams.stream_health import trade_stream_health

T0 = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
PATIENCE = 5.0


def update(status: Status, filled: int = 0, name: str = "o", minutes: float = 1) -> OrderUpdate:
    return OrderUpdate(
        name, status, T0 + timedelta(minutes=minutes), "broker-id", Decimal(filled), None
    )


def stale_because_of(tracker: OrderTracker, at: float, patience: float) -> list[str]:
    """Return the orders of which the trade stream, were it alone, would be stale."""
    return [
        order.by_rest.client_order_id
        for order in tracker.seen()
        if trade_stream_health([order], at, patience).stale
    ]


@pytest.fixture
def tracker() -> OrderTracker:
    tracker = OrderTracker()
    tracker.start_over(T0)
    return tracker


def test_a_stream_that_keeps_up_is_trusted(tracker: OrderTracker) -> None:
    tracker.note_answer(update(Status.SUBMITTED), 0)
    tracker.note_update(update(Status.ACCEPTED), 0.1)
    tracker.note_update(update(Status.FILLED, 5), 0.2)
    assert not tracker.note_answer(update(Status.FILLED, 5), 9)
    assert tracker.take_overdue(99, 0) == []
    assert stale_because_of(tracker, 99, 0) == []


def test_a_fill_that_only_rest_tells(tracker: OrderTracker) -> None:
    tracker.note_answer(update(Status.SUBMITTED), 0)
    tracker.note_update(update(Status.ACCEPTED), 0)
    assert tracker.note_answer(update(Status.FILLED, 5), 10)
    assert stale_because_of(tracker, 14, PATIENCE) == []
    assert stale_because_of(tracker, 15, PATIENCE) == ["o"]
    tracker.note_update(update(Status.FILLED, 5), 16)
    assert stale_because_of(tracker, 99, PATIENCE) == []


def test_the_rest_of_a_fill_counts_too(tracker: OrderTracker) -> None:
    tracker.note_answer(update(Status.ACCEPTED), 0)
    tracker.note_update(update(Status.PARTIALLY_FILLED, 2), 1)
    assert not tracker.note_answer(update(Status.PARTIALLY_FILLED, 2), 2)
    assert tracker.note_answer(update(Status.PARTIALLY_FILLED, 4), 3)
    assert stale_because_of(tracker, 8, PATIENCE) == ["o"]


def test_a_silent_order_is_asked_for_once_in_a_while(tracker: OrderTracker) -> None:
    sent = update(Status.SUBMITTED)
    tracker.note_answer(sent, 0)
    assert tracker.take_overdue(4, PATIENCE) == []
    assert tracker.take_overdue(5, PATIENCE) == [sent]
    assert tracker.take_overdue(5 + ASK_AGAIN - 1, PATIENCE) == []
    assert tracker.take_overdue(5 + ASK_AGAIN, PATIENCE) == [sent]


def test_without_patience_every_open_order_is_asked_for(tracker: OrderTracker) -> None:
    tracker.note_answer(update(Status.ACCEPTED), 0)
    for at in (0, 0, 1):
        assert [order.client_order_id for order in tracker.take_overdue(at, 0)] == ["o"]


def test_the_stream_may_be_first(tracker: OrderTracker) -> None:
    tracker.note_update(update(Status.FILLED, 5), 0)
    assert not tracker.note_answer(update(Status.SUBMITTED), 1)
    assert tracker.take_overdue(99, 0) == []


def test_an_order_that_was_refused_has_no_stream(tracker: OrderTracker) -> None:
    tracker.note_answer(OrderUpdate("o", Status.REJECTED, T0, reason="no"), 0)
    assert stale_because_of(tracker, 99, PATIENCE) == []


def test_a_new_connection_owes_nothing_of_the_time_before(tracker: OrderTracker) -> None:
    tracker.note_answer(update(Status.SUBMITTED), 0)
    tracker.note_answer(update(Status.FILLED, 5), 1)
    tracker.start_over(T0 + timedelta(minutes=2))
    assert stale_because_of(tracker, 99, 0) == []
    tracker.note_answer(update(Status.SUBMITTED, name="p", minutes=1), 2)
    assert tracker.note_answer(
        update(Status.FILLED, 5, "p", minutes=2), 3
    )  # it filled while nobody listened
    assert stale_because_of(tracker, 99, 0) == []
    tracker.note_answer(update(Status.SUBMITTED, name="q", minutes=3), 4)
    tracker.note_answer(update(Status.FILLED, 5, "q", minutes=3), 5)
    assert stale_because_of(tracker, 99, 0) == ["q"]


def test_what_was_heard_is_forgotten_in_the_end(tracker: OrderTracker) -> None:
    for number in range(5000):
        tracker.note_update(update(Status.FILLED, 5, f"o{number}"), number)
    assert tracker.remembered <= 2000
