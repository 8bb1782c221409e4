"""Sessions on end with every fault at once, and a kill now and then: the books agree, nothing grows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SESSIONS = int(os.environ.get("SMABOT_SESSIONS", "10"))
SEED = int(os.environ.get("SMABOT_SEED", "1"))
SPEED = os.environ.get("SMABOT_SPEED", "25")
MINUTES = 390
SHARES = 10
AVERAGES = 2, 5
KILLS = 3
"""In the first session, and again in the last."""
GROWTH = 1.1 if SESSIONS <= 10 else 1.25
"""Of the peak memory. What is remembered of orders, and SQLite's pages, fill up over some 30 sessions."""
STOPPING = {"foreign_order", "foreign_position"}
"""Faults at which the bot must stop."""
LASTING = {
    "left_at_close", "halt", "account_flag", "bar_wrong", "cash_moved", "keys_refused",
}  # fmt: skip
"""Faults that have their own tests: they take a symbol, a bar, the key or the account out of the run."""
ORDERS, ANY = {"path": "/v2/orders*"}, {"path": "/v2/*"}
# A second here is half an hour there: an order that hung for longer would arrive on another day.
FAULTS: list[dict[str, Any]] = [
    {"kind": "error", "probability": 0.01, **ANY},
    {"kind": "error", "name": "page", "probability": 0.005, "status": 502, "html": True, **ANY},
    {"kind": "error", "name": "error after", "when": "after", "probability": 0.02, **ORDERS},
    {"kind": "reset", "probability": 0.01, **ANY},
    {"kind": "reset", "name": "reset after", "when": "after", "probability": 0.02, **ORDERS},
    {"kind": "hang", "probability": 0.01, "seconds": 3, "method": "GET", **ANY},
    {"kind": "hang", "name": "slow order", "probability": 0.01, "seconds": 0.5, **ORDERS},
    {"kind": "hang", "name": "hang after", "when": "after", "probability": 0.01, "seconds": 3}
    | ORDERS,
    {"kind": "rate_limit", "probability": 0.005, **ANY},
    {"kind": "hidden", "probability": 0.03, "seconds": 0.01},  # 15 s there; more is a conflict
    {"kind": "stuck_cancel", "probability": 0.2, "minutes": 3},
    {"kind": "unknown_status", "probability": 0.03},
    {"kind": "frozen_cancel", "probability": 0.5, "partial": False, "minutes": 5},
    {"kind": "rejected_later", "probability": 0.01},
    {"kind": "stuck_pending", "probability": 0.02, "minutes": 2},
    {"kind": "lost_answer", "probability": 0.02, "minutes": 3},
    {"kind": "update_dropped", "probability": 0.02},
    {"kind": "update_doubled", "probability": 0.02},
    {"kind": "update_late", "probability": 0.02, "minutes": 2},
    {"kind": "update_swapped", "probability": 0.02},
    {"kind": "update_replayed", "probability": 0.02, "minutes": 3},
    {"kind": "update_unknown", "probability": 0.02},
    {"kind": "mute", "probability": 0.001},
    {"kind": "mute", "name": "mute trades", "stream": "trade", "probability": 0.001},
    {"kind": "disconnect", "probability": 0.002},
    {"kind": "disconnect", "name": "clean end", "clean": True, "probability": 0.001},
    {"kind": "disconnect", "name": "trades lost", "stream": "trade", "probability": 0.002},
    {"kind": "disconnect", "name": "lost at an update", "stream": "trade", "at": "update"}
    | {"probability": 0.003},
    {"kind": "garbage", "probability": 0.001},
    {"kind": "garbage", "name": "half a frame", "form": "cut", "probability": 0.001},
    {"kind": "garbage", "name": "text", "stream": "trade", "form": "text", "probability": 0.001},
    {"kind": "refuse", "probability": 0.3, "seconds": 2},
    {"kind": "refuse", "name": "trades refused", "stream": "trade", "probability": 0.3}
    | {"seconds": 1},
    {"kind": "bar_missing", "probability": 0.005},
    {"kind": "bar_late", "probability": 0.005},
    {"kind": "bar_revised", "probability": 0.01},
    {"kind": "minute_missing", "probability": 0.003},
]


def measure(ours: Any) -> dict[str, tuple[int, ...]]:
    """Peak memory in kB and threads of both processes."""
    return {p.name: p.status("VmHWM", "Threads") for p in (ours.bot, ours.exchange)}


def patience(minutes: int) -> float:
    """How long to wait for so many minutes of the exchange: longer than on any busy machine."""
    return 300 + 5 * minutes / float(SPEED)


def never_struck(ours: Any, counts: dict[str, int]) -> set[str]:
    """The faults that never struck although they had so many chances that this is no chance.

    How much is traded depends on how busy the machine is, and so does how often a fault can strike:
    every order is a request at least, and an update.
    """
    ((orders,),) = ours.there("SELECT COUNT(*) FROM orders")
    ((canceled,),) = ours.there("SELECT COUNT(*) FROM orders WHERE status = 'canceled'")
    ((minutes,),) = ours.there("SELECT minutes_played FROM state")
    by_minute = {"bar_missing", "bar_late", "bar_revised", "minute_missing", "mute", "garbage"}

    def chances(fault: dict[str, Any]) -> int:
        if fault["kind"] == "stuck_cancel":
            return int(canceled)
        if fault["kind"] == "refuse":
            return sum(
                counts[name_of(other)]
                for other in FAULTS
                if other["kind"] == "disconnect" and other.get("stream") == fault.get("stream")
            )
        return int(minutes if fault["kind"] in by_minute else orders)

    return {
        name_of(fault)
        for fault in FAULTS
        if not counts[name_of(fault)] and chances(fault) * fault["probability"] > 10
    }


def name_of(fault: dict[str, Any]) -> str:
    return str(fault.get("name", fault["kind"]))


def live_until(ours: Any, minute: int) -> None:
    """Let both live until the tape is there, starting the bot again when it left by code 4."""

    def there() -> bool:
        if ours.bot.code in (4, -9):
            ours.start_bot()
        assert ours.bot.alive, ours.bot.tail()
        runs = ours.bot.status("Threads") > (1,)  # one that has just begun has no size yet
        return runs and (ours.ask() or {"progress": [0]})["progress"][0] >= minute

    ours.wait(there, f"minute {minute}", seconds=patience(minute))


@pytest.mark.slow(seconds=160)
@pytest.mark.plugins
def test_sessions_with_every_fault_at_once(
    lab: Callable[..., Any],
    market: Callable[..., Path],
    killer: Any,
    audit: dict[str, Any],
    tmp_path: Path,
) -> None:
    from smabot_exchange.faults.fault_kinds import KINDS

    assert {fault["kind"] for fault in FAULTS} | STOPPING | LASTING == KINDS.keys()
    again = f"SMABOT_SEED={SEED} SMABOT_SESSIONS={SESSIONS} pytest {Path(__file__)}"
    tape = market(tmp_path / "tape.csv", SESSIONS, SEED)
    ours = lab("ours", tape, SPEED)
    (ours.folder / "faults.json").write_text(json.dumps({"seed": SEED, "faults": FAULTS}))
    ours.serving += ["--faults", "faults.json"]
    death = killer(ours, SEED, life=1.0, whom={"bot": 1.0})
    for _ in range(KILLS):
        death.strike()
    live_until(ours, 2 * MINUTES)
    early = measure(ours)
    begun = ours.bot
    live_until(ours, (SESSIONS - 1) * MINUTES)
    late = measure(ours)
    for _ in range(KILLS):
        death.strike()
    counts: dict[str, int] = {}

    def over() -> bool:
        if ours.bot.code in (4, -9):
            ours.start_bot()
        told = ours.ask()
        counts.update(told["faults"] if told else {})
        return ours.bot.code is not None

    ours.wait(over, "the tape's end", seconds=patience(2 * MINUTES))
    assert ours.bot.code == 0, f"{again}\n{ours.bot.tail()}"
    ours.ask("/faults", "DELETE")
    print(f"{again}\n{counts}\n{early} {late}, {death.kills} kills")
    assert audit["audit"](ours, SHARES) == [], again
    assert ours.reconcile() == 0, again
    assert audit["decided"](ours) == audit["to_decide"](ours, *AVERAGES), again
    assert any(counts.values()), again
    assert never_struck(ours, counts) == set(), again
    assert begun.code is not None
    for name, (memory, threads) in late.items():
        assert memory < early[name][0] * GROWTH, f"{name} grew: {early} {late}"
        assert threads <= early[name][1] + 2, f"{name} leaks threads: {early} {late}"


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize(
    "path, body, undo",
    [
        ("/orders", {"symbol": "AAA", "qty": 1, "limit_price": 1}, None),
        ("/positions", {"symbol": "AAA", "qty": 5}, {"symbol": "AAA", "qty": -5}),
    ],
)
def test_what_somebody_else_does_stops_the_bot(
    lab: Callable[..., Any],
    market: Callable[..., Path],
    audit: dict[str, Any],
    tmp_path: Path,
    path: str,
    body: dict[str, Any],
    undo: dict[str, Any] | None,
) -> None:
    ours = lab("ours", market(tmp_path / "tape.csv", 2, SEED), "8")  # a DAY order outlives the test
    ours.serve()
    ours.start_bot()
    ours.wait(lambda: ours.ask()["progress"][0] > 60, "an hour")
    told = ours.ask(path, "POST", json=body)
    assert told
    ours.wait(lambda: not ours.bot.alive, "the bot's end")
    assert ours.bot.code == 6, ours.bot.tail()
    assert ours.reconcile() == 6
    if undo is not None:
        ours.ask(path, "POST", json=undo)
        ours.exchange.kill()
        ours.speed, ours.bot = "step", None
        ours.finish()
        assert audit["audit"](ours, SHARES + 5) == []
