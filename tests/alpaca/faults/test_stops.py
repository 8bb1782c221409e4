"""Faults after which the bot must not go on: it stops with a code and a reason, and stays stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.start.startup_reconciliation import accept_broker_state, compare_with_broker
from smabot.errors import SmabotError

pytestmark = pytest.mark.plugins
SINCE = "2026-03-02T20:40:00Z"
QUARTER_TO = datetime(2026, 3, 2, 20, 45, tzinfo=UTC)


def foreign_order(**fields: Any) -> dict[str, Any]:
    return {"kind": "foreign_order", "since": SINCE, **fields}


def shares(qty: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "foreign_position", "qty": qty, "since": SINCE, **fields}


CONFLICT = 6
STOPS: dict[str, tuple[dict[str, Any], str, str]] = {
    # somebody else's doings, the kind of conflict, words of the message
    "buys AAA": (foreign_order(symbol="AAA", qty=3), "foreign_activity", "AAA"),
    "rests in AAA": (
        foreign_order(symbol="AAA", qty=3, limit_price=50),
        "foreign_activity",
        "buy 3 AAA limit at 50",
    ),
    "another instance of this bot": (
        foreign_order(symbol="CCC", limit_price=100, client_order_id="smabot-other-CCC-20260302T2039Z-1"),
        "unknown_locally",
        "another bot with this name",
    ),
    "shares of AAA appear": (shares(5, symbol="AAA"), "position_mismatch", "10 shares, there 15 shares"),
    "shares of AAA vanish": (shares(-4, symbol="AAA"), "position_mismatch", "10 shares, there 6 shares"),
    "AAA splits": (shares(10, symbol="AAA", price=50), "position_mismatch", "2-for-1 split"),
    "shares of DDD appear": (shares(5, symbol="DDD"), "foreign_activity", "0 shares, there 5 shares"),
}  # fmt: skip


def words(error: SmabotError) -> str:
    """All that a person is told of an error."""
    conflicts = error.conflicts if isinstance(error, ReconciliationConflict) else []
    told = [f"{c.kind} {c.what}: {c.here}, there {c.there}; {c.resolve}" for c in conflicts]
    return "; ".join([str(error), *told])


@pytest.mark.parametrize("name", STOPS)
def test_a_conflict_found_while_running(scene: Callable[..., Any], name: str) -> None:
    fault, kind, said = STOPS[name]
    met = scene(fault)
    error = met.stops()
    assert all(met.struck.values()), met.struck
    assert error.exit_code == CONFLICT
    assert kind in words(error)
    assert said in words(error)
    before = met.dump()
    assert met.stops().exit_code == CONFLICT
    assert met.dump() == before


def test_an_order_of_ours_that_was_never_written_stops_it_at_once(
    scene: Callable[..., Any],
) -> None:
    met = scene(
        foreign_order(
            symbol="CCC", limit_price=100, client_order_id="smabot-x-CCC-20260302T2039Z-1"
        )
    )
    error = met.stops(reconcile_every_minutes=600)
    assert error.exit_code == CONFLICT
    assert "smabot-x-CCC-20260302T2039Z-1" in words(error)
    assert str(met.venue.exchange.now) == "2026-03-02 20:40:00+00:00"


def test_another_order_under_an_id_of_ours(scene: Callable[..., Any]) -> None:
    name = "smabot-script-BBB-20260302T2039Z-1"
    met = scene(foreign_order(symbol="BBB", qty=7, client_order_id=name))
    error = met.stops()
    assert error.exit_code == CONFLICT
    assert "buy 7 BBB" in words(error)
    assert "buy 10 BBB" in words(error)
    assert met.stops().exit_code == CONFLICT
    assert met.there(f"SELECT qty FROM orders WHERE client_order_id = '{name}'") == [("7",)]


def test_a_person_takes_the_brokers_word_and_it_goes_on(scene: Callable[..., Any]) -> None:
    met = scene(shares(-4, symbol="AAA"))
    assert met.stops().exit_code == CONFLICT
    with met.opened() as session:
        found = compare_with_broker(session)
        assert found is not None
        accept_broker_state(session, found)
    met.play()
    met.agree()
    assert met.here("SELECT symbol, qty FROM adjustments") == [("AAA", "-4")]


def test_what_is_not_traded_here_is_nobodys_business(scene: Callable[..., Any]) -> None:
    met = scene(foreign_order(symbol="CCC", qty=3), shares(7, symbol="DDD"))
    met.play(symbols=("AAA", "BBB"))
    assert all(met.struck.values())
    assert met.here("SELECT COUNT(*) FROM order_intents WHERE status = 'filled'") > [(5,)]


def test_foreign_orders_are_let_be_where_that_is_wanted(scene: Callable[..., Any]) -> None:
    met = scene(foreign_order(symbol="AAA", qty=3, limit_price=50))
    met.play(foreign="ignore")
    assert all(met.struck.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "path", "said"),
    [
        ("error", "/v2/account", "GET /v2/account"),
        ("error", "/v2/calendar", "GET /v2/calendar"),
        ("error", "/v2/assets*", "GET /v2/assets"),
        ("error", "/v2/orders", "GET /v2/orders"),
        ("error", "/v2/positions", "GET /v2/positions"),
        ("error", "/v2/stocks/bars", "GET /v2/stocks/bars"),
        ("reset", "/v2/orders", "the connection broke"),
        ("rate_limit", "/v2/positions", "rate limit"),
        ("hang", "/v2/account", "no answer within 1.5 s"),
    ],
    ids=lambda value: value.rpartition("/")[2],
)
def test_a_start_that_gets_no_answer(
    scene: Callable[..., Any], fair: Any, kind: str, path: str, said: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("smabot_alpaca.rest.client.LONGEST_READ_WAIT", 1.0)
    met = scene()
    with met.started() as engine:
        met.go(engine, QUARTER_TO)
    before = met.dump()
    met.arm({"kind": kind, "method": "GET", "path": path})
    error = met.stops()
    assert all(met.struck.values())
    assert error.exit_code == 4
    assert said in str(error)
    asked_last = path == "/v2/stocks/bars"  # then the broker's news of orders is taken in already
    assert asked_last or met.dump() == before
    met.call("DELETE", "/_exchange/faults")
    met.play()
    met.agree()
    assert met.dump() == fair.dump()


def test_a_key_that_is_not_taken(
    scene: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PKSOMEBODY")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "somebodyelses")
    error = scene().stops()
    assert error.exit_code == 4
    assert "did not accept the key" in str(error)
    assert "somebodyelses" not in str(error)


def test_a_database_of_another_account(scene: Callable[..., Any]) -> None:
    first, second = scene(name="first"), scene(name="second")
    with first.started() as engine:
        first.go(engine, QUARTER_TO)
    error = second.stops(db=first.db)
    assert error.exit_code == CONFLICT
    assert "account_mismatch" in words(error)
    assert second.there("SELECT COUNT(*) FROM orders") == [(0,)]
