"""Shorts, amounts, margins, closing positions, and what comes from outside."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.order_terms import Side
from smabot_exchange.matching.orders import OrderFilter, RequestRefused

LEDGERS = Path(__file__).with_name("ledgers")


@pytest.fixture
def margin(lab: Any, client: Any) -> Any:
    """A margin account of 10,000 dollars; the price goes from 10 to 12 and to 8."""
    rows = lab.rows("SPY", "2026-03-02 09:30", [10, 10, 12, 8, 8, 8])
    exchange = lab.open(lab.tape(rows), cash=Decimal(10_000), multiplier=Decimal(2))
    exchange.advance()
    return client(exchange)


def refusal(attempt: Any) -> tuple[int, int, str]:
    with pytest.raises(RequestRefused) as caught:
        attempt()
    return caught.value.status, caught.value.code, caught.value.message


def test_a_short_sale(margin: Any) -> None:
    exchange = margin.exchange
    order = margin.sell(100)
    assert order.position_intent == "sell_to_open"
    assert exchange.account().held_for_orders == Decimal("1031.03")  # 3 % above an ask of 10.01
    exchange.advance()
    account = exchange.account()
    assert (account.cash, account.short_market_value, account.equity) == (11_000, -1000, 10_000)
    assert (account.initial_margin, account.maintenance_margin) == (500, 500)
    assert account.buying_power == 19_000
    assert exchange.position("SPY").avg_price == 10
    exchange.advance()
    assert exchange.account().equity == 9800
    cover = margin.buy(100)
    assert cover.position_intent == "buy_to_close"
    exchange.advance()
    assert exchange.account().cash == 10_200
    assert exchange.positions() == []


def test_shares_are_sold_or_bought_to_zero_not_through_it(margin: Any) -> None:
    short = "insufficient qty available for order (requested: 101, available: 100)"
    margin.buy(100)
    margin.exchange.advance()
    assert refusal(lambda: margin.sell(101)) == (403, 40310000, short)
    margin.sell(100)
    margin.exchange.advance()
    margin.sell(100)
    margin.exchange.advance()
    assert margin.exchange.available("SPY") == -100
    assert refusal(lambda: margin.buy(101)) == (403, 40310000, short)
    margin.buy(60, limit="5")
    assert margin.exchange.available("SPY") == -40


def test_who_may_sell_short(margin: Any, lab: Any, client: Any) -> None:
    text = "fractional orders cannot be sold short"
    assert refusal(lambda: margin.sell("1.5")) == (422, 42210000, text)
    assert refusal(lambda: margin.sell(notional=50)) == (422, 42210000, text)
    assert refusal(lambda: margin.sell(2000))[2] == "insufficient buying power"
    buy = margin.buy(1, limit="9")
    open_buy = "cannot open a short sell while a long buy order is open"
    assert refusal(lambda: margin.sell(1, limit="11")) == (403, 40310000, open_buy)
    margin.exchange.cancel(buy.id)
    margin.sell(1, limit="11")
    open_sell = "cannot open a long buy while a short sell order is open"
    assert refusal(lambda: margin.buy(1, limit="9")) == (403, 40310000, open_sell)
    poor = lab.open(lab.folder / "tape.csv", cash=Decimal(1999), multiplier=Decimal(2))
    small = client(poor)
    assert refusal(lambda: small.sell(1)) == (403, 40310000, "account is not allowed to short")


def test_an_intent_that_is_not_so(margin: Any) -> None:
    answer = refusal(lambda: margin.buy(1, position_intent="buy_to_close"))
    text = "position intent mismatch, inferred: buy_to_open, specified: buy_to_close"
    assert answer == (422, 42210000, text)
    assert margin.buy(1, position_intent="buy_to_open").position_intent == "buy_to_open"


def test_an_order_by_amount(margin: Any) -> None:
    exchange = margin.exchange
    order = margin.buy(notional="100.50")
    assert (order.qty, order.notional, exchange.account().held_for_orders) == (0, Decimal("100.5"), Decimal("100.5"))  # fmt: skip
    exchange.advance()
    exchange.advance()
    done = margin.now(order)
    assert (done.status, done.filled_qty) == ("filled", Decimal("10.05"))
    assert exchange.account().held_for_orders == 0
    sale = margin.sell(notional="100")  # at 12, fills at 8
    assert exchange.available("SPY") == Decimal("10.05") - Decimal("8.333333334")
    exchange.advance()
    assert margin.now(sale).filled_qty == Decimal("10.05")  # all there is
    assert exchange.positions() == []


def test_an_amount_that_a_bar_can_not_fill(lab: Any, client: Any) -> None:
    rows = lab.rows("SPY", "2026-03-02 09:30", [10, 10, 16, 16], 50)
    trader = client(lab.open(lab.tape(rows)))
    order = trader.buy(notional=100)
    lab.play(trader.exchange)
    assert [(e.qty, e.price) for e in trader.exchange.executions()] == [
        (5, 10), (5, 10),
    ]  # fmt: skip
    assert trader.now(order).status == "filled"
    rows = lab.rows("SPY", "2026-03-02 09:30", [10, 16, 16], 50)
    trader = client(lab.open(lab.tape(rows, "dear.csv")))
    order = trader.buy(notional=100)
    lab.play(trader.exchange)
    assert trader.now(order).filled_qty == Decimal("8.125")  # 5 at 10, then 50 dollars at 16


def test_a_sale_by_amount_leaves_other_sales_their_shares(lab: Any, client: Any) -> None:
    rows = lab.rows("SPY", "2026-03-02 09:30", [10, [5, 11, 5, 5], 5])
    trader = client(lab.open(lab.tape(rows)))
    trader.buy(10)
    trader.exchange.advance()
    amount, other = trader.sell(notional=50), trader.sell(5, limit="10.5")
    trader.exchange.advance()
    assert (trader.now(amount).filled_qty, trader.now(other).filled_qty) == (5, 5)
    assert trader.exchange.positions() == []


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({}, 40010001, "qty or notional is required"),
        ({"qty": 1, "notional": 10}, 40010001, "only one of qty or notional is accepted"),
        ({"notional": "0.99"}, 40010001, "notional must be >= 1.00"),
        ({"notional": "NaN"}, 40010001, "notional must be >= 1.00"),
        ({"notional": "1.001"}, 40010001, "notional value must be limited to 2 decimal places"),
        ({"notional": 10, "tif": "gtc"}, 42210000, "fractional orders must be DAY orders"),
        ({"qty": "1.5", "trail": 1}, 42210000, "fractional orders must be market, limit, stop"),
        ({"qty": 1, "kind": "limit"}, 40010001, "limit orders require a limit price"),
        ({"qty": 1, "kind": "stop"}, 40010001, "stop orders require a stop price"),
        ({"qty": 1, "kind": "stop", "stop": 12, "limit": 12}, 40010001, "must not have limit_price"),
        ({"qty": 1, "kind": "stop_limit", "stop": 12}, 40010001, "require both stop and limit price"),
        ({"qty": 1, "kind": "market", "stop": 12}, 40010001, "require no stop or limit price"),
        ({"qty": 1, "trail": 1, "percent": 1}, 40010001, "must specify one of trail_price or"),
        ({"qty": 1, "percent": "0.05"}, 40010001, "greater than or equal to 0.1"),
        ({"qty": 1, "percent": 100}, 40010001, "less than 100"),
        ({"qty": 1, "trail": 0}, 40010001, "trail_price must be > 0"),
        ({"qty": 1, "stop": 10}, 42210000, "stop price must be greater than current price"),
        ({"qty": 1, "stop": "10.001"}, 42210000, "invalid stop_price 10.001. sub-penny"),
        ({"qty": 1, "stop": 11, "tif": "ioc"}, 42210000, "stop orders must be DAY or GTC"),
        ({"qty": 1, "extended_hours": True}, 42210000, "must be DAY or GTC limit orders"),
        ({"qty": 1, "limit": 9, "tif": "ioc", "extended_hours": True}, 42210000, "DAY or GTC limit"),
    ],
)  # fmt: skip
def test_malformed_orders(margin: Any, asked: dict[str, Any], code: int, words: str) -> None:
    status, found, message = refusal(lambda: margin.buy(**asked))
    assert (status, found) == (422, code)
    assert words in message


def test_a_stop_already_reached_tells_the_price(margin: Any) -> None:
    with pytest.raises(RequestRefused) as caught:
        margin.buy(1, stop="9.5")
    assert caught.value.extra == {"market_price": "10", "stop_price": "9.5"}


def test_orders_for_the_open_are_sent_at_night(margin: Any) -> None:
    text = "opg orders must be submitted after 7:00pm and before 9:28am"
    assert refusal(lambda: margin.buy(1, tif="opg")) == (403, 40310000, text)


def test_extended_hours_wait_for_the_session(margin: Any) -> None:
    order = margin.buy(1, limit=9, extended_hours=True)
    assert (order.extended_hours, order.status) == (True, "new")


def test_closing_positions(margin: Any) -> None:
    exchange = margin.exchange
    assert refusal(lambda: exchange.close_position("SPY")) == (404, 40410000, "position does not exist")  # fmt: skip
    margin.buy(100)
    exchange.advance()
    part = exchange.close_position("SPY", percentage=Decimal("33.3"))
    assert (part.side, part.qty, part.position_intent) == ("sell", Decimal("33.3"), "sell_to_close")
    assert exchange.close_position("SPY", qty=Decimal(20)).qty == 20
    assert refusal(lambda: exchange.close_position("SPY"))[2].endswith("(requested: 100, available: 46.7)")  # fmt: skip
    for wrong in ("0", "101", "NaN"):
        attempt = partial(exchange.close_position, "SPY", percentage=Decimal(wrong))
        assert refusal(attempt)[:2] == (422, 40010001)
    (answer,) = exchange.close_all()
    assert (answer[0], answer[1], type(answer[2])) == ("SPY", 403, RequestRefused)
    ((symbol, status, order),) = exchange.close_all(cancel_orders=True)
    assert (symbol, status, order.qty) == ("SPY", 200, 100)
    assert exchange.orders() == [order]
    exchange.advance()
    assert exchange.positions() == []


def test_canceling_all(margin: Any) -> None:
    orders = [margin.buy(1, limit=9), margin.buy(1, bracket=(12, 9))]
    answered = margin.exchange.cancel_all()
    assert len(answered) == 4
    assert {status for _, status in answered} == {200}
    assert margin.exchange.orders() == []
    assert {margin.now(order).status for order in orders} == {"canceled"}
    assert margin.exchange.cancel_all() == []


def test_shares_and_cash_from_outside(lab: Any, client: Any) -> None:
    tape = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12]))
    exchange = lab.open(tape, "ledger.db")
    exchange.advance()
    assert exchange.adjust("SPY", Decimal(5), Decimal(8)).avg_price == 8
    exchange.transfer(Decimal("-100"))
    assert (exchange.account().equity, exchange.account().cash) == (99_950, 99_900)
    client(exchange).sell(5)
    exchange.advance()
    assert exchange.adjust("SPY", Decimal(-2), Decimal(11)).qty == -2
    before = (exchange.account(), exchange.positions())
    exchange.close()
    exchange = lab.open(tape, "ledger.db")
    assert (exchange.account(), exchange.positions()) == before
    assert exchange.adjust("SPY", Decimal(2), Decimal(11)) is None
    assert refusal(lambda: exchange.adjust("NOPE", Decimal(1), Decimal(1)))[0] == 422
    assert refusal(lambda: exchange.transfer(Decimal(0)))[0] == 422


def test_the_day_before(lab: Any, client: Any) -> None:
    rows = lab.rows("SPY", "2026-03-02 15:58", [10, 12])
    rows += lab.rows("SPY", "2026-03-03 09:30", [15, 16])
    tape = lab.tape(rows)
    exchange = lab.open(tape, "ledger.db", cash=Decimal(1000))
    client(exchange).buy(10)
    exchange.advance()
    assert exchange.account().last_equity == 1000
    exchange.advance()
    exchange.advance()  # the next session's first minute
    assert exchange.account().last_equity == 1020
    assert exchange.account().last_maintenance_margin == 36
    assert exchange.previous_close("SPY") == 12
    exchange.close()
    exchange = lab.open(tape, "ledger.db", cash=Decimal(1000))
    assert exchange.account().last_equity == 1020
    exchange.advance()
    assert exchange.account().last_equity == 1020


def test_equity_in_the_past(lab: Any, client: Any) -> None:
    rows = lab.rows("SPY", "2026-03-02 15:58", [10, 12])
    rows += lab.rows("SPY", "2026-03-03 09:30", [15, 16])
    exchange = lab.open(lab.tape(rows), cash=Decimal(1000))
    client(exchange).buy(10)
    exchange.advance()
    exchange.advance()
    exchange.transfer(Decimal(500))
    lab.play(exchange)
    first, second = exchange.calendar.sessions[:2]
    hours = exchange.equity_history(
        first.close - timedelta(minutes=2), exchange.now, timedelta(days=1)
    )
    assert [tuple(point) for point in hours] == [
        (first.close, 1520, 20), (second.close, 1560, 60),
    ]  # fmt: skip
    minutes = exchange.equity_history(
        second.open, second.open + timedelta(minutes=2), timedelta(minutes=1)
    )
    assert [(point.equity, point.profit_loss) for point in minutes] == [(1550, 30), (1560, 40)]
    assert minutes[-1].equity == exchange.account().equity


def test_lists(margin: Any) -> None:
    exchange = margin.exchange
    first, second = margin.buy(1), margin.buy(2, limit=5)
    exchange.advance()
    third = margin.buy(3, bracket=(15, 8))
    ids = [order.id for order in exchange.find_orders(OrderFilter("all", newest_first=False))]
    legs = [leg.id for leg in exchange.legs(third)]
    assert ids == [first.id, second.id, third.id, *legs]

    def found(**wanted: Any) -> list[Any]:
        return [order.id for order in exchange.find_orders(OrderFilter(**wanted))]

    assert found() == [*reversed(legs), third.id, second.id]
    assert found(parents_only=True) == [third.id, second.id]
    assert found(status="closed") == [first.id]
    assert found(status="all", limit=1, newest_first=False) == [first.id]
    assert found(status="all", after=first.submitted_ns, parents_only=True) == [third.id, second.id]
    assert found(status="all", after=second.submitted_ns, parents_only=True) == [third.id]
    assert found(status="all", until=third.submitted_ns) == [second.id, first.id]
    assert found(side=Side.SELL) == legs[::-1]
    assert found(symbols=["KO"]) == []
    assert found(symbols=["KO", "SPY"], parents_only=True) == [third.id, second.id]


def test_activities_by_page(margin: Any) -> None:
    for _ in range(3):
        margin.buy(1)
        margin.buy(2)
        margin.exchange.advance()
    everything = margin.exchange.executions()
    assert [done.number for done in everything] == [1, 2, 3, 4, 5, 6]
    page = margin.exchange.activities(limit=4)
    assert page == everything[:1:-1]
    assert margin.exchange.activities(4, page[-1].number) == everything[1::-1]
    oldest = margin.exchange.activities(4, oldest_first=True)
    assert oldest == everything[:4]
    assert margin.exchange.activities(4, 4, oldest_first=True) == everything[4:]
    second = everything[2].time
    assert margin.exchange.activities(since=second) == everything[:3:-1]
    assert margin.exchange.activities(until=second) == everything[1::-1]


def test_bars_so_far(lab: Any) -> None:
    rows = lab.rows("KO", "2026-03-02 15:58", [1, 2]) + lab.rows(
        "SPY", "2026-03-02 15:58", [10, 11]
    )
    rows += lab.rows("SPY", "2026-03-03 09:30", [12, 13])
    exchange = lab.open(lab.tape(rows), "ledger.db")
    start, end = exchange.calendar.sessions[0].open, exchange.calendar.sessions[3].close

    def closes(*symbols: str) -> list[float]:
        return [bar.close for bar in exchange.bars(symbols, start, end)]

    assert (closes("SPY"), exchange.latest_bars(["SPY"])) == ([], {})
    for _ in range(3):
        exchange.advance()
    assert closes("SPY", "KO", "NOPE") == [1, 10, 2, 11, 12]
    second = exchange.calendar.sessions[1].open
    assert [bar.close for bar in exchange.bars(["SPY"], second, second)] == [12]
    assert {s: b.close for s, b in exchange.latest_bars(["KO", "SPY", "NOPE"]).items()} == {
        "KO": 2, "SPY": 12,
    }  # fmt: skip
    exchange.close()
    exchange = lab.open(lab.folder / "tape.csv", "ledger.db")
    assert exchange.latest_bars(["KO"])["KO"].close == 2


def test_listeners_hear_what_is_durable(lab: Any, client: Any) -> None:
    exchange = lab.open(lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11])), "ledger.db")
    heard = []

    def listener(events: Any) -> None:
        with sqlite3.connect(lab.folder / "ledger.db") as db:
            states = dict(db.execute("SELECT id, status FROM orders"))
        heard.extend((event.event, states[str(event.order.id)]) for event in events)

    exchange.listen(listener)
    client(exchange).buy(1)
    resting = client(exchange).buy(1, limit=5)
    lab.play(exchange)
    assert heard == [("new", "new"), ("new", "new"), ("fill", "filled"), ("expired", "expired")]
    assert exchange.order(resting.id).status == "expired"


def test_a_ledger_of_the_first_version(lab: Any, client: Any) -> None:
    """Written by smabot-exchange 0.1: ten shares bought, four sold, a limit sale open."""
    path = lab.folder / "ledger.db"
    db = sqlite3.connect(path)
    db.executescript((LEDGERS / "version1.sql").read_text())
    db.close()
    tape = lab.tape(lab.rows("SPY", "2026-03-02 09:30", [10, 11, 12, 13, 14, 15]))
    exchange = lab.open(tape, "ledger.db")
    assert [(o.client_order_id, o.status.value) for o in exchange.orders("all")] == [
        ("bought", "filled"), ("sold", "filled"), ("resting-sale", "new"), ("canceled", "canceled"),
    ]  # fmt: skip
    assert exchange.orders()[0].position_intent == "sell_to_close"
    assert (exchange.account().equity, exchange.account().last_equity) == (100_010, 100_010)
    assert exchange.account().held_for_orders == 0
    assert [done.number for done in exchange.executions()] == [1, 2]
    trader = client(exchange)
    assert refusal(lambda: trader.buy(1, id="bought"))[2] == "client_order_id must be unique"
    exchange.cancel(exchange.orders()[0].id)
    trader.sell(5, oco=(14, 10))
    lab.play(exchange)
    assert exchange.position("SPY").qty == 1
    assert exchange.executions()[-1].number == 3
    exchange.close()
    assert lab.open(tape, "ledger.db").position("SPY").qty == 1
