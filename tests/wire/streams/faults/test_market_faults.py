"""Faults of the market as alpaca-py's unchanged clients meet them, and the exchange without `/_exchange`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest

DAY = TimeInForce.DAY


def market(name: str, qty: float = 5, symbol: str = "SPY") -> Any:
    return MarketOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=DAY, client_order_id=name
    )


def limit(name: str, price: float = 90) -> Any:
    return LimitOrderRequest(
        symbol="SPY", qty=5, side=OrderSide.BUY, time_in_force=DAY, client_order_id=name,
        limit_price=price,
    )  # fmt: skip


@pytest.fixture
def heard(alpaca_trading: Any) -> Any:
    """The events that the real TradingStream told of, each once all are there."""

    def heard(count: int, eventually: Any) -> list[str]:
        eventually(lambda: len(alpaca_trading.heard) >= count)
        return [
            f"{update.order.client_order_id} {getattr(update.event, 'value', update.event)}"
            for update in alpaca_trading.heard
        ]

    return heard


@pytest.fixture
def thin(serve: Any) -> Any:
    """An exchange at which 10 shares of an order fill in a minute."""
    return serve({"SPY": [100.0] * 30}, volume=100)


def test_a_frozen_cancel(thin: Any, call_at: Any, eventually: Any) -> None:
    call = call_at(thin)
    call("POST", "/_exchange/faults", json={"kind": "frozen_cancel"})
    order = call.buy(25)
    thin.play(1)
    for _ in range(2):
        assert call("DELETE", f"/v2/orders/{order['id']}").status_code == 204
    thin.play(5)
    shown = call.get(f"/v2/orders/{order['id']}")
    assert (shown["status"], shown["filled_qty"]) == ("pending_cancel", "10")
    assert [each["id"] for each in call.get("/v2/orders")] == [order["id"]]
    assert call.get("/_exchange")["faults"] == {"frozen_cancel": 1}


def test_an_order_is_rejected_after_it_was_accepted(
    trading: Any, fault: Any, step: Any, heard: Any, eventually: Any
) -> None:
    fault("rejected_later", minutes=2, client_order_id="a")
    order = trading.submit_order(market("a"))
    assert order.status is OrderStatus.PENDING_NEW
    trading.submit_order(market("b"))
    step(2)
    order = trading.get_order_by_id(order.id)
    assert (order.status, order.filled_qty) == (OrderStatus.REJECTED, "0")
    assert order.failed_at is not None
    assert heard(4, eventually) == ["a new", "b new", "b fill", "a rejected"]


def test_an_order_stays_pending(
    trading: Any, fault: Any, step: Any, heard: Any, eventually: Any, count: Any
) -> None:
    fault("stuck_pending", times=1)
    order = trading.submit_order(market("a"))
    step(3)
    assert trading.get_order_by_id(order.id).status is OrderStatus.PENDING_NEW
    trading.cancel_order_by_id(order.id)
    assert heard(2, eventually) == ["a pending_new", "a canceled"]
    assert count("stuck_pending") == 1


@pytest.mark.parametrize("value", ["done_for_day", "calculated", "stopped", "suspended"])
def test_an_order_is_left_over_night(
    trading: Any, fault: Any, step: Any, heard: Any, eventually: Any, value: str
) -> None:
    fault("left_at_close", value=value)
    order = trading.submit_order(limit("a"))
    while not step()["ended"]:
        pass
    assert trading.get_order_by_id(order.id).status is OrderStatus(value)
    (still,) = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert still.id == order.id
    assert heard(2, eventually) == ["a new", f"a {value}"]
    trading.cancel_order_by_id(order.id)
    assert trading.get_order_by_id(order.id).status is OrderStatus.CANCELED


def test_an_answer_is_lost_and_the_order_fills_later(
    trading: Any, fault: Any, step: Any, heard: Any, eventually: Any
) -> None:
    fault("lost_answer", minutes=2, times=1)
    with pytest.raises(requests.ConnectionError):
        trading.submit_order(market("a"))
    for _ in range(2):
        with pytest.raises(APIError) as caught:
            trading.get_order_by_client_id("a")
        assert caught.value.status_code == 404
        assert trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL)) == []
        with pytest.raises(APIError, match="client_order_id must be unique"):
            trading.submit_order(market("a"))
        step()
    assert trading.get_order_by_client_id("a").status is OrderStatus.NEW
    step()
    assert trading.get_order_by_client_id("a").status is OrderStatus.FILLED
    assert heard(2, eventually) == ["a new", "a fill"]


def test_a_symbol_is_halted(
    place: Any, trading: Any, data: Any, fault: Any, step: Any, data_socket: Any, minute: Any
) -> None:
    socket = data_socket()
    socket.subscribe(bars=["*"], statuses=["SPY"])
    fault("halt", symbol="SPY", nth=2, minutes=2)
    order = None
    told: list[tuple[Any, ...]] = []
    for index in range(4):
        step()
        told += [(index, m["T"], m["S"], m.get("sc"), m["t"]) for m in socket.said]
        if index == 1:
            order = trading.submit_order(market("a"))
            assert order.status is OrderStatus.PENDING_NEW
    assert [each for each in told if each[2] == "SPY"] == [
        (0, "s", "SPY", "T", minute(0)),
        (0, "b", "SPY", None, minute(0)),
        (1, "s", "SPY", "H", minute(1)),
        (3, "s", "SPY", "T", minute(3)),
        (3, "b", "SPY", None, minute(3)),
    ]
    assert [each[0] for each in told if each[2] == "IBM"] == [0, 1, 2, 3]
    assert order is not None
    filled = trading.get_order_by_id(order.id)
    assert filled.status is OrderStatus.FILLED
    accepted = order.submitted_at.replace(microsecond=0)
    assert filled.filled_at == accepted + timedelta(minutes=1)
    from alpaca.data.requests import StockBarsRequest
    from alpaca.data.timeframe import TimeFrame

    bars = data.get_stock_bars(
        StockBarsRequest(
            symbol_or_symbols="SPY",
            timeframe=TimeFrame.Minute,
            start=accepted - timedelta(minutes=2),
        )
    )
    assert [f"{bar.timestamp:%H:%M}" for bar in bars["SPY"]] == [minute(0)[11:16], minute(3)[11:16]]


def test_the_exchange_without_calls_of_its_own(serve: Any, call_at: Any) -> None:
    place = serve(admin=False)
    call = call_at(place)
    for method, path in (
        ("GET", "/_exchange"), ("POST", "/_exchange/play"), ("POST", "/_exchange/faults"),
        ("GET", "/_exchange/none"),
    ):  # fmt: skip
        response = call(method, path)
        assert (response.status_code, response.json()["message"]) == (404, "endpoint not found.")
    assert call.buy(1)["status"] == "pending_new"
    place.venue.admin = True
    assert call.get("/_exchange")["name"] == "smabot exchange"
