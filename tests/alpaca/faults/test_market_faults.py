"""Faults of the market: what a broker does to an order after it has said yes. The two books agree."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

pytestmark = pytest.mark.plugins
REST_DDD = "smabot-script-DDD-20260302T2040Z-1"
BUY_AAA = "smabot-script-AAA-20260302T2038Z-1"
BUY_BBB = "smabot-script-BBB-20260302T2039Z-1"
ENTRY = {"AAA": {2: 1}}
RESTING = {"DDD": {4: 1, 6: 0}}


def order(met: Any, name: str) -> tuple[str, int]:
    """An order's status and what it filled, as the bot knows them."""
    ((status, filled),) = met.here(
        f"SELECT status, filled_qty FROM order_intents WHERE client_order_id = '{name}'"
    )
    return status, int(filled)


def there(met: Any, name: str) -> tuple[str, int]:
    """The same, as the exchange tells them."""
    found = met.call("GET", f"/v2/orders:by_client_order_id?client_order_id={name}")
    return found["status"], int(found["filled_qty"])


def test_an_order_is_rejected_after_it_was_accepted(scene: Callable[..., Any]) -> None:
    met = scene({"kind": "rejected_later", "minutes": 2, "times": 1}, wants=ENTRY)
    met.play()
    assert all(met.struck.values())
    assert order(met, BUY_AAA) == there(met, BUY_AAA) == ("rejected", 0)
    met.agree()


def test_an_order_stays_pending(scene: Callable[..., Any]) -> None:
    met = scene({"kind": "stuck_pending", "times": 1}, wants=ENTRY)
    met.play()
    assert all(met.struck.values())
    assert order(met, BUY_AAA) == there(met, BUY_AAA)
    met.agree()


def test_an_answer_is_lost_and_the_order_fills_later(scene: Callable[..., Any]) -> None:
    met = scene({"kind": "lost_answer", "minutes": 3, "times": 1}, wants=ENTRY)
    met.play()
    assert all(met.struck.values())
    assert order(met, BUY_AAA) == there(met, BUY_AAA) == ("filled", 10)
    met.agree()


def test_an_order_is_left_at_the_close(scene: Callable[..., Any]) -> None:
    met = scene({"kind": "left_at_close", "client_order_id": "*BBB*2058Z*"})
    met.play()
    assert all(met.struck.values())
    name = "smabot-script-BBB-20260302T2058Z-1"
    assert order(met, name) == there(met, name)
    assert there(met, name)[0] in ("done_for_day", "canceled")
    met.agree()


def test_a_cancel_is_frozen(scene: Callable[..., Any]) -> None:
    met = scene({"kind": "frozen_cancel", "partial": False}, wants=RESTING)
    met.play()
    assert all(met.struck.values())
    assert there(met, REST_DDD) == ("pending_cancel", 0)
    assert order(met, REST_DDD) == ("expired", 0), "ended here, as the broker leaves it open"
    met.agree()


def test_a_symbol_is_halted(scene: Callable[..., Any]) -> None:
    met = scene(
        {"kind": "halt", "symbol": "AAA", "minutes": 3, "since": "2026-03-02T20:39:00Z"},
        wants=ENTRY,
    )
    met.play()
    assert all(met.struck.values())
    assert order(met, BUY_AAA) == there(met, BUY_AAA) == ("filled", 10)
    met.agree()
    times = [ts for (ts,) in met.there("SELECT ts FROM bars WHERE symbol = 'AAA' ORDER BY ts")]
    assert max(b - a for a, b in pairwise(times)) >= 240
