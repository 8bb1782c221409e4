"""Stop, stop-limit and trailing stop orders, and the times in force that have one moment."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.order_terms import Side
from smabot.domain.records import Bar
from smabot_exchange.matching.fill_prices import trailing_stop, watch
from smabot_exchange.matching.orders import ExchangeOrder, OrderStatus, OrderType, TimeInForce

TIME = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
OPENS_AT = "2026-03-02 09:30"


@pytest.fixture
def market(lab: Any, client: Any) -> Any:
    """Opens an exchange on bars of one symbol that have come to 10; a buyer holds 100 shares."""

    def opened(*bars: Any, volume: float = 100_000, **terms: Any) -> Any:
        rows = [lab.row("SPY", OPENS_AT, 10)]
        rows += lab.rows("SPY", "2026-03-02 09:31", bars, volume)
        exchange = lab.open(lab.tape(rows), **terms)
        trader = client(exchange)
        trader.buy(100)
        exchange.advance()
        return trader

    return opened


def fills(exchange: Any, order: ExchangeOrder) -> list[tuple[int, Decimal]]:
    """The minutes after the first one, and the prices, at which an order is filled."""
    start = exchange.calendar.sessions[0].open
    return [
        (int((done.time - start).total_seconds()) // 60, done.price)
        for done in exchange.executions()
        if done.order_id == order.id
    ]


@pytest.mark.parametrize(
    ("side", "stop", "bar", "price"),
    [
        ("sell", "9", [10, 10, 9, 9.5], "9"),  # a touch is enough
        ("sell", "9", [10, 10, 9.01, 9.5], None),
        ("sell", "9", [8.5, 9.5, 8, 9], "8.5"),  # opens beyond it: at the open
        ("buy", "11", [10, 11, 10, 10.5], "11"),
        ("buy", "11", [10, 10.99, 10, 10.5], None),
        ("buy", "11", [11.5, 12, 11, 12], "11.5"),
    ],
)
def test_a_stop_order(market: Any, side: str, stop: str, bar: Any, price: str | None) -> None:
    trader = market(bar)
    order = getattr(trader, side)(5, stop=stop)
    trader.exchange.advance()
    assert fills(trader.exchange, order) == ([] if price is None else [(1, Decimal(price))])
    assert trader.now(order).open is (price is None)


def test_what_a_bar_leaves_of_a_stop_is_a_market_order(market: Any) -> None:
    trader = market([10, 10, 8, 9.5], [9.7, 9.9, 9.6, 9.8], 9.4, volume=400)
    order = trader.sell(100, stop="9")
    for _ in range(3):
        trader.exchange.advance()
    assert fills(trader.exchange, order) == [
        (1, Decimal(9)), (2, Decimal("9.7")), (3, Decimal("9.4")),
    ]  # fmt: skip
    assert trader.now(order).filled_qty == 100


@pytest.mark.parametrize(
    ("stop", "limit", "bars", "expected"),
    [
        ("9", "8.5", [[10, 10, 8, 9]], [(1, "9")]),  # triggered at 9, which the limit allows
        ("9", "9.2", [[10, 10, 8, 9.5]], []),  # whether the price came back is not known
        ("9", "9.2", [[10, 10, 8, 9.5], [9, 9.3, 9, 9]], [(2, "9.2")]),
        ("9", "9.2", [[8.9, 9.3, 8, 9]], [(1, "9.2")]),  # opens beyond: the bar counts as a whole
        ("9", "8.8", [[8.9, 9.3, 8, 9]], [(1, "8.9")]),
        ("9", "8.5", [[10, 10, 9.1, 9.5]], []),
    ],
)
def test_a_stop_limit_order(market: Any, stop: str, limit: str, bars: Any, expected: Any) -> None:
    trader = market(*bars)
    order = trader.sell(5, stop=stop, limit=limit)
    for _ in bars:
        trader.exchange.advance()
    assert fills(trader.exchange, order) == [(at, Decimal(price)) for at, price in expected]


@pytest.mark.parametrize(
    ("distance", "stops"),
    [
        ({"trail": "1"}, ["9", "10", "10", "10.5"]),
        ({"percent": "10"}, ["9", "9.9", "9.9", "10.35"]),
    ],
)
def test_a_trailing_stop_follows_the_best_price(market: Any, distance: Any, stops: Any) -> None:
    trader = market(
        [10, 11, 10, 11], [11, 11, 10.4, 10.6], [11.5, 11.5, 10.7, 11], [11, 11, 10, 10]
    )
    order = trader.sell(5, **distance)
    seen = [(order.hwm, order.stop_price)]
    for _ in range(3):
        trader.exchange.advance()
        seen.append((trader.now(order).hwm, trader.now(order).stop_price))
    assert seen == list(
        zip(map(Decimal, ["10", "11", "11", "11.5"]), map(Decimal, stops), strict=True)
    )
    trader.exchange.advance()
    assert fills(trader.exchange, order) == [(4, Decimal(stops[-1]))]


def test_a_trailing_buy_follows_downwards(market: Any) -> None:
    trader = market([10, 10.2, 8, 8.5], [8.5, 9.2, 8.5, 9])
    trader.exchange.cancel_all()
    order = trader.buy(5, trail="1")
    assert (order.hwm, order.stop_price) == (10, 11)
    trader.exchange.advance()
    assert (trader.now(order).hwm, trader.now(order).stop_price) == (8, 9)
    trader.exchange.advance()
    assert fills(trader.exchange, order) == [(2, Decimal(9))]


def test_the_close_comes_after_the_best_price(market: Any) -> None:
    """A bar that goes to 12 and closes at 10.9 has passed a stop one dollar below 12."""
    trader = market([10, 12, 10, 10.9])
    order = trader.sell(5, trail="1")
    trader.exchange.advance()
    assert fills(trader.exchange, order) == [(1, Decimal(11))]


def test_a_trailing_stop_survives_a_restart(lab: Any, client: Any) -> None:
    tape = lab.tape(lab.rows("SPY", OPENS_AT, [10, [10, 12, 10, 12], 12]))
    exchange = lab.open(tape, "ledger.db")
    trader = client(exchange)
    trader.buy(5)
    exchange.advance()
    order = trader.sell(5, trail="3")
    exchange.advance()
    moved = trader.now(order)
    assert (moved.hwm, moved.stop_price) == (12, 9)
    exchange.close()
    assert lab.open(tape, "ledger.db").orders() == [moved]


prices = st.integers(50, 150).map(lambda value: value / 10)
bars = st.lists(
    st.tuples(prices, prices, prices, prices).map(lambda p: (p[0], max(p), min(p), p[3])),
    min_size=1, max_size=12,
)  # fmt: skip


@given(bars=bars, side=st.sampled_from(Side), trail=st.integers(1, 60), trailing=st.booleans())
@settings(max_examples=300, deadline=None)
def test_stops_against_a_model(bars: Any, side: Side, trail: int, trailing: bool) -> None:
    order = stop_order(side, Decimal(trail) / 10, trailing)
    model = Model(side, trail / 10, trailing)
    for bar in bars:
        order, price = watch(order, Bar("SPY", TIME, *bar, 1000))
        expected = model.meet(*bar)
        assert (None if price is None else float(price)) == expected
        assert float(order.stop_price or 0) == model.stop
        assert (order.triggered_at is not None) == (expected is not None)
        if expected is not None:
            return


class Model:
    """A stop 10 away at first, in plain floats: a walk along the prices that are certain."""

    def __init__(self, side: Side, distance: float, trailing: bool) -> None:
        self.sells, self.trailing = side is Side.SELL, trailing
        self.distance = -distance if self.sells else distance
        self.stop = round(10 + self.distance, 2)

    def meet(self, opening: float, high: float, low: float, close: float) -> float | None:
        self.follow(opening)
        if self.hit(opening):
            return opening
        if self.hit(low if self.sells else high):
            return self.stop
        self.follow(high if self.sells else low)
        return self.stop if self.hit(close) else None

    def hit(self, price: float) -> bool:
        return price <= self.stop if self.sells else price >= self.stop

    def follow(self, price: float) -> None:
        if self.trailing:
            better = max if self.sells else min
            self.stop = better(self.stop, round(price + self.distance, 2))


def stop_order(side: Side, distance: Decimal, trailing: bool) -> ExchangeOrder:
    return ExchangeOrder(
        id=uuid4(), seq=1, client_order_id="x", symbol="SPY", side=side, qty=Decimal(1),
        type=OrderType.TRAILING_STOP if trailing else OrderType.STOP, limit_price=None,
        time_in_force=TimeInForce.GTC, status=OrderStatus.NEW, submitted_at=TIME, updated_at=TIME,
        opens_at=TIME, expires_at=None, hold_price=Decimal(10),
        stop_price=trailing_stop(side, Decimal(10), distance, None),
        trail_price=distance if trailing else None, hwm=Decimal(10) if trailing else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tif", "limit", "filled", "status"),
    [
        ("ioc", None, 100, "canceled"),  # 1,000 shares trade, a tenth is had
        ("fok", None, 0, "canceled"),
        ("ioc", "9.5", 0, "canceled"),  # the open is at 10: no waiting for 9
        ("ioc", "10", 100, "canceled"),
    ],
)
def test_orders_for_at_once(market: Any, tif: str, limit: Any, filled: int, status: str) -> None:
    trader = market([10, 11, 9, 10], 10, volume=1000)
    order = trader.buy(150, tif=tif, limit=limit)
    minute = trader.exchange.advance()
    assert (trader.now(order).filled_qty, trader.now(order).status) == (filled, status)
    assert minute.events[-1].event == "canceled"
    whole = trader.buy(100, tif=tif)
    trader.exchange.advance()
    assert trader.now(whole).status == "filled"


def test_at_once_means_this_minute(lab: Any, client: Any) -> None:
    rows = lab.rows("KO", OPENS_AT, [1, 1, 1]) + lab.rows("SPY", OPENS_AT, [10])
    exchange = lab.open(lab.tape([*rows, lab.row("SPY", "2026-03-02 09:32", 10)]))
    exchange.advance()
    order = client(exchange).buy(1, tif="ioc")
    exchange.advance()  # SPY does not trade
    assert exchange.order(order.id).status == "canceled"


@pytest.fixture
def nightly(lab: Any, client: Any) -> Any:
    """At the first close: the second session opens at 11 and closes at 13."""
    rows = [lab.row("SPY", "2026-03-02 15:59", 10)]
    rows += lab.rows("SPY", "2026-03-03 09:30", [[11, 12, 10.5, 12], 12])
    rows.append(lab.row("SPY", "2026-03-03 15:59", [12.5, 14, 12, 13]))
    exchange = lab.open(lab.tape(rows))
    exchange.advance()
    assert not exchange.is_open
    return client(exchange)


@pytest.mark.parametrize(
    ("tif", "limit", "price"),
    [
        ("opg", None, "11"),
        ("opg", "11", "11"),
        ("opg", "10.9", None),  # though the bar trades at 10.5 later
        ("cls", None, "13"),
        ("cls", "13", "13"),
        ("cls", "12.9", None),
    ],
)
def test_orders_for_the_open_and_the_close(
    nightly: Any, tif: str, limit: Any, price: str | None
) -> None:
    order = nightly.buy(5, tif=tif, limit=limit)
    assert order.status == "accepted"
    while nightly.exchange.advance() is not None:
        pass
    done = nightly.now(order)
    assert done.filled_avg_price == (None if price is None else Decimal(price))
    assert done.status == ("canceled" if price is None else "filled")
