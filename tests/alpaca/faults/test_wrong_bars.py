"""Bars that can't be: left out and told, and asked for where REST has the right ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("smabot_exchange.http.server")

from smabot_exchange.faults.fault_files import parse_faults

pytestmark = pytest.mark.plugins
WRONG = {"kind": "bar_wrong", "symbol": "AAA", "since": "2026-03-02T20:40:00Z", "times": 3}
BARS = "SELECT * FROM bars"


@pytest.mark.parametrize(
    ("field", "value"),
    [("open", 0), ("close", math.nan), ("close", 1), ("volume", math.nan)],
)
def test_rest_has_the_right_one(
    scene: Callable[..., Any], fair: Any, field: str, value: float
) -> None:
    met = scene()
    met.exchange.faults.add(parse_faults({**WRONG, "field": field, "value": value})[1])
    met.play()
    assert sum(met.struck.values()) == 3
    assert sorted(met.here(BARS)) == sorted(fair.here(BARS))
    met.agree()
    told = met.here("SELECT subject, text FROM events WHERE kind = 'bad_bar'")
    assert [symbol for symbol, _ in told] == ["AAA"] * 3
    assert all("is left out" in text and field in text for _, text in told)


def test_nobody_has_the_right_one(scene: Callable[..., Any], fair: Any) -> None:
    met = scene({**WRONG, "field": "close", "value": 0, "rest": True})
    met.play()
    met.agree()
    mine, right = set(met.here(BARS)), set(fair.here(BARS))
    assert mine < right
    assert len(right - mine) == 3
