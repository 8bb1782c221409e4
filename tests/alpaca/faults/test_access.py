"""A key that is refused, and an account that may not trade: a state of its own, until it is over."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smabot.engine.start.startup_reconciliation import compare_with_broker
from smabot.errors import AccountBlocked, KeyRefused

pytestmark = pytest.mark.plugins
SMABOT = str(Path(sys.executable).with_name("smabot"))
WANTS = {"AAA": {2: 1, 7: 0}, "CCC": {8: 1}}
EXIT, ENTRY = "smabot-script-AAA-20260302T2043Z-1", "smabot-script-CCC-20260302T2044Z-1"
SINCE, UNTIL = "2026-03-02T20:43:00Z", "2026-03-02T20:47:00Z"
SUSPENDED = {"kind": "account_flag", "flag": "trade_suspended_by_user", "since": SINCE}


def refused(**fields: Any) -> dict[str, Any]:
    return {"kind": "keys_refused", "since": SINCE, **fields}


def events(met: Any, *kinds: str) -> list[tuple[str, int]]:
    rows = met.here("SELECT kind, grave FROM events ORDER BY time")
    return [(kind, grave) for kind, grave in rows if kind in kinds]


def orders(met: Any) -> dict[str, tuple[str, str]]:
    rows = met.here("SELECT client_order_id, status, reason FROM order_intents")
    return {name: (status, reason) for name, status, reason in rows}


@pytest.mark.parametrize("status", [401, 403])
def test_an_exit_is_kept_while_the_key_is_refused_and_leaves_when_it_is_taken(
    scene: Callable[..., Any], status: int
) -> None:
    met = scene(refused(until=UNTIL, status=status), wants=WANTS)
    met.play()
    met.agree()
    found = orders(met)
    assert found[EXIT] == ("filled", "")
    assert found[ENTRY][0] == "blocked"
    assert f"the broker refuses the key: {status}" in found[ENTRY][1]
    assert not any(name.endswith("-2") for name in found)
    assert events(met, "key_refused", "key_accepted", "refused_exit") == [
        ("key_refused", 1),
        ("key_accepted", 0),
    ]


def test_a_key_that_stays_refused_ends_the_run_and_the_next_one_goes_on(
    scene: Callable[..., Any],
) -> None:
    met = scene(refused(), wants=WANTS)
    error = met.stops(unauthorized_minutes=3)
    assert isinstance(error, KeyRefused)
    assert error.exit_code == 4
    assert "the broker has refused the key for 3 minutes (401 unauthorized.: " in str(error)
    assert "): give a key that works and start again" in str(error)
    assert "\n" not in str(error)
    assert met.exchange.now <= datetime(2026, 3, 2, 20, 48, tzinfo=UTC)
    assert events(met, "key_refused", "key_accepted", "refused_exit") == [("key_refused", 1)]
    assert orders(met)[EXIT][0] == "pending"
    met.call("DELETE", "/_exchange/faults")
    met.play()
    met.agree()
    assert orders(met)[EXIT][0] == "filled"


def test_a_refused_key_is_found_by_a_question(scene: Callable[..., Any]) -> None:
    met = scene(refused(method="GET"), wants={})
    assert isinstance(met.stops(reconcile_every_minutes=2, unauthorized_minutes=2), KeyRefused)
    assert events(met, "key_refused") == [("key_refused", 1)]


def test_a_refused_key_is_found_by_a_cancel(scene: Callable[..., Any]) -> None:
    """BBB turns flat amid its entry's fills."""
    met = scene(refused(method="DELETE", until="2026-03-02T20:46:30Z"), wants={"BBB": {7: 1, 8: 0}})
    met.play(reconcile_every_minutes=600)
    met.agree()
    found = set(events(met, "key_refused", "key_accepted"))
    assert found == {("key_refused", 1), ("key_accepted", 0)}


@pytest.mark.slow
def test_a_refused_key_is_found_by_a_stream(scene: Callable[..., Any]) -> None:
    """The feed waits five seconds for the stream to come back before it plays on."""
    met = scene(
        refused(method="WS"),
        {"kind": "disconnect", "stream": "trade", "since": SINCE, "times": 1},
        wants={},
    )
    error = met.stops(unauthorized_minutes=1)
    assert isinstance(error, KeyRefused)
    assert "for 1 minute (by the stream of order updates: failed to authenticate)" in str(error)
    assert events(met, "key_refused") == [("key_refused", 1)]


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked", "trade_suspended_by_user"])
def test_an_exit_is_kept_while_the_account_may_not_trade(
    scene: Callable[..., Any], flag: str
) -> None:
    met = scene({"kind": "account_flag", "flag": flag, "since": SINCE, "minutes": 4}, wants=WANTS)
    met.play(unauthorized_minutes=1)
    met.agree()
    found = orders(met)
    assert found[EXIT] == ("filled", "")
    assert found[ENTRY][0] == "blocked"
    assert flag in found[ENTRY][1]
    assert events(met, "account_blocked", "account_unblocked", "refused_exit", "key_refused") == [
        ("account_blocked", 1),
        ("account_unblocked", 0),
    ]


def test_flags_without_an_order_are_seen_when_the_broker_is_compared_with(
    scene: Callable[..., Any],
) -> None:
    met = scene(SUSPENDED, wants={})
    met.play()
    assert events(met, "account_blocked") == [("account_blocked", 1)]


def test_a_blocked_account_stops_a_start_and_no_comparison(scene: Callable[..., Any]) -> None:
    met = scene()
    met.call("PATCH", "/v2/account/configurations", {"suspend_trade": True})
    error = met.stops()
    assert isinstance(error, AccountBlocked)
    assert error.exit_code == 4
    assert "may not trade: trade_suspended_by_user" in str(error)
    with met.opened() as session:
        found = compare_with_broker(session)
        assert found is not None
        assert not found.conflicts


def test_a_start_waits_as_a_429_says(scene: Callable[..., Any]) -> None:
    limits = [
        {"kind": "rate_limit", "name": path, "path": path, "nth": 1, "retry_after": 0}
        for path in ("/v2/account", "/v2/calendar", "/v2/assets*")
    ]
    met = scene(*limits, wants={}, until=datetime(2026, 3, 2, 20, 38, tzinfo=UTC))
    with met.started() as engine:
        assert engine.run() == "until"
    assert set(met.struck.values()) == {1}


def test_the_command_ends_with_code_4_and_one_line(scene: Callable[..., Any]) -> None:
    met = scene(refused())
    done = subprocess.run(
        [SMABOT, "run", "--url", met.serving.url, "--plugins", "sma", "--db", "trades.db", "--speed", "max"],
        cwd=met.folder, text=True, capture_output=True, timeout=60,
        env={**os.environ, "SMABOT_RECONCILE_EVERY_MINUTES": "1"},
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    errors = [line for line in done.stderr.splitlines() if "give a key that works" in line]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert "key refused" in done.stdout
