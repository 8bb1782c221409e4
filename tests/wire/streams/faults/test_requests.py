"""Faults of REST, seen from a client."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

RESET = requests.exceptions.ConnectionError


@pytest.mark.parametrize("when, there", [("before", False), ("after", True)])
def test_an_error_instead_of_the_answer(
    call: Any, fault: Any, count: Any, client_order_ids: Any, when: str, there: bool
) -> None:
    fault("error", when=when, method="POST", path="/v2/orders", times=1)
    assert call.post("buy", 1, client_order_id="x").status_code == 504
    assert client_order_ids() == (["x"] if there else [])
    assert call.post("buy", 1, client_order_id="y").status_code == 200
    assert count("error") == 1


def test_an_error_of_another_status_and_as_a_page(call: Any, fault: Any) -> None:
    fault("error", status=500, times=1)
    answer = call("GET", "/v2/account")
    assert (answer.status_code, answer.json()["code"]) == (500, 50010000)
    fault("error", status=504, html=True, times=1)
    answer = call("GET", "/v2/account")
    assert answer.headers["content-type"].startswith("text/html")
    assert "504" in answer.text


@pytest.mark.parametrize("when, there", [("before", False), ("after", True)])
def test_a_connection_reset(
    call: Any, fault: Any, client_order_ids: Any, when: str, there: bool
) -> None:
    call.get("/v2/clock")
    fault("reset", when=when, method="POST", times=1)
    with pytest.raises(RESET) as error:
        call.post("buy", 1, client_order_id="x")
    assert "ConnectionResetError" in repr(error.value)
    assert client_order_ids() == (["x"] if there else [])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_hang_carries_out_what_the_client_gave_up(
    place: Any, call: Any, fault: Any, client_order_ids: Any, eventually: Any, when: str
) -> None:
    seconds = 1.0
    fault("hang", when=when, seconds=seconds, method="POST", times=1)
    body = {"symbol": "SPY", "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
    begun = time.monotonic()
    with pytest.raises(requests.exceptions.ReadTimeout):
        call.session.post(
            f"{place.url}/v2/orders", json={**body, "client_order_id": "x"}, timeout=0.1
        )
    found = client_order_ids()
    if when == "before" and time.monotonic() - begun < seconds:  # it still hangs
        assert found == []
    eventually(lambda: client_order_ids() == ["x"])


def test_a_hang_does_not_outlive_the_server(place: Any, call: Any, fault: Any) -> None:
    fault("hang", seconds=60, path="/v2/account")
    with pytest.raises(requests.exceptions.ReadTimeout):
        call.session.get(f"{place.url}/v2/account", timeout=0.1)
    begun = time.monotonic()
    place.server.stop()
    assert time.monotonic() - begun < 30


def test_the_quota_used_up(call: Any, fault: Any) -> None:
    fault("rate_limit", times=1, reset_seconds=5)
    answer = call("GET", "/v2/account")
    assert (answer.status_code, answer.json()["code"]) == (429, 42910000)
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert time.time() < int(answer.headers["x-ratelimit-reset"]) < time.time() + 7
    assert call("GET", "/v2/account").status_code == 200


def test_an_accepted_order_stays_hidden_for_a_while(
    call: Any, fault: Any, step: Any, eventually: Any
) -> None:
    fault("hidden", client_order_id="x*", seconds=0.4)
    seen = call.buy(1, client_order_id="seen")
    order = call.buy(1, client_order_id="x1")
    lookups = (
        lambda: call("GET", "/v2/orders:by_client_order_id", params={"client_order_id": "x1"}),
        lambda: call("GET", f"/v2/orders/{order['id']}"),
    )
    for lookup in lookups:
        answer = lookup()
        assert (answer.status_code, answer.json()["code"]) == (404, 40410000)
    assert [each["id"] for each in call.get("/v2/orders", status="all")] == [seen["id"]]
    again = call.post("buy", 1, client_order_id="x1")
    assert "client_order_id must be unique" in again.text
    eventually(lambda: all(lookup().status_code == 200 for lookup in lookups))
    assert len(call.get("/v2/orders", status="all")) == 2


def test_a_cancel_that_gets_stuck(call: Any, fault: Any, trade_socket: Any, step: Any) -> None:
    listener = trade_socket()
    fault("stuck_cancel", minutes=3)
    order = call.buy(1, type="limit", limit_price=10)
    assert listener.said["data"]["event"] == "new"
    path = f"/v2/orders/{order['id']}"
    for _ in range(2):
        assert call("DELETE", path).status_code == 204
    update = listener.said["data"]
    assert (update["event"], update["order"]["status"]) == ("pending_cancel", "pending_cancel")
    step(2)
    assert call.get(path)["status"] == "pending_cancel"
    assert [each["status"] for each in call.get("/v2/orders")] == ["pending_cancel"]
    step()
    assert listener.said["data"]["event"] == "canceled"
    assert call.get(path)["status"] == "canceled"


def test_an_order_stuck_in_pending_cancel_may_fill(call: Any, fault: Any, step: Any) -> None:
    fault("stuck_cancel")
    order = call.buy(1)
    call("DELETE", f"/v2/orders/{order['id']}")
    step()
    assert call.get(f"/v2/orders/{order['id']}")["status"] == "filled"


def test_a_status_that_nobody_knows(
    call: Any, fault: Any, trade_socket: Any, step: Any, count: Any
) -> None:
    listener = trade_socket()
    fault("unknown_status", symbol="SPY")
    order, other = call.buy(1), call.buy(1, "IBM")
    assert (order["status"], other["status"]) == ("under_review", "pending_new")
    assert listener.said["data"]["order"]["status"] == "under_review"
    statuses = {each["symbol"]: each["status"] for each in call.get("/v2/orders")}
    assert statuses == {"SPY": "under_review", "IBM": "new"}
    step()
    assert call.get(f"/v2/orders/{order['id']}")["status"] == "filled"
    assert count("unknown_status") == 1


def test_only_requests_with_the_keys_meet_faults(place: Any, fault: Any, count: Any) -> None:
    fault("error")
    assert requests.get(f"{place.url}/v2/account", timeout=60).status_code == 401
    assert count("error") == 0
