"""The rules by which orders fill, wait and end, through the exchange's own door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import TimeInForce
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import RequestRefused

DAY = "2026-03-02"


def flat(lab: Any, prices: list[Any], volume: float = 100_000, start: str = "09:30") -> Any:
    return lab.tape(lab.rows("SPY", f"{DAY} {start}", prices, volume))


def fills(exchange: Any) -> list[tuple[Any, ...]]:
    return [(e.side.value, e.qty, e.price) for e in exchange.executions()]


def test_a_market_order_fills_at_the_next_bars_open(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, [11, 15, 9, 14], 20]))
    exchange.advance()
    order = client(exchange).buy(5)
    assert order.status is OrderStatus.NEW
    assert order.submitted_at == lab.time(f"{DAY} 09:31")
    minute = exchange.advance()
    (event,) = minute.events
    assert (event.event, event.time) == ("fill", lab.time(f"{DAY} 09:31"))
    assert event.execution.price == 11
    assert event.position_qty == 5
    assert minute.time == lab.time(f"{DAY} 09:32")
    assert exchange.order(order.id).filled_avg_price == 11
    assert exchange.account().cash == 100_000 - 55


def test_an_order_before_the_first_bar_fills_at_its_open(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 11]))
    assert exchange.is_open
    client(exchange).buy(1)
    exchange.advance()
    assert fills(exchange) == [("buy", 1, 10)]


def test_an_order_waits_for_its_own_symbols_bar(lab: Any, client: Any) -> None:
    tape = lab.tape(
        [
            *lab.rows("KO", f"{DAY} 09:30", [5, 5, 5]),
            lab.row("SPY", f"{DAY} 09:30", 10),
            lab.row("SPY", f"{DAY} 09:32", 12),
        ]
    )
    exchange = lab.open(tape)
    exchange.advance()
    client(exchange).buy(1)
    assert exchange.advance().events == ()
    assert exchange.advance().events[0].execution.price == 12


@pytest.mark.parametrize(
    ("side", "limit", "bar", "price"),
    [
        ("buy", "10.00", [10.5, 11, 9.99, 10], "10.00"),  # traded through: at the limit
        ("buy", "10.00", [10.5, 11, 10, 10.2], None),  # only touched
        ("buy", "10.00", [9.5, 11, 9, 10], "9.5"),  # opened better
        ("buy", "10.00", [10, 11, 10, 10.5], "10"),  # opened at the limit
        ("sell", "10.00", [9.5, 10.01, 9, 10], "10.00"),
        ("sell", "10.00", [9.5, 10, 9, 9.8], None),
        ("sell", "10.00", [10.5, 11, 9, 10], "10.5"),
        ("sell", "10.00", [10, 10, 9, 9.5], "10"),
    ],
)
def test_a_limit_order_fills_where_the_bar_trades_through(
    lab: Any, client: Any, side: str, limit: str, bar: list[float], price: str | None
) -> None:
    exchange = lab.open(flat(lab, [10, 10, bar]))
    trader = client(exchange)
    if side == "sell":
        trader.buy(5)
    exchange.advance()
    exchange.advance()
    order = trader.buy(5, limit=limit) if side == "buy" else trader.sell(5, limit=limit)
    exchange.advance()
    found = exchange.order(order.id)
    assert found.filled_avg_price == (None if price is None else Decimal(price))
    assert found.open is (price is None)


def test_an_order_takes_its_share_of_the_volume_and_goes_on(lab: Any, client: Any) -> None:
    exchange = lab.open(
        lab.tape(
            [
                lab.row("SPY", f"{DAY} 09:30", 10, 100),
                lab.row("SPY", f"{DAY} 09:31", 11, 59),  # 10 %: 5 whole shares
                lab.row("SPY", f"{DAY} 09:32", 12, 0),  # no trade, no fill
                lab.row("SPY", f"{DAY} 09:33", 13, 3),  # below one share: one share
                lab.row("SPY", f"{DAY} 09:34", 14, 1000),
            ]
        )
    )
    exchange.advance()
    order = client(exchange).buy(20)
    events = [event for minute in lab.play(exchange) for event in minute.events]
    assert [(e.event, e.execution.qty, e.execution.price) for e in events] == [
        ("partial_fill", 5, 11),
        ("partial_fill", 1, 13),
        ("fill", 14, 14),
    ]
    assert [e.execution.cumulative_qty for e in events] == [5, 6, 20]
    found = exchange.order(order.id)
    assert found.status is OrderStatus.FILLED
    assert found.filled_avg_price == Decimal(5 * 11 + 13 + 14 * 14) / 20


def test_participation_is_a_setting(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10], volume=100), max_volume_share=Decimal("0.5"))
    exchange.advance()
    client(exchange).buy(70)
    exchange.advance()
    assert fills(exchange) == [("buy", 50, 10)]


def test_fractions_of_a_share_fill_whole(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10, 10, 10], volume=10))
    client(exchange).buy("1.5")
    lab.play(exchange)
    assert fills(exchange) == [("buy", 1, 10), ("buy", Decimal("0.5"), 10)]


def test_a_day_order_expires_at_the_close_and_keeps_its_fill(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10], volume=50, start="15:58"))
    exchange.advance()
    order = client(exchange).buy(8)
    assert order.expires_at == lab.time(f"{DAY} 16:00")
    minute = exchange.advance()
    assert minute.time == lab.time(f"{DAY} 16:00")
    assert [event.event for event in minute.events] == ["partial_fill", "expired"]
    assert minute.events[1].time == lab.time(f"{DAY} 16:00")
    found = exchange.order(order.id)
    assert (found.status, found.filled_qty) == (OrderStatus.EXPIRED, 5)
    assert exchange.orders() == []
    assert exchange.advance() is None


def test_a_day_order_expires_at_the_close_though_the_tape_ends_before(
    lab: Any, client: Any
) -> None:
    exchange = lab.open(flat(lab, [10, 10]))
    exchange.advance()
    exchange.advance()
    order = client(exchange).buy(1)
    minute = exchange.advance()
    assert (minute.time, minute.bars) == (lab.time(f"{DAY} 16:00"), [])
    assert minute.events[0].order.id == order.id
    assert minute.events[0].event == "expired"
    assert exchange.advance() is None
    assert exchange.next_time() is None


def test_a_day_order_expires_before_the_next_session_trades(lab: Any, client: Any) -> None:
    tape = lab.tape(
        lab.rows("SPY", f"{DAY} 10:00", [10, 10]) + lab.rows("SPY", "2026-03-03 09:30", [11, 11])
    )
    exchange = lab.open(tape)
    exchange.advance()
    client(exchange).buy(1, limit="9")
    exchange.advance()
    minute = exchange.advance()
    assert [(e.event, e.time) for e in minute.events] == [("expired", lab.time(f"{DAY} 16:00"))]
    assert minute.bars[0].open == 11


def test_half_days_close_at_one(lab: Any, client: Any) -> None:
    exchange = lab.open(lab.tape(lab.rows("SPY", "2026-11-27 12:58", [10, 10, 10])))
    exchange.advance()
    order = client(exchange).buy(1, limit="9")
    assert order.expires_at == lab.time("2026-11-27 13:00")
    assert [event.event for event in exchange.advance().events] == ["expired"]
    assert exchange.advance() is None


def test_an_order_after_the_close_waits_for_the_next_session(lab: Any, client: Any) -> None:
    tape = lab.tape(
        lab.rows("SPY", "2026-03-06 15:58", [10, 10])  # a Friday, before the clocks change
        + lab.rows("SPY", "2026-03-09 09:30", [11, 12])
        + lab.rows("SPY", "2026-03-10 09:30", [13])
    )
    exchange = lab.open(tape)
    exchange.advance()
    exchange.advance()
    assert not exchange.is_open
    trader = client(exchange)
    market, limit = trader.buy(1), trader.buy(1, limit="9")
    assert market.status is OrderStatus.ACCEPTED
    assert limit.expires_at == lab.time("2026-03-09 16:00")
    opening = lab.time("2026-03-09 09:30")
    minute = exchange.advance()
    assert [(e.event, e.order.id, e.time) for e in minute.events] == [
        ("new", market.id, opening),
        ("new", limit.id, opening),
        ("fill", market.id, opening),
    ]
    assert minute.events[2].execution.price == 11
    exchange.advance()
    (event,) = exchange.advance().events
    assert (event.event, event.order.id) == ("expired", limit.id)


def test_an_order_after_the_last_close_stays_open(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10], start="15:59"))
    exchange.advance()
    order = client(exchange).buy(1)
    assert order.expires_at == lab.time("2026-03-03 16:00")
    assert exchange.advance() is None
    assert exchange.order(order.id).status is OrderStatus.ACCEPTED


def test_a_gtc_order_outlives_its_session(lab: Any, client: Any) -> None:
    tape = lab.tape(
        lab.rows("SPY", f"{DAY} 15:58", [10, 10]) + lab.rows("SPY", "2026-03-03 09:30", [8])
    )
    exchange = lab.open(tape)
    exchange.advance()
    order = client(exchange).buy(1, limit="9", tif=TimeInForce.GTC)
    assert order.expires_at == lab.time("2026-05-31 16:15")
    assert exchange.advance().events == ()
    assert exchange.advance().events[0].execution.price == 8


def test_a_gtc_order_is_canceled_after_90_days(lab: Any, client: Any) -> None:
    tape = lab.tape(
        lab.rows("SPY", f"{DAY} 15:58", [10, 10]) + lab.rows("SPY", "2026-06-01 09:30", [10, 10])
    )
    exchange = lab.open(tape)
    order = client(exchange).buy(1, limit="9", tif=TimeInForce.GTC)
    lab.play(exchange)
    ended = exchange.order(order.id)
    assert (ended.status, ended.canceled_at) == (OrderStatus.CANCELED, order.expires_at)


def test_orders_fill_in_the_order_they_came(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10]))
    trader = client(exchange)
    ids = [trader.buy(1, id=name).client_order_id for name in ("zz", "aa", "mm")]
    events = exchange.advance().events
    assert [event.order.client_order_id for event in events] == ids


def test_a_cancel_keeps_what_is_filled(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10, 10], volume=20))
    order = client(exchange).buy(5)
    exchange.advance()
    event = exchange.cancel(order.id)
    assert (event.event, event.order.filled_qty) == ("canceled", 2)
    lab.play(exchange)
    assert exchange.order(order.id).filled_qty == 2
    assert [h.qty for h in exchange.positions()] == [2]


def test_positions_are_kept_at_average_cost(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 20, 30, 40]))
    trader = client(exchange)
    trader.buy(1)
    exchange.advance()
    trader.buy(3)
    exchange.advance()
    (held,) = exchange.positions()
    assert (held.qty, held.cost, held.avg_price) == (4, 70, Decimal("17.5"))
    trader.sell(2)
    exchange.advance()
    (held,) = exchange.positions()
    assert (held.qty, held.cost) == (2, 35)
    trader.sell(2)
    exchange.advance()
    assert exchange.positions() == []
    assert exchange.account().cash == 100_000 - 70 + 60 + 80


def test_the_account_is_marked_at_last_prices(lab: Any, client: Any) -> None:
    tape = flat(lab, [[10, 12, 9, 11], 11, [11, 13, 11, 12.5]])
    exchange = lab.open(tape, cash=Decimal(1000), multiplier=Decimal(1))
    trader = client(exchange)
    trader.buy(10)
    exchange.advance()
    account = exchange.account()
    assert (account.cash, account.long_market_value, account.equity) == (900, 110, 1010)
    trader.buy(20, limit="10")
    assert exchange.account().buying_power == 700
    assert exchange.account().held_for_orders == 200
    lab.play(exchange)
    assert exchange.account().equity == Decimal("900") + Decimal("125")
    assert exchange.account().buying_power == 900


def test_a_multiplier_raises_buying_power(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10]), cash=Decimal(100), multiplier=Decimal(2))
    assert exchange.account().buying_power == 200
    client(exchange).buy(15)
    exchange.advance()
    assert exchange.account().cash == -50
    assert exchange.account().buying_power == 50


def test_ids_are_functions_of_the_client_id(lab: Any, client: Any) -> None:
    tape = flat(lab, [10, 10])
    seen = []
    for _ in range(2):
        exchange = lab.open(tape)
        trader = client(exchange)
        trader.buy(1, id="mine")
        unnamed = trader.buy(1)
        exchange.advance()
        seen.append((unnamed.client_order_id, [e.id for e in exchange.executions()]))
    assert seen[0] == seen[1]


def test_lists_of_orders_by_state_and_time(lab: Any, client: Any) -> None:
    exchange = lab.open(flat(lab, [10, 10, 10]))
    trader = client(exchange)
    done = trader.buy(1)
    exchange.advance()
    waiting = trader.buy(1, limit="5")

    def ids(orders: list[Any]) -> list[Any]:
        return [order.id for order in orders]

    assert ids(exchange.orders()) == [waiting.id]
    assert ids(exchange.orders("closed")) == [done.id]
    assert ids(exchange.orders("all")) == [done.id, waiting.id]
    assert ids(exchange.orders("all", since=waiting.submitted_at)) == [waiting.id]
    assert ids(exchange.orders("open", since=exchange.calendar.sessions[-1].open)) == []


def test_history_is_what_was_played(lab: Any) -> None:
    rows = [*lab.rows("SPY", f"{DAY} 09:30", [10, 11, 12, 13]), lab.row("KO", f"{DAY} 09:31", 5)]
    exchange = lab.open(lab.tape(rows))
    assert list(exchange.history()) == []
    for _ in range(3):
        exchange.advance()

    def shape(history: Any) -> list[list[tuple[str, float]]]:
        return [[(bar.symbol, bar.close) for bar in bars] for bars in history]

    assert shape(exchange.history()) == [[("SPY", 10)], [("KO", 5), ("SPY", 11)], [("SPY", 12)]]
    assert shape(exchange.history(["KO"])) == [[("KO", 5)]]
    assert shape(exchange.history(since=lab.time(f"{DAY} 09:30"))) == [
        [("KO", 5), ("SPY", 11)],
        [("SPY", 12)],
    ]
    assert shape(exchange.history(bars=1)) == [[("SPY", 12)]]
    assert shape(exchange.history(bars=0)) == []
    assert len(list(exchange.history(bars=99))) == 3


def test_an_unknown_order_is_not_found(lab: Any) -> None:
    exchange = lab.open(flat(lab, [10]))
    with pytest.raises(RequestRefused) as caught:
        exchange.order_by_client_id("nobody")
    assert (caught.value.status, caught.value.code) == (404, 40410000)
