"""alpaca-py's TradingClient, unchanged, with every method it has for what the exchange offers.

Its models are pydantic's, so that each answer is validated by what it returns.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import (
    AccountStatus,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionIntent,
    PositionSide,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import FailedClosePositionDetails, Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
DAY = TimeInForce.DAY


def market(
    qty: float = 1, symbol: str = "SPY", side: OrderSide = OrderSide.BUY, **more: Any
) -> Any:
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=DAY, **more)


def limit(price: float, qty: float = 1, symbol: str = "SPY", **more: Any) -> Any:
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=DAY, limit_price=price, **more
    )


def test_an_order_from_its_submission_to_its_fill(place: Any, trading: Any) -> None:
    order = trading.submit_order(market(10, client_order_id="one"))
    assert isinstance(order, Order)
    assert order.status is OrderStatus.PENDING_NEW
    assert order.order_class is OrderClass.SIMPLE
    assert order.position_intent is PositionIntent.BUY_TO_OPEN
    assert (order.qty, order.filled_qty, order.filled_avg_price) == ("10", "0", None)
    assert OPEN < order.submitted_at < OPEN + timedelta(seconds=1)
    assert order.expires_at == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert trading.get_order_by_id(order.id).status is OrderStatus.NEW
    place.play(1)
    filled = trading.get_order_by_client_id("one")
    assert filled.id == order.id
    assert filled.status is OrderStatus.FILLED
    assert (filled.filled_qty, filled.filled_avg_price) == ("10", "100")
    assert filled.filled_at is not None
    assert trading.get_orders() == []


@pytest.mark.parametrize(
    "request_",
    [
        limit(99.5),
        limit(99.5, extended_hours=True),
        StopOrderRequest(symbol="SPY", qty=1, side="buy", time_in_force="gtc", stop_price=120),
        StopLimitOrderRequest(
            symbol="SPY", qty=1, side="buy", time_in_force="gtc", stop_price=120, limit_price=121
        ),
        TrailingStopOrderRequest(
            symbol="SPY", qty=1, side="buy", time_in_force="day", trail_percent=1
        ),
        TrailingStopOrderRequest(
            symbol="SPY", qty=1, side="buy", time_in_force="day", trail_price=1.5
        ),
        MarketOrderRequest(symbol="SPY", notional=150.25, side="buy", time_in_force="day"),
        MarketOrderRequest(symbol="SPY", qty=0.5, side="buy", time_in_force="day"),
        MarketOrderRequest(symbol="SPY", qty=1, side="buy", time_in_force="ioc"),
    ],
    ids=lambda request: f"{request.type.value} {request.time_in_force.value}",
)
def test_every_type_of_order(trading: Any, request_: Any) -> None:
    order = trading.submit_order(request_)
    wanted = request_.to_request_fields()
    assert order.type is request_.type
    assert order.time_in_force is request_.time_in_force
    for name in ("qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"):
        value = getattr(order, name)
        if name in wanted:
            assert float(value) == wanted[name]
        elif name != "stop_price" or request_.type is not OrderType.TRAILING_STOP:
            assert value is None


def test_a_bracket_and_its_legs(place: Any, trading: Any) -> None:
    order = trading.submit_order(
        market(
            5,
            order_class=OrderClass.BRACKET,
            take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=90, limit_price=89.5),
        )
    )
    assert order.order_class is OrderClass.BRACKET
    assert [leg.status for leg in order.legs] == [OrderStatus.HELD, OrderStatus.HELD]
    assert [leg.side for leg in order.legs] == [OrderSide.SELL, OrderSide.SELL]
    assert {float(leg.limit_price) for leg in order.legs} == {110, 89.5}
    place.play(1)
    nested = trading.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    assert {leg.id for leg in nested.legs} == {leg.id for leg in order.legs}
    assert nested.status is OrderStatus.FILLED
    flat = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL))
    rolled = trading.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
    assert len(flat) == 3
    assert all(one.legs is None for one in flat)
    assert [len(one.legs) for one in rolled] == [2]


def test_lists_of_orders(place: Any, trading: Any) -> None:
    for index in range(6):
        trading.submit_order(
            limit(40 + index, symbol=("SPY", "IBM")[index % 2], client_order_id=f"n{index}")
        )
        place.play(1)

    def listed(**wanted: Any) -> list[str]:
        return [order.client_order_id for order in trading.get_orders(GetOrdersRequest(**wanted))]

    assert [order.client_order_id for order in trading.get_orders()] == [
        "n5", "n4", "n3", "n2", "n1", "n0",
    ]  # fmt: skip
    assert listed(direction="asc", limit=2) == ["n0", "n1"]
    assert listed(symbols=["IBM"]) == ["n5", "n3", "n1"]
    assert listed(side=OrderSide.SELL) == []
    assert listed(status="closed") == []
    third = OPEN + timedelta(minutes=2)
    assert listed(after=third) == ["n5", "n4", "n3", "n2"]
    assert listed(after=third + timedelta(minutes=1)) == ["n5", "n4", "n3"]
    assert listed(until=third) == ["n1", "n0"]
    trading.cancel_order_by_id(trading.get_order_by_client_id("n0").id)
    assert listed(status="closed") == ["n0"]
    assert len(listed(status="all")) == 6


def test_a_replacement(place: Any, trading: Any) -> None:
    old = trading.submit_order(limit(90))
    place.play(1)
    new = trading.replace_order_by_id(
        old.id, ReplaceOrderRequest(qty=3, limit_price=91.5, client_order_id="new")
    )
    assert new.id != old.id
    assert new.replaces == old.id
    assert (new.qty, new.limit_price, new.client_order_id) == ("3", "91.5", "new")
    replaced = trading.get_order_by_id(old.id)
    assert replaced.status is OrderStatus.REPLACED
    assert replaced.replaced_by == new.id
    assert replaced.replaced_at is not None


def test_cancels(trading: Any) -> None:
    first, second, third = (trading.submit_order(limit(90 + index)) for index in range(3))
    trading.cancel_order_by_id(first.id)
    canceled = trading.get_order_by_id(first.id)
    assert canceled.status is OrderStatus.CANCELED
    assert canceled.canceled_at is not None
    with pytest.raises(APIError) as refusal:
        trading.cancel_order_by_id(first.id)
    assert (refusal.value.status_code, refusal.value.code) == (422, 42210000)
    answers = trading.cancel_orders()
    assert {answer.id: answer.status for answer in answers} == {second.id: 200, third.id: 200}
    assert trading.cancel_orders() == []


def test_positions(place: Any, trading: Any) -> None:
    assert trading.get_all_positions() == []
    trading.submit_order(market(10))
    trading.submit_order(market(4, "IBM"))
    place.play(1)
    ibm, spy = trading.get_all_positions()
    assert (ibm.symbol, spy.symbol) == ("IBM", "SPY")
    assert spy.side is PositionSide.LONG
    assert (spy.qty, spy.avg_entry_price, spy.cost_basis) == ("10", "100", "1000")
    assert (spy.market_value, spy.unrealized_pl, spy.qty_available) == ("1000", "0", "10")
    assert trading.get_open_position("SPY") == spy
    assert trading.get_open_position(spy.asset_id) == spy
    with pytest.raises(APIError) as refusal:
        trading.get_open_position("KO")
    assert refusal.value.status_code == 404


def test_closing_a_position(place: Any, trading: Any) -> None:
    trading.submit_order(market(10))
    place.play(1)
    part = trading.close_position("SPY", ClosePositionRequest(qty="4"))
    assert (part.side, part.qty, part.type) == (OrderSide.SELL, "4", OrderType.MARKET)
    place.play(1)
    half = trading.close_position("SPY", ClosePositionRequest(percentage="50"))
    assert half.qty == "3"
    place.play(1)
    rest = trading.close_position("SPY")
    assert (rest.qty, rest.position_intent) == ("3", PositionIntent.SELL_TO_CLOSE)
    place.play(1)
    assert trading.get_all_positions() == []


def test_closing_everything(place: Any, trading: Any) -> None:
    trading.submit_order(market(10))
    trading.submit_order(market(4, "IBM"))
    place.play(1)
    held = LimitOrderRequest(
        symbol="SPY", qty=10, side=OrderSide.SELL, time_in_force=DAY, limit_price=150
    )
    resting = trading.submit_order(held)
    refused = {answer.symbol: answer for answer in trading.close_all_positions()}
    assert refused["IBM"].status == 200
    assert isinstance(refused["IBM"].body, Order)
    assert refused["SPY"].status == 403
    assert isinstance(refused["SPY"].body, FailedClosePositionDetails)
    place.play(1)
    (closed,) = trading.close_all_positions(cancel_orders=True)
    assert (closed.symbol, closed.status) == ("SPY", 200)
    assert trading.get_order_by_id(resting.id).status is OrderStatus.CANCELED
    place.play(1)
    assert trading.get_all_positions() == []


def test_an_intent_goes_with_the_net_position(place: Any, trading: Any) -> None:
    sell = OrderSide.SELL
    with pytest.raises(APIError) as caught:
        trading.submit_order(market(1, side=sell, position_intent=PositionIntent.SELL_TO_CLOSE))
    assert (caught.value.status_code, caught.value.code) == (422, 42210000)
    assert caught.value.message == (
        "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"
    )
    short = trading.submit_order(market(2, side=sell))
    assert short.position_intent is PositionIntent.SELL_TO_OPEN
    place.play(1)
    position = trading.get_open_position("SPY")
    assert (position.side, position.qty, position.qty_available) == (PositionSide.SHORT, "-2", "-2")
    cover = trading.submit_order(market(2, position_intent=PositionIntent.BUY_TO_CLOSE))
    assert trading.get_order_by_id(cover.id).position_intent is PositionIntent.BUY_TO_CLOSE


def test_the_account(place: Any, trading: Any) -> None:
    account = trading.get_account()
    assert account.status is AccountStatus.ACTIVE
    assert str(account.id) == place.exchange.account_id
    assert account.currency == "USD"
    assert (account.cash, account.equity, account.buying_power) == ("100000", "100000", "200000")
    assert (account.multiplier, account.shorting_enabled) == ("2", True)
    trading.submit_order(market(10))
    place.play(1)
    account = trading.get_account()
    assert (account.cash, account.equity) == ("99000", "100000")
    assert account.long_market_value == "1000"
    assert account.pattern_day_trader is None
    assert account.daytrade_count is None


def test_the_accounts_configuration(trading: Any) -> None:
    configuration = trading.get_account_configurations()
    assert configuration.suspend_trade is False
    configuration.suspend_trade = True
    assert trading.set_account_configurations(configuration).suspend_trade is True
    with pytest.raises(APIError, match="new orders are rejected by user request"):
        trading.submit_order(market())
    configuration.suspend_trade = False
    trading.set_account_configurations(configuration)
    trading.submit_order(market())


def test_assets(trading: Any) -> None:
    assets = trading.get_all_assets()
    assert [asset.symbol for asset in assets] == ["IBM", "SPY"]
    assert all(asset.tradable and asset.shortable and asset.fractionable for asset in assets)
    assert trading.get_asset("SPY") == assets[1]
    assert trading.get_asset(assets[1].id) == assets[1]
    assert (
        trading.get_all_assets(GetAssetsRequest(status="active", asset_class="us_equity")) == assets
    )
    assert trading.get_all_assets(GetAssetsRequest(asset_class="crypto")) == []
    with pytest.raises(APIError, match="asset not found for NO") as refusal:
        trading.get_asset("NO")
    assert (refusal.value.status_code, refusal.value.code) == (404, 40410000)


def test_the_clock(place: Any, trading: Any) -> None:
    clock = trading.get_clock()
    assert clock.timestamp == OPEN
    assert clock.timestamp.utcoffset() == timedelta(hours=-5)
    assert clock.is_open
    assert clock.next_close == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert clock.next_open == datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
    while place.exchange.advance():
        pass
    clock = trading.get_clock()
    assert not clock.is_open
    assert clock.next_open == datetime(2026, 3, 3, 14, 30, tzinfo=UTC)
    assert clock.next_close == datetime(2026, 3, 3, 21, tzinfo=UTC)


def test_the_calendar(trading: Any) -> None:
    days = trading.get_calendar(GetCalendarRequest(start=date(2026, 3, 2), end=date(2026, 3, 6)))
    assert [day.date.day for day in days] == [2, 3, 4, 5, 6]
    assert {(day.open.hour, day.open.minute, day.close.hour) for day in days} == {(9, 30, 16)}
    assert [day for day in trading.get_calendar() if day in days] == days
    assert (
        trading.get_calendar(GetCalendarRequest(start=date(2020, 2, 1), end=date(2020, 2, 2))) == []
    )


def test_the_portfolio_history(place: Any, trading: Any) -> None:
    trading.submit_order(market(10))
    place.play(10)
    history = trading.get_portfolio_history(
        GetPortfolioHistoryRequest(period="1D", timeframe="5Min")
    )
    assert history.timeframe == "5Min"
    assert history.timestamp == [int(OPEN.timestamp()), int(OPEN.timestamp()) + 300]
    assert history.equity == [100_000.0, 100_000.0]
    assert history.profit_loss == [0.0, 0.0]
    assert history.base_value == 100_000.0


def test_activities_by_the_clients_own_get(place: Any, trading: Any) -> None:
    order = trading.submit_order(market(10))
    place.play(1)
    (fill,) = trading.get("/account/activities/FILL", {"page_size": 10})
    assert UUID(fill["order_id"]) == order.id
    assert (fill["qty"], fill["price"], fill["leaves_qty"]) == ("10", "100", "0")
