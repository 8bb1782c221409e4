"""`smabot explain` of a time long ago: older than the newest thousand signals, and after many events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.order_terms import Side, Status
from smabot.domain.records import Bar, Fill, Position, Signal, SignalState

pytest.importorskip("smabot_persistence_sqlite")

Call = Callable[..., Any]
D = Decimal
FIRST = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
STEP = timedelta(minutes=10)
SIGNALS = 1201


def signal(number: int) -> Signal:
    """Long, flat, long, and so on, ten minutes apart; each bar ends a minute after its time."""
    bar = Bar("SPY", FIRST + STEP * number, 100.0, 100.0, 100.0, 100.0, 1.0)
    made = Signal.flat(bar) if number % 2 else Signal.long(bar)
    return replace(made, strategy="sma")


@pytest.fixture
def history(journal: Any, make_order: Callable[..., Any]) -> Any:
    """Each signal but the second and the third led to an order that filled at once."""
    signals = [signal(number) for number in range(SIGNALS)]
    rows: list[Any] = []
    for number, each in enumerate(signals):
        if number in (1, 2):
            continue
        side, at = (Side.SELL if number % 2 else Side.BUY), each.bar_time + MINUTE
        rows += [
            make_order(
                0, "SPY", side, Status.FILLED, client_order_id=f"smabot-sma-SPY-{number}",
                bar_time=each.bar_time, created_at=at, filled_qty=D(10), filled_avg_price=D(100),
            ),
            Fill(
                f"smabot-sma-SPY-{number}", D(10), "sma", "SPY", side, D(10), D(100), D(0), at,
                side is Side.SELL,
            ),
        ]  # fmt: skip
    journal.commit([
        *signals, *rows,
        SignalState("sma", "SPY", "BUY", 1, signals[-1].bar_time),
        Position("sma", "SPY", D(10), D(1000), D(100), D(0), FIRST),
        Event(
            FIRST + STEP + MINUTE, "no_order",
            f"smabot-sma-SPY-{signals[1].bar_time:%Y%m%dT%H%MZ}-1", "too small",
        ),
        Event(FIRST + STEP * 2, "halt", "core", "lunch", grave=True),
        Event(FIRST + STEP * 3, "resume", "core", "entries are allowed again"),
    ], [Bar("SPY", FIRST + STEP * n / 2, 100.0, 100.0, 100.0, 100.0, 1.0) for n in range(12)])  # fmt: skip
    journal.close()
    return signals


def test_a_day_long_ago_has_its_signals(history: Any, call: Call) -> None:
    day = call("explain", "SPY", "--date", "2026-03-02", "--json").json["holdings"][0]
    outcomes = [each["outcome"]["code"] for each in day["signals"]]
    assert outcomes[:4] == ["filled", "no_order", "no_trace", "filled"]
    assert set(outcomes[4:]) == {"filled"}
    assert len(outcomes) == 84  # until midnight in New York


def test_a_signal_long_ago_says_why_it_had_no_order(history: Any, call: Call) -> None:
    at = call("explain", "SPY", "--at", "2026-03-02T15:11Z", "--json").json["holdings"][0]
    assert at["why_no_order"] == ["no order: too small"]


def test_an_order_long_ago_is_found(history: Any, call: Call) -> None:
    at = call("explain", "SPY", "--at", "2026-03-02T15:31Z", "--json").json["holdings"][0]
    assert [each["order"]["client_order_id"] for each in at["orders"]] == ["smabot-sma-SPY-3"]


def test_a_minute_long_ago_without_a_signal_names_the_one_before(history: Any, call: Call) -> None:
    asked = call("explain", "SPY", "--at", "2026-03-02T15:16Z", "--json").json
    why = asked["holdings"][0]["why_no_order"]
    assert why[0].startswith("no new signal at 10:16")
    assert "flat since 2026-03-02 10:11" in why[0]
    assert "10 were held" in why[0]
    assert why[1] == "that signal: no order: too small"
    assert asked["in_force"] == []


def test_a_halt_long_ago_was_in_force(history: Any, call: Call) -> None:
    asked = call("explain", "SPY", "--at", "2026-03-02T15:26Z", "--json").json
    assert [(each["kind"], each["text"]) for each in asked["in_force"]] == [("halt", "lunch")]
