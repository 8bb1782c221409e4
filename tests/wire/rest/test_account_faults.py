"""Flags of the account and cash that moves, on the wire; and a key that is not taken."""

from __future__ import annotations

from typing import Any

import pytest


def test_flags_are_set_and_lifted_by_a_call(call: Any) -> None:
    flags = {"trading_blocked": True, "account_blocked": True}
    assert call("POST", "/_exchange/account", json=flags).json() == {
        **flags, "trade_suspended_by_user": False,
    }  # fmt: skip
    account = call.get("/v2/account")
    assert (account["trading_blocked"], account["account_blocked"]) == (True, True)
    refused = call.post("buy", 1)
    assert refused.status_code == 403
    assert refused.json() == {"code": 40310000, "message": "account is not authorized to trade"}
    call("POST", "/_exchange/account", json={"trading_blocked": False, "account_blocked": False})
    call.buy(1)


def test_suspend_trade_is_a_flag_of_the_account(call: Any) -> None:
    call("PATCH", "/v2/account/configurations", json={"suspend_trade": True})
    assert call.get("/v2/account")["trade_suspended_by_user"] is True
    call("POST", "/_exchange/account", json={"trade_suspended_by_user": False})
    assert call.get("/v2/account/configurations")["suspend_trade"] is False


@pytest.mark.parametrize("body", [{"frozen": True}, {"trading_blocked": "perhaps"}, []])
def test_an_unknown_flag_is_refused(call: Any, body: Any) -> None:
    assert call("POST", "/_exchange/account", json=body).status_code == 422


def test_cash_moves_by_a_call(call: Any) -> None:
    assert call("POST", "/_exchange/cash", json={"amount": "-12.5"}).json() == {"cash": "99987.5"}
    assert call.get("/v2/account")["cash"] == "99987.5"
    (listed,) = call.get("/v2/account/activities")
    assert (listed["activity_type"], listed["net_amount"]) == ("CSW", "-12.5")
    assert call("POST", "/_exchange/cash", json={"amount": "NaN"}).status_code == 422


@pytest.mark.parametrize(
    ("status", "message"), [(401, {"message": "unauthorized."}), (403, {"message": "forbidden."})]
)
def test_no_key_is_taken_until_the_fault_is_gone(call: Any, status: int, message: Any) -> None:
    call("POST", "/_exchange/faults", json={"kind": "keys_refused", "status": status})
    for path in ("/v2/account", "/v2/orders", "/v2/stocks/bars?symbols=SPY&timeframe=1Min"):
        refused = call("GET", path)
        assert (refused.status_code, refused.json()) == (status, message)
    call("DELETE", "/_exchange/faults")
    call.get("/v2/account")
