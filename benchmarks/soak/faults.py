"""The faults of a soak: all that a bot has to get over without an operator. None makes it stop for good."""

from __future__ import annotations

from random import Random
from typing import Any

Fault = dict[str, Any]

MARKET: list[Fault] = [
    {"kind": "rejected_later", "probability": 0.01},
    {"kind": "stuck_pending", "probability": 0.01, "minutes": 4},
    {"kind": "lost_answer", "probability": 0.005, "minutes": 3},
    {"kind": "frozen_cancel", "probability": 0.5, "partial": False, "minutes": 5},
    {"kind": "left_at_close", "probability": 0.002},
    {"kind": "bar_wrong", "probability": 0.00005},
]
"""Of the exchange itself: they strike in process and over the wire."""

_ORDERS, _ANY = {"path": "/v2/orders*"}, {"path": "/v2/*"}
WIRE: list[Fault] = [
    {"kind": "error", "probability": 0.005, **_ANY},
    {"kind": "error", "name": "error after", "when": "after", "probability": 0.01, **_ORDERS},
    {"kind": "reset", "probability": 0.005, **_ANY},
    {"kind": "reset", "name": "reset after", "when": "after", "probability": 0.01, **_ORDERS},
    {"kind": "hidden", "probability": 0.02, "seconds": 0.01},
    {"kind": "update_dropped", "probability": 0.01},
    {"kind": "update_doubled", "probability": 0.02},
    {"kind": "update_late", "probability": 0.01, "minutes": 2},
    {"kind": "update_swapped", "probability": 0.01},
    {"kind": "disconnect", "probability": 0.001},
    {"kind": "disconnect", "name": "trades lost", "stream": "trade", "probability": 0.001},
    {"kind": "garbage", "probability": 0.0005},
    {"kind": "bar_missing", "probability": 0.0005},
    {"kind": "bar_revised", "probability": 0.001},
]
"""Of the line to it."""


def drawn(random: Random, symbols: list[str]) -> list[Fault]:
    """Return the faults of one life of the exchange: those of orders, a halt, now and then a blocked account."""
    halted = {"kind": "halt", "symbol": random.choice(symbols), "minutes": random.randint(5, 90)}
    found = [*MARKET, {**halted, "probability": 0.01}]
    if random.random() < 0.2:
        found.append({"kind": "account_flag", "minutes": 15, "nth": random.randint(1, 300)})
    return found


def deposit(random: Random) -> Fault:
    """Return a movement of cash, in or out."""
    return {"kind": "cash_moved", "amount": random.choice([2500, 1000, -1500]), "nth": 5}
