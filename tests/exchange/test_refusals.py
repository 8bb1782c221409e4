"""Refusals: coded and worded as Alpaca's, and without any trace."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from smabot.domain.order_terms import TimeInForce
from smabot_exchange.matching.orders import Refusal


@pytest.fixture
def exchange(lab: Any) -> Any:
    """A cash account."""
    rows = lab.rows("SPY", "2026-03-02 09:30", [10] * 6) + lab.rows("KO", "2026-03-02 09:30", [0.5])
    exchange = lab.open(lab.tape(rows), cash=Decimal(1000), multiplier=Decimal(1))
    exchange.advance()
    return exchange


@pytest.fixture
def trader(exchange: Any, client: Any) -> Any:
    return client(exchange)


def refused(attempt: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(Refusal) as caught:
        attempt()
    return {"status": caught.value.status, **caught.value.body()}


def test_a_refused_order_leaves_nothing(exchange: Any, trader: Any) -> None:
    refused(lambda: trader.buy(1000, id="a"))
    assert exchange.orders("all") == []
    assert trader.buy(1, id="a").client_order_id == "a"


def test_buying_power(trader: Any) -> None:
    assert refused(lambda: trader.buy(101)) == {
        "status": 403,
        "code": 40310000,
        "message": "insufficient buying power",
        "buying_power": "1000",
        "cost_basis": "1010",
    }
    trader.buy(60)
    assert refused(lambda: trader.buy(41))["buying_power"] == "400"
    trader.buy(8, limit="50")
    assert refused(lambda: trader.buy(1))["buying_power"] == "0"


def test_canceling_gives_buying_power_back(exchange: Any, trader: Any) -> None:
    exchange.cancel(trader.buy(100).id)
    assert exchange.account().buying_power == 1000


def test_overselling(exchange: Any, trader: Any) -> None:
    body = {
        "status": 403,
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 6, available: 0)",
        "available": "0",
        "existing_qty": "0",
        "held_for_orders": "0",
        "symbol": "SPY",
    }
    assert refused(lambda: trader.sell(6)) == body
    trader.buy(10)
    exchange.advance()
    trader.sell(7, limit="20")
    answer = refused(lambda: trader.sell(6))
    assert answer["message"].endswith("(requested: 6, available: 3)")
    assert (answer["existing_qty"], answer["held_for_orders"]) == ("10", "7")
    trader.sell(3)


def test_a_duplicate_id_is_refused_also_after_the_fill(exchange: Any, trader: Any) -> None:
    trader.buy(1, id="mine")
    taken = {"status": 422, "code": 40010001, "message": "client_order_id must be unique"}
    assert refused(lambda: trader.buy(1, id="mine")) == taken
    exchange.advance()
    assert refused(lambda: trader.buy(1, id="mine")) == taken
    assert refused(lambda: trader.buy(9_999_999, id="mine")) == taken


def test_ids_have_an_end(trader: Any) -> None:
    trader.buy(1, id="x" * 128)
    answer = refused(lambda: trader.buy(1, id="x" * 129))
    assert (answer["status"], answer["code"]) == (422, 40010001)


@pytest.mark.parametrize(
    ("mine", "theirs", "reason"),
    [
        (None, None, "opposite side market/stop order exists"),
        (None, "9", "opposite side limit order exists"),
        ("12", "12", "opposite side limit order exists"),
        ("12", None, "opposite side market/stop order exists"),
    ],
)
def test_wash_trades(exchange: Any, trader: Any, mine: Any, theirs: Any, reason: str) -> None:
    trader.buy(5)
    exchange.advance()
    resting = trader.buy(5, limit=theirs)
    answer = refused(lambda: trader.sell(5, limit=mine))
    if mine == theirs == "12":
        assert resting.limit_price == 12
    assert answer == {
        "status": 403,
        "code": 40310000,
        "message": "potential wash trade detected. use complex orders",
        "existing_order_id": str(resting.id),
        "reject_reason": reason,
    }


def test_limits_that_do_not_meet_are_no_wash_trade(exchange: Any, trader: Any) -> None:
    trader.buy(5)
    exchange.advance()
    trader.buy(5, limit="9")
    trader.sell(5, limit="12")


def test_an_unknown_asset(trader: Any) -> None:
    assert refused(lambda: trader.buy(1, "NOPE")) == {
        "status": 422,
        "code": 42210000,
        "message": 'asset "NOPE" not found',
    }


@pytest.mark.parametrize(
    ("qty", "more", "code", "words"),
    [
        (0, {}, 40010001, "qty must be > 0"),
        (-1, {}, 40010001, "qty must be > 0"),
        ("NaN", {}, 40010001, "qty must be > 0"),
        ("Infinity", {}, 40010001, "qty must be > 0"),
        ("1E+999999", {}, 40010001, "qty must be > 0"),
        ("0.0000000001", {}, 40010001, "9 decimal places"),
        ("1.5", {"tif": TimeInForce.GTC}, 42210000, "fractional orders must be DAY orders"),
        (1, {"limit": "0"}, 40010001, "limit_price must be > 0"),
        (1, {"limit": "NaN"}, 40010001, "limit_price must be > 0"),
        (1, {"limit": "10.001"}, 42210000, "invalid limit_price 10.001. sub-penny"),
        (1, {"limit": "0.12345"}, 42210000, "invalid limit_price 0.12345. sub-penny"),
    ],
)
def test_malformed_orders(trader: Any, qty: Any, more: Any, code: int, words: str) -> None:
    answer = refused(lambda: trader.buy(qty, **more))
    assert (answer["status"], answer["code"]) == (422, code)
    assert words in answer["message"]


def test_penny_stocks_are_priced_in_hundredths_of_a_cent(trader: Any) -> None:
    trader.buy(1, "KO", limit="0.4999")
    trader.buy(1, limit="9.990")


def test_less_than_a_dollar_is_too_little(trader: Any) -> None:
    assert refused(lambda: trader.buy("0.05"))["message"].startswith("cost basis must be >=")


def test_only_open_orders_are_canceled(exchange: Any, trader: Any) -> None:
    filled = trader.buy(1)
    canceled = trader.buy(1, limit="5")
    exchange.cancel(canceled.id)
    exchange.advance()
    for order, state in ((filled, "filled"), (canceled, "canceled")):
        assert refused(partial(exchange.cancel, order.id)) == {
            "status": 422,
            "code": 42210000,
            "message": f'order is already in "{state}" state',
        }
    unknown = uuid4()
    assert refused(lambda: exchange.cancel(unknown)) == {
        "status": 404,
        "code": 40410000,
        "message": f"order not found for {unknown}",
    }
