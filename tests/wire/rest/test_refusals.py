"""What is refused, and how: status, code, message and further fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from smabot_exchange.matching.account import AccountTerms

BAD = 40010001
UNPROCESSABLE = 42210000
FORBIDDEN = 40310000
ABSENT = 40410000

LIMIT = {"type": "limit", "limit_price": "90"}


def check(response: Any, status: int, code: int, message: str = "", **more: str) -> None:
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert message in body["message"]
    assert {name: body.get(name) for name in more} == more


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"symbol": None}, "symbol is required"),
    ({"symbol": ""}, "symbol is required"),
    ({"symbol": 5}, "symbol is required"),
    ({"side": None}, "side is required"),
    ({"side": "hold"}, "invalid side"),
    ({"type": None}, "type is required"),
    ({"type": "guess"}, "invalid type"),
    ({"type": ["limit"]}, "invalid type"),
    ({"time_in_force": None}, "time_in_force is required"),
    ({"time_in_force": "gtd"}, "invalid time_in_force"),
    ({"qty": None}, "qty or notional is required"),
    ({"qty": "ten"}, "invalid qty"),
    ({"qty": True}, "invalid qty"),
    ({"qty": "nan"}, "invalid qty"),
    ({"qty": "inf"}, "invalid qty"),
    ({"qty": "1e-999999999"}, "invalid qty"),
    ({"qty": {"shares": 1}}, "invalid qty"),
    ({"qty": 0}, "qty"),
    ({"qty": -1}, "qty"),
    ({"qty": 1, "notional": 5}, "notional"),
    ({"type": "limit"}, "limit"),
    ({**LIMIT, "limit_price": 0}, "limit_price"),
    ({"type": "stop"}, "stop"),
    ({"type": "trailing_stop"}, "trail"),
    ({"order_class": "swarm"}, "invalid order_class"),
    ({"order_class": "mleg"}, "mleg"),
    ({"order_class": "bracket"}, "bracket orders require take_profit"),
    ({"order_class": "bracket", "take_profit": 110}, "invalid take_profit"),
    ({"extended_hours": "yes"}, "invalid extended_hours"),
    ({"client_order_id": 7}, "invalid client_order_id"),
    ({"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
    ({"position_intent": ""}, "invalid position_intent specified"),
    ({"position_intent": "hope"}, "invalid position_intent specified"),
]


@pytest.mark.parametrize(("fields", "message"), MALFORMED, ids=lambda value: str(value)[:60])
def test_what_can_not_be_an_order(still: Any, ask: Any, fields: Any, message: str) -> None:
    wanted = {"side": "buy", "qty": 1, **fields}
    body = {"symbol": "SPY", "type": "market", "time_in_force": "day", **wanted}
    check(ask("POST", "/v2/orders", json=body), 422, BAD, message)
    assert still.exchange.orders("all") == []


@pytest.mark.parametrize("content", [b"{", b"[]", b"7", b'"order"', b"\xff", b'{"qty": NaN}'])
def test_what_is_no_object(ask: Any, content: bytes) -> None:
    check(ask("POST", "/v2/orders", data=content), 422, BAD, "request body format is invalid")


def test_an_empty_body(ask: Any) -> None:
    check(ask("POST", "/v2/orders"), 422, BAD, "is required")


def test_a_taken_id(place: Any, call: Any) -> None:
    call.buy(client_order_id="mine")
    check(call.post("buy", 1, client_order_id="mine"), 422, BAD, "client_order_id must be unique")
    place.play(1)
    assert call.get("/v2/orders:by_client_order_id", client_order_id="mine")["status"] == "filled"
    check(call.post("sell", 1, client_order_id="mine"), 422, BAD, "client_order_id must be unique")


def test_an_id_of_any_characters(call: Any) -> None:
    for name in ("a b", "ä/ö?&=%#+", "日本", "x" * 128):
        order = call.buy(client_order_id=name)
        found = call.get("/v2/orders:by_client_order_id", client_order_id=name)
        assert (found["id"], found["client_order_id"]) == (order["id"], name)


def test_an_order_without_an_id_gets_one(call: Any) -> None:
    assert call.buy()["client_order_id"] != call.buy(client_order_id="")["client_order_id"]


def test_fractions_of_a_cent(call: Any) -> None:
    message = "sub-penny increment does not fulfill minimum pricing criteria"
    check(call.post("buy", 1, **{**LIMIT, "limit_price": 90.005}), 422, UNPROCESSABLE, message)
    check(call.post("buy", 1, **{**LIMIT, "limit_price": "0.12345"}), 422, UNPROCESSABLE, message)
    call.buy(1, **{**LIMIT, "limit_price": 90.05})
    call.buy(1, **{**LIMIT, "limit_price": "0.1234"})


def test_fractions_of_a_share(call: Any) -> None:
    check(call.post("buy", 0.5, time_in_force="gtc"), 422, UNPROCESSABLE, "fractional")
    assert call.buy("0.123456789")["qty"] == "0.123456789"


def test_extended_hours_are_for_limit_orders(call: Any) -> None:
    check(call.post("buy", 1, extended_hours=True), 422, UNPROCESSABLE)
    assert call.buy(1, **LIMIT, extended_hours=True)["extended_hours"] is True


def test_too_little_buying_power(call: Any) -> None:
    check(
        call.post("buy", 2_001),
        403,
        FORBIDDEN,
        "insufficient buying power",
        buying_power="200000",
        cost_basis="200100",
    )


def test_more_shares_than_there_are(place: Any, call: Any) -> None:
    call.buy(10)
    place.play(1)
    call.sell(4, type="limit", limit_price="150")
    check(
        call.post("sell", 7),
        403,
        FORBIDDEN,
        "insufficient qty available for order (requested: 7, available: 6)",
        available="6",
        existing_qty="10",
        held_for_orders="4",
        symbol="SPY",
    )


def test_an_order_against_ones_own(call: Any) -> None:
    resting = call.buy(1, **LIMIT)
    check(
        call.post("sell", 1),
        403,
        FORBIDDEN,
        "potential wash trade detected. use complex orders",
        existing_order_id=resting["id"],
        reject_reason="opposite side limit order exists",
    )


def test_what_the_configuration_forbids(serve: Any, call_at: Any) -> None:
    call = call_at(serve(terms=AccountTerms(multiplier=2)))

    def configure(**changes: Any) -> Any:
        return call("PATCH", "/v2/account/configurations", json=changes)

    assert configure(suspend_trade=True, pdt_check=None, dtbp_check="both").status_code == 200
    check(call.post("buy", 1), 403, FORBIDDEN, "new orders are rejected by user request")
    configure(suspend_trade=False, fractional_trading=False, no_shorting=True)
    check(call.post("buy", "0.5"), 403, FORBIDDEN, "fractional")
    check(call.post("buy", None, notional=50), 403, FORBIDDEN, "fractional")
    check(call.post("sell", 1), 403, FORBIDDEN, "not allowed to short")
    configure(fractional_trading=True, no_shorting=False)
    call.buy("0.5", "IBM")
    call.sell(1)


@pytest.mark.parametrize(
    "changes",
    [{"suspend_trade": "yes"}, {"suspend_trade": 1}, {"max_margin_multiplier": "3"},
     {"trade_confirm_email": "some"}, {"max_options_trading_level": True}],
)  # fmt: skip
def test_what_the_configuration_can_not_be(ask: Any, changes: Any) -> None:
    before = ask.get("/v2/account/configurations")
    response = ask("PATCH", "/v2/account/configurations", json={"no_shorting": True, **changes})
    check(response, 422, BAD, f"invalid {next(iter(changes))}")
    assert ask.get("/v2/account/configurations") == before


def test_a_multiplier_may_be_a_number(call: Any) -> None:
    changed = call("PATCH", "/v2/account/configurations", json={"max_margin_multiplier": 2})
    assert changed.json()["max_margin_multiplier"] == "2"


def test_what_is_unknown(call: Any) -> None:
    nobody = str(UUID(int=7))
    check(call("GET", f"/v2/orders/{nobody}"), 404, ABSENT, f"order not found for {nobody}")
    check(call("DELETE", f"/v2/orders/{nobody}"), 404, ABSENT, "order not found")
    check(call("PATCH", f"/v2/orders/{nobody}", json={"qty": 1}), 404, ABSENT, "order not found")
    missing = call("GET", "/v2/orders:by_client_order_id", params={"client_order_id": "nobody"})
    check(missing, 404, ABSENT, "order not found for nobody")
    check(call("GET", "/v2/positions/SPY"), 404, ABSENT, "position does not exist")
    check(call("DELETE", "/v2/positions/SPY"), 404, ABSENT, "position does not exist")
    check(call("GET", "/v2/assets/NO"), 404, ABSENT, "asset not found for NO")
    check(call("GET", f"/v2/assets/{nobody}"), 404, ABSENT, f"asset not found for {nobody}")
    response = call.post("buy", 1, "NO")
    assert response.status_code in (404, 422)
    assert "NO" in response.json()["message"]


def test_what_is_no_order_id(call: Any) -> None:
    for method in ("GET", "DELETE", "PATCH"):
        check(call(method, "/v2/orders/mine"), 422, BAD, "order_id mine")
    check(call("GET", "/v2/orders:by_client_order_id"), 422, BAD, "client_order_id is required")


def test_an_order_that_has_ended(place: Any, call: Any) -> None:
    order = call.buy(1)
    place.play(1)
    check(
        call("DELETE", f"/v2/orders/{order['id']}"),
        422,
        UNPROCESSABLE,
        'order is already in "filled" state',
    )
    assert call("PATCH", f"/v2/orders/{order['id']}", json={"qty": 2}).status_code == 422


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v2/orders", {"status": "ended"}),
        ("/v2/orders", {"limit": "501"}),
        ("/v2/orders", {"limit": "-1"}),
        ("/v2/orders", {"after": "monday"}),
        ("/v2/orders", {"direction": "down"}),
        ("/v2/orders", {"nested": "maybe"}),
        ("/v2/orders", {"side": "hold"}),
        ("/v2/account/activities", {"page_size": "101"}),
        ("/v2/account/activities", {"page_token": "mine"}),
        ("/v2/account/activities", {"page_token": f"20260302093000000::{UUID(int=7)}"}),
        ("/v2/account/activities", {"date": "monday"}),
        ("/v2/account/activities", {"category": "trade_activity", "activity_types": "FILL"}),
        ("/v2/account/portfolio/history", {"period": "1X"}),
        ("/v2/account/portfolio/history", {"period": "0D"}),
        ("/v2/account/portfolio/history", {"timeframe": "2Min"}),
        ("/v2/account/portfolio/history", {"period": "1A", "timeframe": "1Min"}),
        ("/v2/calendar", {"start": "monday"}),
        ("/v2/calendar", {"end": "2026-02-30"}),
    ],
    ids=str,
)
def test_parameters_that_can_not_be_understood(ask: Any, path: str, params: Any) -> None:
    check(ask("GET", path, params=params), 422, BAD)


def test_close_by_one_measure_only(place: Any, call: Any) -> None:
    call.buy(10)
    place.play(1)
    both = call("DELETE", "/v2/positions/SPY", params={"qty": 1, "percentage": 10})
    check(both, 422, BAD, "only one of qty or percentage")
    assert call("DELETE", "/v2/positions/SPY", params={"qty": "11"}).status_code in (403, 422)
    assert call("DELETE", "/v2/positions/SPY", params={"percentage": "101"}).status_code == 422
    assert len(call.get("/v2/positions")) == 1
