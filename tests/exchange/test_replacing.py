"""Replacing an order: a new one with a new id takes the old one's place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from smabot_exchange.matching.orders import OrderChange, RequestRefused


@pytest.fixture
def trader(lab: Any, client: Any) -> Any:
    """The client of a cash account."""
    rows = lab.rows("SPY", "2026-03-02 09:30", [10, [10, 10, 9, 10], 10, 10], 100)
    exchange = lab.open(lab.tape(rows), cash=Decimal(1000), multiplier=Decimal(1))
    exchange.advance()
    return client(exchange)


def change(**fields: Any) -> OrderChange:
    return OrderChange(
        **{k: Decimal(v) if isinstance(v, (int, str)) and k != "client_order_id" else v
           for k, v in fields.items()}
    )  # fmt: skip


def test_the_new_order_takes_the_old_ones_place(trader: Any) -> None:
    told: list[Any] = []
    old = trader.buy(5, limit="8", id="old")
    trader.exchange.listen(told.extend)
    new = trader.exchange.replace(old.id, change(limit_price="8.5", qty=7, client_order_id="new"))
    old = trader.now(old)
    assert (old.status, old.replaced_by, old.replaced_at) == ("replaced", new.id, new.submitted_at)
    assert (new.replaces, new.qty, new.limit_price) == (old.id, 7, Decimal("8.5"))
    assert new.client_order_id == "new"
    assert trader.exchange.orders() == [new]
    assert [(event.event, event.order) for event in told] == [("replaced", old), ("new", new)]
    assert trader.exchange.account().held_for_orders == Decimal("59.5")


def test_the_filled_part_stays_with_the_old_order(trader: Any) -> None:
    old = trader.buy(25, limit="10")
    trader.exchange.advance()
    assert trader.now(old).filled_qty == 10
    new = trader.exchange.replace(old.id, change(qty=18))
    assert (new.qty, new.filled_qty, trader.now(old).filled_qty) == (8, 0, 10)
    trader.exchange.advance()
    assert trader.now(new).status == "filled"
    assert trader.exchange.position("SPY").qty == 18


def test_a_trailing_stop_keeps_its_best_price(trader: Any) -> None:
    trader.exchange.advance()
    old = trader.buy(5, trail="3")
    trader.exchange.advance()
    new = trader.exchange.replace(old.id, change(trail="2"))
    assert (new.hwm, new.trail_price, new.stop_price) == (10, 2, 12)


def test_what_a_replacement_may_cost(trader: Any) -> None:
    old = trader.buy(90, limit="10")
    trader.exchange.replace(old.id, change(qty=100))
    with pytest.raises(RequestRefused, match="insufficient buying power"):
        trader.exchange.replace(trader.exchange.orders()[0].id, change(qty=101))
    assert [order.qty for order in trader.exchange.orders()] == [100]


def test_shares_held_by_the_old_order_are_free_for_the_new(trader: Any) -> None:
    trader.buy(10)
    trader.exchange.advance()
    old = trader.sell(10, limit="20")
    new = trader.exchange.replace(old.id, change(limit_price="21"))
    with pytest.raises(RequestRefused, match="insufficient qty available"):
        trader.exchange.replace(new.id, change(qty=11))


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, 42210000, "order parameters are not changed"),
        ({"qty": 5, "limit_price": 8}, 42210000, "order parameters are not changed"),
        ({"limit_price": "8.001"}, 42210000, "sub-penny"),
        ({"qty": 0}, 40010001, "qty must be > 0"),
        ({"stop_price": 12}, 40010001, "limit orders must not have stop_price"),
        ({"trail": 1}, 40010001, "limit orders must not have trail"),
        ({"qty": 6, "client_order_id": "old"}, 40010001, "client_order_id must be unique"),
        ({"qty": 6, "client_order_id": "x" * 129}, 40010001, "no more than 128"),
    ],
)
def test_refused_changes(trader: Any, fields: Any, code: int, words: str) -> None:
    old = trader.buy(5, limit="8", id="old")
    with pytest.raises(RequestRefused) as caught:
        trader.exchange.replace(old.id, change(**fields))
    assert (caught.value.status, caught.value.code) == (422, code)
    assert words in caught.value.message
    assert trader.exchange.orders("all") == [old]


def test_no_less_than_is_filled(trader: Any) -> None:
    old = trader.buy(25, limit="10")
    trader.exchange.advance()
    with pytest.raises(RequestRefused, match="qty must be > filled_qty"):
        trader.exchange.replace(old.id, change(qty=10))


def test_ended_and_waiting_orders_are_not_replaced(lab: Any, trader: Any) -> None:
    filled = trader.buy(1)
    trader.exchange.advance()
    with pytest.raises(RequestRefused, match="order is not open"):
        trader.exchange.replace(filled.id, change(qty=2))
    lab.play(trader.exchange)
    waiting = trader.buy(1, limit="5")
    assert waiting.status == "accepted"
    with pytest.raises(RequestRefused, match="order isn't sent to exchange yet") as caught:
        trader.exchange.replace(waiting.id, change(qty=2))
    assert caught.value.code == 40010001


def test_amounts_are_not_replaced(trader: Any) -> None:
    order = trader.buy(notional=50)
    with pytest.raises(RequestRefused, match="notional"):
        trader.exchange.replace(order.id, change(qty=2))
