"""Bracket, OCO and OTO orders: exits that wait, cancel each other and never close too much."""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from smabot_exchange.matching.orders import OrderChange, RequestRefused


@pytest.fixture
def market(lab: Any, client: Any) -> Any:
    """Opens an exchange on bars of one symbol after a minute at 10."""

    def opened(*bars: Any, volumes: Any = (), name: str | None = None, **terms: Any) -> Any:
        rows = [lab.row("SPY", "2026-03-02 09:30", 10)]
        for number, (bar, volume) in enumerate(zip_longest(bars, volumes, fillvalue=100_000), 31):
            rows.append(lab.row("SPY", f"2026-03-02 09:{number}", bar, volume))
        exchange = lab.open(lab.tape(rows), name, **terms)
        exchange.advance()
        return client(exchange)

    return opened


def states(trader: Any, *orders: Any) -> list[str]:
    return [trader.now(order).status.value for order in orders]


def group(trader: Any, parent: Any) -> list[Any]:
    return [parent, *trader.exchange.legs(parent)]


def told(minute: Any) -> list[tuple[str, str]]:
    return [(event.event, event.order.type.value) for event in minute.events]


def test_exits_are_held_until_the_entry_is_filled(market: Any) -> None:
    trader = market(10, 10)
    entry = trader.buy(5, bracket=(12, 9), stop_limit="8.5")
    orders = group(trader, entry)
    _, profit, loss = orders
    assert states(trader, *orders) == ["new", "held", "held"]
    assert (profit.type, profit.limit_price, profit.side) == ("limit", 12, "sell")
    assert (loss.type, loss.stop_price, loss.limit_price) == ("stop_limit", 9, Decimal("8.5"))
    assert {order.order_class for order in orders} == {"bracket"}
    assert {order.qty for order in orders} == {5}
    assert {order.position_intent for order in orders[1:]} == {"sell_to_close"}
    assert trader.exchange.account().held_for_orders == 50
    minute = trader.exchange.advance()
    assert told(minute) == [("fill", "market"), ("new", "limit")]
    assert states(trader, *orders) == ["filled", "new", "held"]
    assert trader.exchange.available("SPY") == 0


@pytest.mark.parametrize(
    ("bar", "ends", "price", "events"),
    [
        ([10, 12.5, 10, 12], ["filled", "canceled"], "12", ["fill", "canceled"]),
        ([10, 10, 8, 9], ["canceled", "filled"], "9", ["canceled", "new", "fill"]),
        ([10, 13, 8, 9], ["canceled", "filled"], "9", ["canceled", "new", "fill"]),  # the worse
        ([12.5, 13, 8, 9], ["filled", "canceled"], "12.5", ["fill", "canceled"]),  # at the open
        ([10, 11, 9.5, 10], ["new", "held"], None, []),
    ],
)
def test_one_exit_cancels_the_other(
    market: Any, bar: Any, ends: list[str], price: str | None, events: list[str]
) -> None:
    trader = market(10, bar)
    entry = trader.buy(5, bracket=(12, 9))
    trader.exchange.advance()
    minute = trader.exchange.advance()
    assert states(trader, *group(trader, entry)[1:]) == ends
    assert [event.event for event in minute.events] == events
    sold = [done.price for done in trader.exchange.executions() if done.side == "sell"]
    assert sold == ([] if price is None else [Decimal(price)])


def test_exits_do_not_work_in_the_minute_of_the_entry(market: Any) -> None:
    trader = market([10, 13, 8, 10], 10)
    entry = trader.buy(5, bracket=(12, 9))
    trader.exchange.advance()
    assert states(trader, *group(trader, entry)) == ["filled", "new", "held"]


def test_an_exit_filled_in_part_shrinks_the_other(market: Any) -> None:
    trader = market(10, [10, 12.5, 10, 12], [11.9, 12, 8, 8], volumes=(1000, 200, 200))
    entry = trader.buy(60, bracket=(12, 9))
    trader.exchange.advance()
    _, profit, loss = group(trader, entry)
    trader.exchange.advance()
    assert (trader.now(profit).filled_qty, trader.now(loss).qty) == (20, 40)
    trader.exchange.advance()
    assert states(trader, profit, loss) == ["canceled", "partially_filled"]
    assert trader.exchange.position("SPY").qty == 20


def test_an_entry_filled_in_part_arms_nothing_yet(market: Any) -> None:
    trader = market([10, 13, 8, 10], 10, volumes=(100, 100))
    entry = trader.buy(15, bracket=(12, 9))
    trader.exchange.advance()
    assert states(trader, *group(trader, entry)) == ["partially_filled", "held", "held"]
    trader.exchange.advance()
    assert states(trader, *group(trader, entry)) == ["filled", "new", "held"]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_canceling_one_cancels_the_group(market: Any, which: int) -> None:
    trader = market(10, 10)
    orders = group(trader, trader.buy(5, bracket=(12, 9)))
    trader.exchange.cancel(orders[which].id)
    assert states(trader, *orders) == ["canceled"] * 3
    assert trader.exchange.account().held_for_orders == 0
    assert trader.exchange.orders() == []


def test_canceling_an_exit_leaves_the_position(market: Any) -> None:
    trader = market(10, 10)
    orders = group(trader, trader.buy(5, bracket=(12, 9)))
    trader.exchange.advance()
    trader.exchange.cancel(orders[1].id)
    assert states(trader, *orders) == ["filled", "canceled", "canceled"]
    assert trader.exchange.available("SPY") == 5


def test_a_day_bracket_expires_as_a_whole(lab: Any, client: Any) -> None:
    rows = lab.rows("SPY", "2026-03-02 15:57", [10, 10, 10])
    exchange = lab.open(lab.tape(rows))
    exchange.advance()
    trader = client(exchange)
    orders = group(trader, trader.buy(5, limit=8, bracket=(12, 7)))
    lab.play(exchange)
    assert states(trader, *orders) == ["expired"] * 3


@pytest.mark.parametrize(
    ("bar", "ends"),
    [([10, 12.5, 10, 12], ["filled", "canceled"]), ([10, 10, 8, 9], ["canceled", "filled"])],
)
def test_oco(market: Any, bar: Any, ends: list[str]) -> None:
    trader = market(10, bar)
    trader.buy(5)
    trader.exchange.advance()
    profit = trader.sell(5, oco=(12, 9))
    assert (profit.type, profit.limit_price, profit.status) == ("limit", 12, "new")
    (loss,) = trader.exchange.legs(profit)
    assert (loss.type, loss.stop_price, loss.status) == ("stop", 9, "held")
    assert trader.exchange.available("SPY") == 0
    trader.exchange.advance()
    assert states(trader, profit, loss) == ends
    assert trader.exchange.positions() == []


@pytest.mark.parametrize(
    ("legs", "bar", "ends"),
    [((None, 9), [10, 10, 8, 9], "filled"), ((12, None), [10, 11, 8, 9], "new")],
)
def test_oto(market: Any, legs: Any, bar: Any, ends: str) -> None:
    trader = market(10, bar)
    entry = trader.buy(5, oto=legs)
    trader.exchange.advance()
    trader.exchange.advance()
    assert states(trader, *group(trader, entry)) == ["filled", ends]


def test_a_short_bracket(market: Any) -> None:
    trader = market(10, [10, 10, 7.5, 8], multiplier=Decimal(2))
    entry = trader.sell(5, bracket=(8, 11))
    trader.exchange.advance()
    assert trader.exchange.position("SPY").qty == -5
    trader.exchange.advance()
    assert states(trader, *group(trader, entry)) == ["filled", "filled", "canceled"]
    assert trader.exchange.positions() == []
    assert trader.exchange.account().cash == 100_010


def test_exits_can_be_moved(market: Any) -> None:
    trader = market(10, 10, [10, 10, 9.4, 9.5])
    entry = trader.buy(5, bracket=(12, 9))
    trader.exchange.advance()
    _, profit, loss = group(trader, entry)
    moved = trader.exchange.replace(loss.id, OrderChange(stop_price=Decimal("9.5")))
    higher = trader.exchange.replace(profit.id, OrderChange(limit_price=Decimal(13)))
    assert (moved.status, higher.status) == ("held", "new")
    assert trader.exchange.legs(entry) == [higher, moved]
    with pytest.raises(RequestRefused, match="qty cannot be changed for advanced orders"):
        trader.exchange.replace(higher.id, OrderChange(qty=Decimal(4)))
    trader.exchange.advance()
    trader.exchange.advance()
    assert states(trader, higher, moved) == ["canceled", "filled"]


def test_a_replaced_entry_keeps_its_exits(market: Any) -> None:
    trader = market(10, [10, 10, 9, 9.5], [9.5, 12.5, 9.5, 12])
    entry = trader.buy(5, limit="8", bracket=(12, 7))
    new = trader.exchange.replace(entry.id, OrderChange(limit_price=Decimal("9.5")))
    assert len(trader.exchange.legs(new)) == 2
    for _ in range(3):
        trader.exchange.advance()
    assert states(trader, entry, new, *trader.exchange.legs(new)) == [
        "replaced", "filled", "filled", "canceled",
    ]  # fmt: skip


def test_a_group_survives_a_restart(lab: Any, market: Any, client: Any) -> None:
    trader = market(10, [10, 13, 10, 12], name="ledger.db")
    entry = trader.buy(5, bracket=(12, 9))
    orders = trader.exchange.orders()
    trader.exchange.close()
    again = client(lab.open(lab.folder / "tape.csv", "ledger.db"))
    assert again.exchange.orders() == orders
    lab.play(again.exchange)
    assert states(again, *group(again, entry)) == ["filled", "filled", "canceled"]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"bracket": (9, 8)}, 42210000, "take_profit.limit_price must be >= base_price + 0.01"),
        ({"bracket": (12, 10)}, 42210000, "stop_loss.stop_price must be <= base_price - 0.01"),
        ({"bracket": (9, 12)}, 42210000, "take_profit.limit_price must be > stop_loss.stop_price"),
        ({"bracket": (12, None)}, 40010001, "bracket orders require stop_loss.stop_price"),
        ({"bracket": (None, 9)}, 40010001, "bracket orders require take_profit.limit_price"),
        ({"bracket": (12, 9), "stop": 11}, 40010001, "bracket orders must be market or limit"),
        ({"bracket": (12, 9), "tif": "ioc"}, 42210000, "bracket orders must be DAY or GTC"),
        ({"bracket": (12, 9), "qty": "1.5"}, 42210000, "fractional orders must be simple orders"),
        ({"bracket": (12, "9.001")}, 42210000, "sub-penny"),
        ({"oto": (12, 9)}, 40010001, "oto orders require one of"),
        ({"oto": (None, None)}, 40010001, "oto orders require one of"),
        ({"oco": (12, 9)}, 42210000, "take_profit.limit_price must be < stop_loss.stop_price"),
        ({"oco": (9, 12)}, 42210000, "oco orders must be exit orders"),
    ],
)
def test_refused_legs(market: Any, asked: dict[str, Any], code: int, words: str) -> None:
    trader = market(10)
    with pytest.raises(RequestRefused) as caught:
        trader.buy(**{"qty": 5} | asked)
    assert (caught.value.status, caught.value.code) == (422, code)
    assert words in caught.value.message
    assert trader.exchange.orders("all") == []


def test_a_bracket_that_exits_is_refused(market: Any) -> None:
    trader = market(10, 10)
    trader.buy(5)
    trader.exchange.advance()
    with pytest.raises(RequestRefused, match="bracket orders must be entry orders"):
        trader.sell(5, bracket=(9, 11))


def test_exits_leave_what_others_are_about_to_close(market: Any) -> None:
    """Part of an entry is sold by hand before the rest of it fills."""
    trader = market(10, [10, 10.5, 9.5, 10], 10, volumes=(300, 300))
    entry = trader.buy(40, bracket=(12, 9))
    trader.exchange.advance()
    assert trader.exchange.position("SPY").qty == 30
    by_hand = trader.sell(25, oco=(13, 8))
    trader.exchange.advance()
    assert states(trader, entry, by_hand) == ["filled", "new"]
    assert {leg.qty for leg in trader.exchange.legs(entry)} == {15}
    assert trader.exchange.available("SPY") == 0
