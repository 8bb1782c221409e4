"""A run's health: what is wrong by its facts, and how plugins are told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from loguru import logger

from smabot.domain.bot_health import Health, read_health, reasons_of, stored
from smabot.hooks.telling_health import PAUSE, TellingHealth

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FINE = Health(
    "trading", NOON, 1.0, 7, "0.1.0", "PAPER", NOON - 60 * MINUTE,
    follows_wall_clock=True, feed_time=NOON, session_open=NOON - 150 * MINUTE, last_bar=NOON,
    last_commit=NOON, compared_at=NOON - 5 * MINUTE, compared_every=15 * MINUTE,
    equity=Decimal("100000.01"), run_id="r",
)  # fmt: skip


def test_a_bot_that_trades_is_well() -> None:
    assert reasons_of(FINE) == ()
    assert FINE.state == "ok"
    assert replace(FINE, reasons=("halted: lunch",)).state == "degraded"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"phase": "starting", "start_step": "load", "started_at": NOON - MINUTE},
            "it has been starting for 60 s, its step 'load' is done",
        ),
        ({"halted": "lunch"}, "halted: lunch"),
        (
            {"streams_lost": "orders", "streams_lost_since": NOON, "entries_paused": "x: orders"},
            "streams lost since 2026-03-02 17:00 UTC: orders",
        ),
        ({"entries_paused": "the key is refused"}, "entries are paused: the key is refused"),
        ({"blocks": ("risk blocks entries: tripped",)}, "risk blocks entries: tripped"),
        ({"unpriced": "IBM has no price"}, "no entries: IBM has no price"),
        ({"frozen_symbols": ("IBM", "SPY")}, "unknown orders in IBM, SPY"),
        ({"split_symbols": ("IBM",)}, "the broker has not followed the split of IBM"),
        (
            {"last_bar": NOON - 4 * MINUTE},
            "no bar for 4 minutes: the newest one ended at 2026-03-02 16:56 UTC",
        ),
        (
            {"last_bar": None, "session_open": NOON - 4 * MINUTE},
            "no bar for 4 minutes: there was none yet",
        ),
        (
            {"last_commit": NOON - 7 * MINUTE},
            "bars come, but nothing was committed since 2026-03-02 16:53 UTC",
        ),
        (
            {"compared_at": NOON - 32 * MINUTE},
            "not compared with the broker for 32 minutes",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(change: dict[str, object], reason: str) -> None:
    assert reasons_of(replace(FINE, **change)) == (reason,)  # type: ignore[arg-type]


def test_old_bars_are_wrong_in_a_session_of_a_market_that_goes_by_itself_alone() -> None:
    old = replace(FINE, last_bar=NOON - 600 * MINUTE, compared_at=NOON - 600 * MINUTE)
    assert len(reasons_of(old)) == 2
    assert len(reasons_of(replace(old, session_open=None))) == 1
    assert reasons_of(replace(old, follows_wall_clock=False)) == ()
    opened = replace(old, session_open=NOON - MINUTE, compared_at=NOON)
    assert reasons_of(opened) == ()


def test_how_old_a_bar_may_be_is_said_by_whoever_asks() -> None:
    late = replace(FINE, last_bar=NOON - 4 * MINUTE)
    assert reasons_of(late, 5 * MINUTE) == ()
    assert len(reasons_of(FINE, timedelta(seconds=-1))) >= 1


def test_it_is_read_as_it_was_stored() -> None:
    health = replace(FINE, blocks=("a",), streams_lost_since=NOON)
    assert read_health(stored(health)) == health
    for damaged in (b"", b"{", b"[]", b'{"phase": 1}'):
        with pytest.raises(ValueError, match=r"JSON|truncated|Expected|malformed"):
            read_health(damaged)


# -- plugins are told ------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def until_rested(name: str, callers: list[threading.Thread]) -> None:
    """Wait until no call lasts: a thread is listed no more for a moment before it is known to have ended."""
    until(lambda: not any(each.name == f"on_health {name}" for each in threading.enumerate()))
    until(lambda: not any(each.is_alive() for each in callers))


def test_each_plugin_is_told_in_a_thread_beside() -> None:
    told: list[tuple[str, Health, bool]] = []

    def tell(name: str) -> Callable[[Health], None]:
        me = threading.get_ident()
        return lambda health: told.append((name, health, threading.get_ident() == me))

    TellingHealth({"a": tell("a"), "b": tell("b")}, Clock())(FINE)
    until(lambda: len(told) == 2)
    assert sorted(told) == [("a", FINE, False), ("b", FINE, False)]


def test_a_slow_one_misses_what_is_made_meanwhile_and_holds_nothing_up() -> None:
    free, told, others = threading.Event(), list[str](), list[str]()
    callers: list[threading.Thread] = []

    def slow(health: Health) -> None:
        callers.append(threading.current_thread())
        told.append(health.run_id)
        free.wait(20)

    telling = TellingHealth(
        {"slow": slow, "other": lambda health: others.append(health.run_id)}, Clock()
    )
    for number in range(5):
        telling(replace(FINE, run_id=str(number)))
        until(lambda done=number + 1: len(others) == done)  # type: ignore[misc]
        until(lambda: threading.active_count() >= 2)
        time.sleep(0.02)
    assert told == ["0"]
    free.set()
    until_rested("slow", callers)
    telling(replace(FINE, run_id="newest"))
    until(lambda: len(told) == 2)
    assert told == ["0", "newest"]


def test_one_that_raises_is_logged_and_told_again_after_a_pause(logged: list[str]) -> None:
    clock, told = Clock(), list[float]()
    callers: list[threading.Thread] = []

    def fails(health: Health) -> None:
        callers.append(threading.current_thread())
        told.append(clock.now)
        if len(told) == 1:
            raise SystemExit("no network")

    telling = TellingHealth({"mine": fails}, clock)
    for _ in range(20):
        telling(FINE)
        clock.now += PAUSE / 10
        until_rested("mine", callers)
    assert told[0] == 0
    assert PAUSE <= told[1] - told[0] <= PAUSE * 1.3
    assert len([line for line in logged if "plugin 'mine' raised in on_health" in line]) == 1
