"""What REST tells of orders against what the trade stream says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from smabot.domain.records import OrderUpdate, Status
from smabot_alpaca.feed.order_stream_check import ASK_AGAIN, OrderTracker

T0 = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
PATIENCE = 5.0


def update(status: Status, filled: int = 0, name: str = "o", minutes: float = 1) -> OrderUpdate:
    return OrderUpdate(
        name, status, T0 + timedelta(minutes=minutes), "broker-id", Decimal(filled), None
    )


@pytest.fixture
def watch() -> OrderTracker:
    watch = OrderTracker()
    watch.trust(T0)
    return watch


def test_a_stream_that_keeps_up_is_trusted(watch: OrderTracker) -> None:
    watch.told(update(Status.SUBMITTED), 0)
    watch.heard(update(Status.ACCEPTED), 0.1)
    watch.heard(update(Status.FILLED, 5), 0.2)
    assert not watch.told(update(Status.FILLED, 5), 9)
    assert watch.open(99, 0) == []
    assert watch.unheard(99, 0) == []


def test_a_fill_that_only_rest_tells(watch: OrderTracker) -> None:
    watch.told(update(Status.SUBMITTED), 0)
    watch.heard(update(Status.ACCEPTED), 0)
    assert watch.told(update(Status.FILLED, 5), 10)
    assert watch.unheard(14, PATIENCE) == []
    assert watch.unheard(15, PATIENCE) == ["o"]
    watch.heard(update(Status.FILLED, 5), 16)
    assert watch.unheard(99, PATIENCE) == []


def test_the_rest_of_a_fill_counts_too(watch: OrderTracker) -> None:
    watch.told(update(Status.ACCEPTED), 0)
    watch.heard(update(Status.PARTIALLY_FILLED, 2), 1)
    assert not watch.told(update(Status.PARTIALLY_FILLED, 2), 2)
    assert watch.told(update(Status.PARTIALLY_FILLED, 4), 3)
    assert watch.unheard(8, PATIENCE) == ["o"]


def test_a_silent_order_is_asked_for_once_in_a_while(watch: OrderTracker) -> None:
    sent = update(Status.SUBMITTED)
    watch.told(sent, 0)
    assert watch.open(4, PATIENCE) == []
    assert watch.open(5, PATIENCE) == [sent]
    assert watch.open(5 + ASK_AGAIN - 1, PATIENCE) == []
    assert watch.open(5 + ASK_AGAIN, PATIENCE) == [sent]


def test_without_patience_every_open_order_is_asked_for(watch: OrderTracker) -> None:
    watch.told(update(Status.ACCEPTED), 0)
    for at in (0, 0, 1):
        assert [order.client_order_id for order in watch.open(at, 0)] == ["o"]


def test_the_stream_may_be_first(watch: OrderTracker) -> None:
    watch.heard(update(Status.FILLED, 5), 0)
    assert not watch.told(update(Status.SUBMITTED), 1)
    assert watch.open(99, 0) == []


def test_an_order_that_was_refused_has_no_stream(watch: OrderTracker) -> None:
    watch.told(OrderUpdate("o", Status.REJECTED, T0, reason="no"), 0)
    assert watch.unheard(99, PATIENCE) == []


def test_a_new_connection_owes_nothing_of_the_time_before(watch: OrderTracker) -> None:
    watch.told(update(Status.SUBMITTED), 0)
    watch.told(update(Status.FILLED, 5), 1)
    watch.trust(T0 + timedelta(minutes=2))
    assert watch.unheard(99, 0) == []
    watch.told(update(Status.SUBMITTED, name="p", minutes=1), 2)
    assert watch.told(
        update(Status.FILLED, 5, "p", minutes=2), 3
    )  # it filled while nobody listened
    assert watch.unheard(99, 0) == []
    watch.told(update(Status.SUBMITTED, name="q", minutes=3), 4)
    watch.told(update(Status.FILLED, 5, "q", minutes=3), 5)
    assert watch.unheard(99, 0) == ["q"]


def test_what_was_heard_is_forgotten_in_the_end(watch: OrderTracker) -> None:
    for number in range(5000):
        watch.heard(update(Status.FILLED, 5, f"o{number}"), number)
    assert len(watch._heard) <= 2000
