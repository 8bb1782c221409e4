"""How long a key may be refused: until it is refused once more after that time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smabot.domain.book import Book
from smabot.engine.broker_access import Access
from smabot.errors import KeyRefused, NotAllowed

MINUTE = timedelta(minutes=1)
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Clock:
    """The feed's and the wall's."""

    def __init__(self) -> None:
        self.time = OPEN

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access(Book(), clock, clock.now, minutes=5)


def refuse(access: Access, clock: Clock, minutes: int) -> None:
    """Ask once a minute, and be refused each time."""
    for _ in range(minutes):
        access.request_refused(NotAllowed("no"))
        access.check_patience()
        clock.time += MINUTE


def test_a_key_that_stays_refused_ends_the_run(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    access.request_refused(NotAllowed("no"))
    with pytest.raises(KeyRefused, match="for 5 minutes"):
        access.check_patience()


def test_the_broker_is_asked_again_after_a_sleep(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    clock.time += 17 * MINUTE
    access.check_patience()
    assert access.refusal
    access.request_accepted()
    assert not access.refusal
    access.check_patience()


def test_a_key_that_is_refused_after_a_sleep_too_ends_the_run(access: Access, clock: Clock) -> None:
    refuse(access, clock, 5)
    clock.time += 17 * MINUTE
    access.check_patience()
    access.request_refused(NotAllowed("no"))
    with pytest.raises(KeyRefused):
        access.check_patience()


def test_a_feed_that_is_refused_counts_while_it_is(access: Access, clock: Clock) -> None:
    for _ in range(5):
        access.feed_refused("by the stream")
        access.check_patience()
        clock.time += MINUTE
    access.feed_refused("by the stream")
    with pytest.raises(KeyRefused, match="by the stream"):
        access.check_patience()
