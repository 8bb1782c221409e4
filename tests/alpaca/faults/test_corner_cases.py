"""Corner cases of orders at a broker: the two books agree, and what happened is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from smabot.domain.records import Batch
from smabot.errors import SmabotError

pytestmark = pytest.mark.plugins
BUY_AAA = "smabot-script-AAA-20260302T2038Z-1"
BUY_BBB = "smabot-script-BBB-20260302T2039Z-1"
REST_DDD = "smabot-script-DDD-20260302T2040Z-1"
LAST_BBB = "smabot-script-BBB-20260302T2058Z-1"


def at(clock: str, day: int = 2) -> datetime:
    return datetime(2026, 3, day, *map(int, clock.split(":")), tzinfo=UTC)


def order(met: Any, name: str) -> tuple[str, int, str]:
    """An order's status, what it filled, and the reason, as the bot knows them."""
    ((status, filled, reason),) = met.here(
        f"SELECT status, filled_qty, reason FROM order_intents WHERE client_order_id = '{name}'"
    )
    return status, int(filled), reason


def there(met: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = met.call("GET", f"/v2/orders:by_client_order_id?client_order_id={name}")
    return found


def test_what_was_filled_before_an_end_is_kept(fair: Any) -> None:
    assert order(fair, "smabot-script-BBB-20260302T2048Z-1") == (
        "canceled",
        4,
        "its target is now flat",
    )
    assert order(fair, LAST_BBB) == ("expired", 4, "")


def test_a_cancel_that_comes_after_the_fill(scene: Callable[..., Any], fair: Any) -> None:
    """Nobody tells of the fill, so that an entry is called off that is no more: 422, and a look."""
    silence = {
        "client_order_id": "smabot-script-AAA-20260302T2046Z-1",
        "until": "2026-03-02T20:48:30Z",
    }
    met = scene(
        {"kind": "update_dropped", **silence},
        {"kind": "error", "method": "GET", "path": "/v2/orders*", **silence},
        wants={"AAA": {10: 1, 11: 0}},
    )  # fmt: skip
    met.play(reconcile_every_minutes=600)
    assert all(met.struck.values())
    assert order(met, silence["client_order_id"]) == ("filled", 10, "")
    met.agree()
    assert met.here("SELECT side, SUM(qty) FROM trades GROUP BY side ORDER BY side") == [
        ("buy", 10),
        ("sell", 10),
    ]


def test_an_order_that_expired_while_nobody_was_there(scene: Callable[..., Any]) -> None:
    met = scene()
    with met.started() as engine:
        met.go(engine, at("20:59"))
    assert order(met, LAST_BBB)[0] in ("submitted", "accepted")
    for _ in range(5):
        met.call("POST", "/_exchange/play")
    assert there(met, LAST_BBB)["status"] == "expired"
    met.play()
    assert order(met, LAST_BBB) == ("expired", 4, "")
    met.agree()


def test_fills_of_several_minutes_while_nobody_was_there_are_one(scene: Callable[..., Any]) -> None:
    met = scene()
    with met.started() as engine:
        met.go(engine, at("20:40"))
    for _ in range(4):
        met.call("POST", "/_exchange/play")
    met.play()
    assert order(met, BUY_BBB) == ("filled", 10, "")
    met.agree(merged=True)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_order_that_stays_unknown(scene: Callable[..., Any], when: str) -> None:
    """Its symbol is frozen, other symbols are not; no other id is made for it."""
    every = {"client_order_id": BUY_AAA, "until": "2026-03-02T20:59:00Z"}
    met = scene(
        {"kind": "error", "method": "POST", "when": when, **every},
        {"kind": "update_dropped", **every},
        {"kind": "hidden", "client_order_id": BUY_AAA, "seconds": 1000},
        wants={"AAA": {2: 1, 30: 1}, "CCC": {2: 1}},
    )
    with met.started(reconcile_every_minutes=600) as engine:
        met.go(engine, at("20:42"))

        def frozen() -> bool:
            engine.process(Batch(at("20:42")))
            status, _, reason = order(met, BUY_AAA)
            return status == "unknown" and "frozen" in reason

        met.wait(frozen, "a frozen symbol")
        if when == "after":
            met.venue.broadcast.visibility._hidden.clear()
        assert engine.run() == "ended"
    assert order(met, "smabot-script-CCC-20260302T2038Z-1")[0] == "filled"
    if when == "after":
        assert order(met, BUY_AAA) == ("filled", 10, "")
    else:
        *ended, reason = order(met, BUY_AAA)
        assert ended == ["abandoned", 0]
        assert reason.startswith("never arrived, and not sent again: ")
    met.agree()
    ours = met.there("SELECT client_order_id FROM orders WHERE symbol = 'AAA' ORDER BY seq")
    assert ours == ([(BUY_AAA,)] if when == "after" else [])


def test_the_same_order_has_arrived_before(scene: Callable[..., Any], fair: Any) -> None:
    met = scene({"kind": "foreign_order", "symbol": "BBB", "qty": 10, "client_order_id": BUY_BBB,
                 "since": "2026-03-02T20:40:00Z"})  # fmt: skip
    met.play()
    assert all(met.struck.values())
    met.agree()
    assert met.dump() == fair.dump()


@pytest.mark.parametrize("minutes", [2, None], ids=["for a while", "for good"])
def test_a_cancel_that_is_not_carried_out(scene: Callable[..., Any], minutes: int | None) -> None:
    stuck = {"kind": "stuck_cancel", "symbol": "DDD", "times": 1}
    met = scene({**stuck, "minutes": minutes} if minutes else stuck)
    met.play()
    assert all(met.struck.values())
    status, filled, _ = order(met, REST_DDD)
    assert status in ("canceled", "filled", "expired")
    assert there(met, REST_DDD)["status"] == status
    met.agree()
    assert filled == int(there(met, REST_DDD)["filled_qty"])


def test_a_person_cancels_an_entry_at_the_broker(scene: Callable[..., Any]) -> None:
    met = scene(wants={"DDD": {4: 1}, "AAA": {2: 1, 20: 0}})
    with met.started() as engine:
        met.go(engine, at("20:42"))
        met.call("DELETE", f"/v2/orders/{there(met, REST_DDD)['id']}")
        assert engine.run() == "ended"
    assert order(met, REST_DDD) == ("canceled", 0, "")
    met.agree()


def test_a_person_cancels_an_exit_at_the_broker_and_it_is_tried_again(
    scene: Callable[..., Any],
) -> None:
    met = scene(wants={"BBB": {3: 1, 9: 0}})
    with met.started() as engine:
        met.go(engine, at("20:46"))
        met.call("DELETE", f"/v2/orders/{there(met, 'smabot-script-BBB-20260302T2045Z-1')['id']}")
        assert engine.run() == "ended"
    assert order(met, "smabot-script-BBB-20260302T2045Z-2")[:2] == ("filled", 10)
    met.agree()


def test_a_person_replaces_an_order_at_the_broker(scene: Callable[..., Any]) -> None:
    met = scene(wants={"DDD": {4: 1}})
    with met.started() as engine:
        met.go(engine, at("20:42"))
        changed = met.call(
            "PATCH", f"/v2/orders/{there(met, REST_DDD)['id']}", {"limit_price": "1.00"}
        )
        with pytest.raises(SmabotError) as caught:
            engine.run()
    assert caught.value.exit_code == 6
    status, _, reason = order(met, REST_DDD)
    assert (status, reason) == ("canceled", f"replaced by order {changed['id']}")


def test_a_person_closes_a_position_at_the_broker(scene: Callable[..., Any]) -> None:
    met = scene(wants={"AAA": {2: 1}})
    with met.started() as engine:
        met.go(engine, at("20:42"))
        met.call("DELETE", "/v2/positions/AAA")
        with pytest.raises(SmabotError) as caught:
            engine.run()
    assert caught.value.exit_code == 6
    assert "position_mismatch" in str(caught.value)


@pytest.mark.parametrize("again", [False, True], ids=["", "also after a restart"])
def test_a_revised_bar_changes_no_decision(
    scene: Callable[..., Any], fair: Any, again: bool
) -> None:
    met = scene({"kind": "bar_revised", "symbol": "AAA", "change": 0.1, "probability": 0.3})
    if again:
        with met.started() as engine:
            met.go(engine, at("20:47"))
    met.play()
    revised = sum(met.struck.values())
    assert revised > 3
    dumped, expected = met.dump(), fair.dump()
    revisions = dumped.pop("bar_revisions")
    expected.pop("bar_revisions")
    assert dumped == expected
    bars = {(row[0], row[1]): row for row in met.here("SELECT ts, symbol, close FROM bars")}
    assert bars
    assert revised - 1 <= len(revisions) <= revised  # the tape may end before the last one is told
    assert {row[1] for row in revisions} == {"AAA"}


@pytest.mark.slow
def test_no_answer_about_positions_keeps_entries_back_and_lets_exits_pass(
    scene: Callable[..., Any],
) -> None:
    met = scene(
        {"kind": "error", "path": "/v2/positions", "since": "2026-03-02T20:46:00Z",
         "until": "2026-03-02T20:48:30Z"},
        wants={"AAA": {2: 1, 11: 0}, "CCC": {11: 1}, "DDD": {20: 1}},
    )  # fmt: skip
    met.play()
    assert all(met.struck.values())
    assert order(met, "smabot-script-AAA-20260302T2047Z-1")[0] == "filled"
    status, _, reason = order(met, "smabot-script-CCC-20260302T2047Z-1")
    assert status == "blocked"
    assert "/v2/positions" in reason
    assert order(met, "smabot-script-DDD-20260302T2056Z-1")[0] != "blocked"
    met.agree()


@pytest.mark.slow
def test_no_updates_keep_entries_back_and_let_exits_pass(scene: Callable[..., Any]) -> None:
    """Longer than a stepped exchange waits for the stream."""
    met = scene(
        {"kind": "disconnect", "stream": "trade", "nth": 6},
        {"kind": "refuse", "stream": "trade", "seconds": 5.5},
        wants={"AAA": {2: 1, 7: 0}, "CCC": {7: 1, 46: 1}},
    )
    met.play()
    assert all(met.struck.values())
    assert order(met, "smabot-script-AAA-20260302T2043Z-1")[0] == "filled"
    status, _, reason = order(met, "smabot-script-CCC-20260302T2043Z-1")
    assert status == "blocked"
    assert "no updates of orders come" in reason
    met.agree()


@pytest.mark.slow
def test_everything_at_once_and_orders_hidden(scene: Callable[..., Any]) -> None:
    """What is hidden from REST and not told by the stream is found later: no row is as it was, and
    the books agree."""
    met = scene(
        {"kind": "hidden", "seconds": 0.1, "probability": 0.3},
        {"kind": "update_dropped", "probability": 0.3},
        {"kind": "reset", "method": "POST", "path": "/v2/orders", "when": "after", "probability": 0.2},
        {"kind": "disconnect", "stream": "trade", "probability": 0.05},
        {"kind": "stuck_cancel", "minutes": 2, "probability": 0.5},
    )  # fmt: skip
    met.play()
    assert all(met.struck.values())
    met.agree(merged=True)
