"""Time goes by whoever listens: what is noticed, how soon, and what waits meanwhile.

Whether an order meets this minute or the next is chance here. So the books are compared with each other,
and what came over the wire with the tape.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from loguru import logger

from smabot.domain.records import Batch
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.recovery import recover
from smabot_exchange.http.rate_limit import RequestQuota

pytestmark = [pytest.mark.slow, pytest.mark.plugins]

PACE = 12.0
"""Minutes a second."""
PATIENT = {"max_bar_age_minutes": 40}
"""A busy machine may be late; a decision shall not depend on it."""
BARS = "SELECT * FROM bars"
LAST_MINUTES = datetime(2026, 3, 3, 14, 50, tzinfo=UTC)
LONG = 120
"""Seconds; a test ends it before."""
HANGS = 8.0
"""Seconds: a step waits for one at most, on a busy machine for a few."""


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


def fault(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, **fields}


def statuses(met: Any) -> dict[str, tuple[str, str]]:
    return {
        name: (status, reason)
        for name, status, reason in met.here(
            "SELECT client_order_id, status, reason FROM order_intents"
        )
    }


def order_of(met: Any, symbol: str, column: str) -> str:
    """A column of the order in a symbol; empty while there is none."""
    try:
        rows = met.here(f"SELECT {column} FROM order_intents WHERE symbol = '{symbol}'")
    except sqlite3.OperationalError:  # there is no database yet
        return ""
    return str(rows[0][0]) if rows else ""


@contextmanager
def refused_until(met: Any, true: Callable[[], bool]) -> Iterator[None]:
    """Let connections that a fault refuses be taken again when something is true, however long it
    takes."""
    over = threading.Event()

    def take() -> None:
        while not over.wait(0.01):
            if true():
                met.take_connections()
                return

    watching = threading.Thread(target=take)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


@pytest.mark.parametrize(
    ("faults", "noticed"),
    [
        ((), ""),
        ((fault("mute", nth=8),), "it is stale: REST has bars that it does not bring"),
        ((fault("mute", stream="trade", nth=3),), "it is stale: REST knows more of order"),
        (
            (fault("disconnect", nth=8), fault("refuse", seconds=1.5)),
            "the stream of market data is back",
        ),
        (
            (fault("disconnect", stream="trade", nth=8), fault("garbage", nth=8),
             fault("garbage", name="later", stream="trade", nth=18)),
            "malformed data",
        ),
        (
            (fault("bar_missing", probability=0.2), fault("minute_missing", probability=0.1),
             fault("bar_late", probability=0.2)),
            "",
        ),
        (
            (fault("rate_limit", method="POST", path="/v2/orders", reset_seconds=1, nth=3),
             fault("error", method="POST", when="after", probability=0.3),
             fault("reset", method="POST", probability=0.3),
             fault("update_dropped", probability=0.3), fault("update_late", probability=0.5)),
            "",
        ),
    ],
    ids=["fair", "stale bars", "stale updates", "bars refused", "both lost", "bars missing", "orders"],
)  # fmt: skip
def test_all_bars_come_and_the_books_agree(
    scene: Callable[..., Any], fair: Any, said: list[str],
    faults: tuple[dict[str, Any], ...], noticed: str,
) -> None:  # fmt: skip
    met = scene(*faults, pace=PACE, **PATIENT)
    met.play()
    assert all(met.struck.values()), met.struck
    assert any(noticed in line for line in said) or not noticed, said
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))
    met.agree(merged=True)
    arrived = {name for (name,) in met.there("SELECT client_order_id FROM orders")}
    for name, (status, _) in statuses(met).items():
        # what nobody shows, and is not wanted any more, is unknown until its session is over
        assert status != "pending", name
        assert status != "unknown" or name not in arrived, name


def test_the_end_may_be_known_before_the_last_bars(scene: Callable[..., Any], fair: Any) -> None:
    """The exchange says that its tape is over while the stream still owes the last minutes."""
    met = scene(fault("mute", nth=8), pace=PACE, **PATIENT)
    with met.started() as engine:
        feed = engine._feed
        assembly = feed._source._state.assembly
        take_minutes = assembly.take_minutes

        def end_in_between(at: float) -> Any:
            minutes = take_minutes(at)
            if not minutes and feed.now() >= LAST_MINUTES and not feed._replay.ended:
                met.wait(lambda: met.exchange.next_time() is None, "the end of the data")
                feed._replay.refresh()
            return minutes

        assembly.take_minutes = end_in_between
        assert engine.run() == "ended"
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))


def test_a_start_does_not_wait_while_bars_are_refused(scene: Callable[..., Any], fair: Any) -> None:
    met = scene(
        fault("disconnect", nth=8), fault("refuse", seconds=LONG), pace=PACE / 2, **PATIENT
    )  # fmt: skip
    with met.started() as engine:
        while not met.venue.broadcast.clients.refuses("data"):
            batch = engine._feed.next(0.1)
            engine.process(batch)
    before = len(met.here(BARS))
    with met.opened() as session:
        engine = recover(session)
        while len(met.here(BARS)) < before + 40:
            engine.process(engine._feed.next(0.1))
        assert met.venue.broadcast.clients.refuses("data"), "bars came only by the stream"
        met.take_connections()
        assert engine.run() == "ended"
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))
    met.agree(merged=True)


def test_an_entry_waits_for_the_updates_and_is_sent_when_they_are_back_in_time(
    scene: Callable[..., Any],
) -> None:
    met = scene(
        fault("disconnect", stream="trade", nth=6), fault("refuse", stream="trade", seconds=LONG),
        pace=PACE / 3, wants={"AAA": {2: 1, 8: 0}, "CCC": {8: 1}}, max_bar_age_minutes=3000,
        entry_timeout_minutes=0, last_entry_minutes=0,
    )  # fmt: skip

    def waited() -> bool:
        made = order_of(met, "CCC", "created_at")
        minutes = timedelta(minutes=3)
        return bool(made) and met.exchange.now >= datetime.fromisoformat(made) + minutes

    with refused_until(met, waited):
        met.play()
    assert all(met.struck.values())
    assert {status for status, _ in statuses(met).values()} == {"filled"}
    ((created, submitted),) = met.here(
        "SELECT created_at, submitted_at FROM order_intents WHERE symbol = 'CCC'"
    )
    minutes = datetime.fromisoformat(submitted) - datetime.fromisoformat(created)
    assert minutes.total_seconds() >= 120
    met.agree(merged=True)


def test_an_entry_that_waited_too_long_is_blocked_and_an_exit_passes(
    scene: Callable[..., Any],
) -> None:
    met = scene(
        fault("disconnect", stream="trade", nth=6), fault("refuse", stream="trade", seconds=LONG),
        pace=PACE / 3, wants={"AAA": {2: 1, 8: 0}, "CCC": {8: 1}, "DDD": {44: 1}}, **PATIENT,
    )  # fmt: skip
    with refused_until(met, lambda: order_of(met, "CCC", "status") == "blocked"):
        met.play()  # over night an entry is too old
    orders = statuses(met)
    assert orders["smabot-script-AAA-20260302T2044Z-1"][0] == "filled"
    status, reason = orders["smabot-script-CCC-20260302T2044Z-1"]
    assert status == "blocked"
    assert "no updates of orders come" in reason
    assert orders["smabot-script-DDD-20260303T1450Z-1"][0] != "blocked"
    met.agree(merged=True)


@pytest.mark.parametrize(
    "asked",
    [{"method": "GET"}, {"path": "/v2/orders*"}],
    ids=["questions", "orders"],
)
def test_requests_that_hang_do_not_stop_the_deciding_thread(
    scene: Callable[..., Any], fair: Any, asked: dict[str, str]
) -> None:
    met = scene(pace=PACE, alpaca={"request_timeout": HANGS + 2}, **PATIENT)
    with met.started() as engine:
        met.arm(fault("hang", seconds=HANGS, times=9, **asked))
        took: list[float] = []
        take = engine.take

        def timed(batch: Batch) -> None:
            begun = time.monotonic()
            try:
                take(batch)
            finally:
                took.append(time.monotonic() - begun)

        engine.take = timed
        assert engine.run() == "ended"
    assert all(met.struck.values())
    assert max(took) < HANGS - 1, f"a step took {max(took):.1f} s"
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))
    met.call("DELETE", "/_exchange/faults")
    met.play()  # what was not answered at the end is found out
    met.agree(merged=True)


def test_a_quota_that_is_used_up_by_others(scene: Callable[..., Any], fair: Any) -> None:
    met = scene(pace=PACE, quota=RequestQuota(60, 2.0), **PATIENT)
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.05):
            met.try_call("/v2/account")

    greedy = threading.Thread(target=ask)
    greedy.start()
    try:
        met.play()
    finally:
        stop.set()
        greedy.join()
    assert met.refused > 0
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))
    met.agree(merged=True)


@pytest.mark.parametrize(
    ("doing", "kind"),
    [
        (fault("foreign_position", symbol="AAA", qty=5, price=100), "position_mismatch"),
        (fault("foreign_order", symbol="AAA", limit_price=50), "foreign_activity"),
        (
            fault("foreign_order", symbol="CCC", limit_price=100,
                  client_order_id="smabot-x-CCC-20260302T2039Z-1"),
            "unknown_locally",
        ),
    ],
    ids=["shares", "an order", "an order under our name"],
)  # fmt: skip
def test_a_conflict_stops_it_while_it_runs(
    scene: Callable[..., Any], doing: dict[str, Any], kind: str
) -> None:
    met = scene(
        {**doing, "since": "2026-03-02T20:41:00Z"}, pace=PACE / 3, wants={"AAA": {2: 1}}, **PATIENT
    )
    error = met.stops()
    assert isinstance(error, ReconciliationConflict)
    assert error.exit_code == 6
    assert kind in {conflict.kind for conflict in error.conflicts}
