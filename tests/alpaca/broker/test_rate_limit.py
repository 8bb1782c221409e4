"""The rate limit: never above it, the most urgent first, the server's word above ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.errors import NotSent
from smabot_alpaca.rest.rate_limit import WINDOW, RateLimiter, Urgency

EXIT, ENTRY, READ, BULK = Urgency


class Time:
    """A clock, and the wall's."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1.8e9


@pytest.fixture
def clock() -> Time:
    return Time()


def limiter_of(clock: Time, limit: int | None, **more: Any) -> RateLimiter:
    return RateLimiter(limit, clock=clock, wall=clock.wall, **more)


def passes(limiter: RateLimiter, urgency: Urgency) -> bool:
    try:
        limiter.acquire(urgency)
    except NotSent:
        return False
    limiter.release()
    return True


def headers(clock: Time, limit: int, remaining: int, seconds: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(int(clock.wall() + seconds)),
    }


STEPS = st.lists(
    st.tuples(st.floats(0, 20), st.sampled_from(Urgency), st.booleans(), st.integers(0, 60)),
    max_size=200,
)


@given(limit=st.integers(1, 50), steps=STEPS)
def test_never_more_than_the_limit_in_any_minute(
    limit: int, steps: list[tuple[float, Urgency, bool, int]]
) -> None:
    clock = Time()
    limiter = limiter_of(clock, limit, fixed=True)
    passed: list[float] = []
    for pause, urgency, told, remaining in steps:
        clock.now += pause if told else pause / 100
        if passes(limiter, urgency):
            passed.append(clock.now)
            if told:
                limiter.update_from_answer(200, headers(clock, 1000, remaining, 30))
    for begin in passed:
        assert sum(begin <= at < begin + 60 for at in passed) <= limit


@given(limit=st.integers(1, 300), urgency=st.sampled_from(Urgency))
def test_what_is_refused_passes_after_the_wait_it_was_told(limit: int, urgency: Urgency) -> None:
    clock = Time()
    limiter = limiter_of(clock, limit)
    while passes(limiter, urgency):
        clock.now += 0.01
    with pytest.raises(NotSent) as caught:
        limiter.acquire(urgency)
    clock.now += caught.value.wait + 1e-6
    assert passes(limiter, urgency)


def test_a_part_is_kept_for_orders_and_the_last_for_exits(clock: Time) -> None:
    limiter = limiter_of(clock, 200)
    assert sum(passes(limiter, BULK) for _ in range(300)) == 100
    assert sum(passes(limiter, READ) for _ in range(300)) == 50
    assert sum(passes(limiter, ENTRY) for _ in range(300)) == 40
    assert sum(passes(limiter, EXIT) for _ in range(300)) == 10


def test_bulk_leaves_half_of_what_the_server_says_is_left(clock: Time) -> None:
    limiter = limiter_of(clock, 200)
    limiter.acquire(BULK)
    limiter.update_from_answer(200, headers(clock, 200, 103, 30))
    limiter.release()
    assert sum(passes(limiter, BULK) for _ in range(10)) == 3
    assert passes(limiter, READ)


def test_the_servers_limit_replaces_ours(clock: Time) -> None:
    limiter = limiter_of(clock, 200)
    assert passes(limiter, EXIT)
    limiter.update_from_answer(200, headers(clock, 1000, 999, 60))
    assert sum(passes(limiter, EXIT) for _ in range(2000)) == 999


def test_a_limit_that_was_set_is_never_raised(clock: Time) -> None:
    limiter = limiter_of(clock, 100, fixed=True)
    limiter.update_from_answer(200, headers(clock, 1000, 999, 60))
    assert sum(passes(limiter, EXIT) for _ in range(2000)) == 100


def test_what_others_use_under_the_same_key_counts(clock: Time) -> None:
    limiter = limiter_of(clock, 200)
    limiter.acquire(EXIT)
    limiter.update_from_answer(200, headers(clock, 200, 3, 30))
    limiter.release()
    assert sum(passes(limiter, EXIT) for _ in range(10)) == 3
    clock.now += 31
    assert passes(limiter, EXIT)


def test_requests_under_way_count_against_what_the_server_says(clock: Time) -> None:
    limiter = limiter_of(clock, 200)
    for _ in range(3):
        limiter.acquire(EXIT)
    limiter.update_from_answer(200, headers(clock, 200, 5, 30))
    limiter.release()
    assert sum(passes(limiter, EXIT) for _ in range(10)) == 3


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ({"Retry-After": "9"}, 9),
        ({}, 1),
        ({"Retry-After": "soon"}, 1),
        ({"Retry-After": "9999"}, 60),
    ],
)
def test_too_many_requests_close_the_door(clock: Time, told: dict[str, str], wait: float) -> None:
    limiter = limiter_of(clock, None)
    limiter.update_from_answer(429, told)
    with pytest.raises(NotSent) as caught:
        limiter.acquire(EXIT)
    assert caught.value.wait == pytest.approx(wait)
    clock.now += wait
    assert passes(limiter, EXIT)


def test_too_many_requests_wait_for_the_reset(clock: Time) -> None:
    limiter = limiter_of(clock, None)
    limiter.update_from_answer(429, headers(clock, 200, 0, 20))
    clock.now += 18
    assert not passes(limiter, EXIT)
    clock.now += 2.01
    assert passes(limiter, EXIT)


def test_without_a_limit_only_the_server_limits(clock: Time) -> None:
    limiter = limiter_of(clock, None)
    assert all(passes(limiter, READ) for _ in range(5000))


@pytest.mark.parametrize("odd", ["", "many", "-1", "nan", "inf", "1e300"])
def test_headers_that_make_no_sense_change_nothing(clock: Time, odd: str) -> None:
    limiter = limiter_of(clock, 10)
    names = ("Limit", "Remaining", "Reset")
    limiter.update_from_answer(200, {f"X-RateLimit-{name}": odd for name in names})
    assert sum(passes(limiter, EXIT) for _ in range(20)) == 10


def test_who_waits_is_served_by_urgency(clock: Time) -> None:
    """All wait for the same room, the least urgent longest."""
    limiter = limiter_of(clock, 1)
    limiter.acquire(EXIT)
    served: list[Urgency] = []
    waiting = []

    def wait_for_room(urgency: Urgency) -> None:
        limiter.acquire(urgency, timeout=1000)
        served.append(urgency)
        limiter.release()

    def eventually(true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    for urgency in (READ, ENTRY, EXIT):
        thread = threading.Thread(target=wait_for_room, args=(urgency,))
        thread.start()
        waiting.append(thread)
        eventually(lambda urgency=urgency: limiter._waiting[urgency])
    for number in range(1, 4):
        clock.now += WINDOW + 1
        limiter.update_from_answer(200, {})  # who waits looks again
        eventually(lambda number=number: len(served) == number)
    for thread in waiting:
        thread.join(60)
    assert served == [EXIT, ENTRY, READ]


def test_nobody_waits_longer_than_asked() -> None:
    limiter = RateLimiter(1)
    limiter.acquire(READ)
    begun = time.monotonic()
    with pytest.raises(NotSent):
        limiter.acquire(READ, timeout=0.1)
    assert 0.09 < time.monotonic() - begun < 30


def test_many_threads_together_stay_below_the_limit() -> None:
    own = threading.local()

    def clock() -> float:
        own.now = time.monotonic()
        return float(own.now)

    limiter = RateLimiter(20, fixed=True, window=0.25, clock=clock)
    passed: list[float] = []

    def press() -> None:
        for _ in range(10):
            limiter.acquire(EXIT, timeout=60)
            passed.append(own.now)  # as the limiter saw it
            limiter.release()

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(passed) == 80
    for begin in passed:
        assert sum(begin <= at < begin + 0.25 for at in passed) <= 20
