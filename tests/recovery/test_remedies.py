"""What an acceptance leaves in the book: the broker's shares and cash, and sums that are true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Account, Adjustment, Bar, Fill, Mark, Order, OrderUpdate, Position
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition
from smabot.settings.model import Config

comparison = pytest.importorskip("smabot_reconciliation.conflict_table")

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW = T0 + timedelta(hours=1)
D = Decimal
CASH = D(10_000)
BUY, SELL = Side.BUY, Side.SELL


def position(qty: int, cost: int = 100, strategy: str = "sma", symbol: str = "SPY") -> Position:
    """So many shares that have cost so much each."""
    return Position(strategy, symbol, D(qty), D(abs(qty) * cost), D(cost), D(0), T0)


def hand(
    side: Side, qty: int, price: str, *, at: int = 30, name: str = "hand-1", **changes: Any
) -> BrokerOrder:
    """An order that somebody else has filled."""
    made = BrokerOrder(
        name, "b", "SPY", side, D(qty), OrderType.MARKET, None, TimeInForce.DAY, Status.FILLED, D(qty),
        D(price), T0, T0 + at * MINUTE,
    )  # fmt: skip
    return replace(made, **changes)


def accepted(
    here: Sequence[Any],
    there: Mapping[str, int],
    cash: Decimal = CASH,
    *,
    earlier: Sequence[BrokerOrder] = (),
    price: float | None = 100.0,
    avg_price: str = "95",
    orders: Sequence[BrokerOrder] = (),
    fills: Sequence[Fill] = (),
    foreign: str = "conflict",
) -> Book:
    """Take the broker's word about a book of these records, of last price 100 in each symbol."""
    book = Book()
    book.apply(Account("1", "broker", CASH, CASH, T0))
    for symbol in ("SPY", "IBM"):
        if price is not None:
            book.apply(Bar(symbol, T0, price, price, price, price, 1))
    for record in here:
        book.apply(record)
    book.drain()
    view = comparison.BrokerSnapshot(
        account=BrokerAccount("1", cash, cash, cash),
        orders={each.client_order_id: each for each in orders},
        positions={s: BrokerPosition(s, D(q), D(avg_price)) for s, q in there.items() if q},
        earlier=lambda: earlier,
    )
    found = comparison.compare_book(
        Config(foreign=foreign), book, view, ("SPY", "IBM"), NOW, lambda order: fills
    )
    for record in [row for conflict in found.conflicts for row in conflict.remedy]:
        book.apply(record)
    for record in (*found.updates, *found.remedy):
        book.apply(record)
    assert {s: book.net(s) for s in ("SPY", "IBM") if book.net(s)} == dict(there)
    assert book.account is not None
    assert book.account.cash == cash
    return book


def sums(
    book: Book, strategy: str = "sma", symbol: str = "SPY"
) -> tuple[Decimal, Decimal, Decimal]:
    """A position's shares, cost and P&L."""
    found = book.positions[strategy, symbol]
    return found.qty, found.cost, found.realized_pnl


def from_outside(book: Book) -> Decimal:
    assert book.account is not None
    return book.account.opening_cash - CASH


def adjustments(book: Book) -> list[Adjustment]:
    return [row for row in book.drain()[0] if isinstance(row, Adjustment)]


# -- traded by others ----------------------------------------------------------------------------------


def test_what_was_sold_by_hand_brought_what_the_broker_tells() -> None:
    book = accepted([position(10)], {"SPY": 6}, CASH + 440, earlier=[hand(SELL, 4, "110")])
    assert sums(book) == (6, 600, 40)
    assert from_outside(book) == 0
    (row,) = adjustments(book)
    assert (row.qty, row.price, row.cash, row.time) == (-4, 110, 440, NOW)
    assert row.reason == "position taken from the broker: traded by others"


def test_what_was_bought_by_hand_cost_what_the_broker_tells() -> None:
    book = accepted([position(10)], {"SPY": 14}, CASH - 360, earlier=[hand(BUY, 4, "90")])
    assert sums(book) == (14, 1360, 0)
    assert from_outside(book) == 0


def test_what_others_traded_has_its_fees_in_its_price() -> None:
    sale = hand(SELL, 4, "110", fees=D(2))
    book = accepted([position(10)], {"SPY": 6}, CASH + 438, earlier=[sale])
    assert sums(book) == (6, 600, 38)
    assert from_outside(book) == 0
    (row,) = adjustments(book)
    assert (row.qty, row.price, row.cash) == (-4, D("109.5"), 438)


def test_of_several_the_newest_make_the_difference() -> None:
    orders = [
        hand(BUY, 3, "50", at=1, name="old"),
        hand(SELL, 3, "110", at=10, name="a"),
        hand(BUY, 1, "130", at=20, name="b"),
        hand(SELL, 2, "120", at=15, name="c", filled_at=T0 + 25 * MINUTE),
        hand(SELL, 9, "1", at=29, name="other", symbol="IBM"),
        hand(SELL, 9, "1", at=29, name="unfilled", filled_qty=D(0)),
    ]
    cash = CASH + 330 - 130 + 240
    book = accepted([position(10)], {"SPY": 6}, cash, earlier=orders)
    assert sums(book) == (6, D("622.5"), D("62.5"))
    assert from_outside(book) == 0


def test_a_deposit_beside_a_sale_is_no_profit() -> None:
    book = accepted([position(10)], {"SPY": 6}, CASH + 1440, earlier=[hand(SELL, 4, "110")])
    assert sums(book) == (6, 600, 40)
    assert from_outside(book) == 1000
    assert [row.cash for row in adjustments(book)] == [440, 1000]


@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_what_others_trade_beside_the_bot_is_cash_from_outside(foreign: str) -> None:
    """Shares of a symbol that the bot does not follow, or of any where it is told to ignore them."""
    symbol = "TSLA" if foreign == "conflict" else "SPY"
    orders = [
        hand(BUY, 5, "100", at=1, name="a", symbol=symbol),
        hand(SELL, 5, "120", at=2, name="b", symbol=symbol),
    ]
    book = accepted([position(10)], {"SPY": 10}, CASH + 100, earlier=orders, foreign=foreign)
    assert sums(book) == (10, 1000, 0)
    assert from_outside(book) == 100


def test_of_trades_that_left_no_share_those_of_a_change_are_not_counted_again() -> None:
    orders = [
        hand(BUY, 3, "50", at=1, name="of old"),
        hand(SELL, 4, "110", at=10, name="a"),
        hand(BUY, 4, "100", at=20, name="b"),
        hand(SELL, 4, "110", at=25, name="c"),
    ]
    cash = CASH + 440 - 400 + 440
    book = accepted([position(10)], {"SPY": 6}, cash, earlier=orders)
    assert sums(book) == (6, 600, 40)
    assert sums(book, "") == (0, 0, 40)
    assert from_outside(book) == 0


@pytest.mark.parametrize("cash", ["1000", "1000.000001", "0.01"])
def test_cash_that_no_price_divides_leaves_nothing_over(cash: str) -> None:
    """A third of a dollar has no last digit: the trade's value is the cash, not price by shares."""
    of_two = [position(1), position(2, strategy="b")]
    book = accepted(of_two, {}, CASH + D(cash), earlier=[hand(SELL, 3, str(D(cash) / 3))])
    assert from_outside(book) == 0
    assert sums(book)[2] + sums(book, "b")[2] == D(cash) - 300


# -- not told how --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "realized", "outside"),
    [("440", 40, "0"), ("400", 0, "0"), ("360", -40, "0"), ("441", 0, "41"), ("0", 0, "-400")],
    ids=["at 110", "at 100", "at 90", "too much", "nothing"],
)
def test_the_cash_that_came_tells_the_price_where_it_is_near_the_last(
    came: str, realized: int, outside: str
) -> None:
    book = accepted([position(10)], {"SPY": 6}, CASH + D(came))
    assert sums(book) == (6, 600, realized)
    assert from_outside(book) == D(outside)


def test_shares_that_came_or_went_with_nothing_did_so_at_the_last_price() -> None:
    gone = accepted([position(10, cost=80)], {"SPY": 6})
    assert sums(gone) == (6, 480, 80)
    assert from_outside(gone) == -400
    came = accepted([position(10, cost=80)], {"SPY": 14})
    assert sums(came) == (14, 1200, 0)
    assert from_outside(came) == 400


@pytest.mark.parametrize(
    ("price", "there", "worth"),
    [(100.0, 4, 100), (None, 4, 95)],
    ids=["last price", "the broker's average"],
)
def test_shares_of_nobody_come_at_a_price_that_is_known(
    price: float | None, there: int, worth: int
) -> None:
    book = accepted([], {"SPY": there}, price=price)
    assert sums(book, "") == (there, there * worth, 0)
    assert from_outside(book) == there * worth


def test_without_any_price_they_went_at_what_they_cost() -> None:
    book = accepted([position(10, cost=80)], {}, price=None)
    assert sums(book) == (0, 0, 0)
    assert from_outside(book) == -800


def test_shares_sold_short_and_never_held_come_at_what_they_were_sold_for() -> None:
    book = accepted([position(-4, cost=70)], {})
    assert sums(book) == (0, 0, 0)
    assert from_outside(book) == 280


def test_of_two_that_nothing_tells_of_the_cash_tells_nothing() -> None:
    here = [position(10), position(10, symbol="IBM")]
    book = accepted(here, {"SPY": 6, "IBM": 8}, CASH + 660)
    assert (sums(book), sums(book, symbol="IBM")) == ((6, 600, 0), (8, 800, 0))
    assert from_outside(book) == 660 - 600


def test_of_two_the_one_that_is_told_leaves_the_rest_to_the_other() -> None:
    here = [position(10), position(10, symbol="IBM")]
    book = accepted(
        here, {"SPY": 6, "IBM": 8}, CASH + 440 + 210, earlier=[hand(SELL, 4, "110")]
    )  # fmt: skip
    assert (sums(book), sums(book, symbol="IBM")) == ((6, 600, 40), (8, 800, 10))
    assert from_outside(book) == 0


# -- splits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "avg_price"),
    [
        (10, 20, "50"),
        (10, 15, "66.67"),
        (20, 10, "200"),
        (50, 1, "5000"),
        (10, 20, "50.5"),
        (10, 20, "49.5"),
    ],
)
def test_a_split_leaves_the_cost_and_moves_the_price(here: int, there: int, avg_price: str) -> None:
    book = accepted([position(here)], {"SPY": there}, avg_price=avg_price)
    assert sums(book) == (there, here * 100, 0)
    assert from_outside(book) == 0
    price = book.price("SPY")
    assert price is not None
    assert abs(price * there - 100 * here) < D("0.001")
    rows = book.drain()[0]
    assert [row.reason for row in rows if isinstance(row, Adjustment)] == [
        "split taken from the broker"
    ]
    assert [(row.source, row.time) for row in rows if isinstance(row, Mark)] == [("position", NOW)]


def test_each_holder_has_its_part_of_a_split() -> None:
    here = [position(10, strategy="a"), position(4, 50, strategy="b")]
    book = accepted(here, {"SPY": 28}, avg_price="42.86")
    assert (sums(book, "a"), sums(book, "b")) == ((20, 1000, 0), (8, 200, 0))


@pytest.mark.parametrize("avg_price", ["50.6", "49.4", "95"])
def test_a_ratio_alone_is_no_split(avg_price: str) -> None:
    """Shares were bought: what the position cost at the broker is more than ours."""
    book = accepted([position(10)], {"SPY": 20}, CASH - 950, avg_price=avg_price)
    assert sums(book) == (20, 1950, 0)


def test_a_ratio_that_no_split_has_is_none() -> None:
    book = accepted([position(25)], {"SPY": 10}, avg_price="250")
    assert sums(book) == (10, 1000, 0)
    assert from_outside(book) == -1500


# -- cash alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dollars", ["500", "-500", "0.01", "-0.01"])
def test_cash_that_nothing_explains_is_neither_profit_nor_loss(dollars: str) -> None:
    book = accepted([position(10)], {"SPY": 10}, CASH + D(dollars))
    assert from_outside(book) == D(dollars)
    assert sums(book) == (10, 1000, 0)
    (row,) = adjustments(book)
    assert (row.strategy, row.symbol, row.qty, row.cash) == ("", "", 0, D(dollars))


# -- orders that are taken -----------------------------------------------------------------------------

ID = "smabot-sma-SPY-20260302T1430Z-1"


def order(status: Status = Status.ACCEPTED, **changes: Any) -> Order:
    side = SELL if changes.get("reduces") else BUY
    made = Order(
        ID, "sma", "SPY", side, D(10), OrderType.MARKET, None, TimeInForce.DAY, T0, 1, False, T0, status
    )  # fmt: skip
    return replace(made, **changes)


def seen(of: Order, status: Status, filled: int, price: str = "100", **changes: Any) -> BrokerOrder:
    made = BrokerOrder(
        of.client_order_id, "b", of.symbol, of.side, of.qty, of.type, of.limit_price,
        of.time_in_force, status, D(filled), D(price) if filled else None, T0, NOW,
    )  # fmt: skip
    return replace(made, **changes)


def filled(mine: Order, qty: int, price: str) -> OrderUpdate:
    status = Status.FILLED if qty == mine.qty else Status.PARTIALLY_FILLED
    return OrderUpdate(mine.client_order_id, status, T0, "b", D(qty), D(price))


@pytest.mark.parametrize("there", [0, 4])
def test_a_busted_fill_takes_its_shares_and_cash_back(there: int) -> None:
    """10 bought at 100, of which the broker has 4, or none, left."""
    mine = order()
    cash = CASH - there * 100
    fill = Fill(ID, D(10), "sma", "SPY", BUY, D(10), D(100), D(0), T0, False)
    book = accepted(
        [mine, filled(mine, 10, "100")], {"SPY": there} if there else {}, cash,
        orders=[seen(mine, Status.CANCELED, there)], fills=[fill],
    )  # fmt: skip
    assert sums(book) == (there, there * 100, 0)
    assert from_outside(book) == 0
    fills = {
        row.cumulative_qty: (row.qty, row.price, row.realized_pnl)
        for row in book.drain()[0]
        if isinstance(row, Fill)
    }
    assert fills == {10: (0, 100, 0)} | ({4: (4, 100, 0)} if there else {})
    taken = book.order(ID)
    assert taken is not None
    assert (taken.status, taken.filled_qty) == (Status.CANCELED, there)
    assert taken.reason == "fills taken from the broker"


def test_a_busted_sale_takes_its_profit_back() -> None:
    mine = order(reduces=True)
    here = [position(10), mine, filled(mine, 4, "110"), filled(mine, 10, "110")]
    fills = [
        Fill(ID, D(4), "sma", "SPY", SELL, D(4), D(110), D(40), T0, True),
        Fill(ID, D(10), "sma", "SPY", SELL, D(6), D(110), D(60), T0, True),
    ]
    book = accepted(
        here, {"SPY": 6}, CASH + 440, orders=[seen(mine, Status.CANCELED, 4, "110")], fills=fills
    )
    assert sums(book) == (6, 600, 40)
    changed = {row.cumulative_qty: row.qty for row in book.drain()[0] if isinstance(row, Fill)}
    assert changed == {10: 0}


def test_of_a_fill_that_is_busted_in_part_the_rest_keeps_its_price_and_profit() -> None:
    """4 sold at 110 and 6 at 120, of which the broker has 2 left."""
    mine = order(reduces=True)
    here = [position(10), mine, filled(mine, 4, "110"), filled(mine, 10, "116")]
    fills = [
        Fill(ID, D(4), "sma", "SPY", SELL, D(4), D(110), D(40), T0, True),
        Fill(ID, D(10), "sma", "SPY", SELL, D(6), D(120), D(120), T0, True),
    ]
    there = seen(mine, Status.CANCELED, 6, "113.333333")
    book = accepted(here, {"SPY": 4}, CASH + D("679.999998"), orders=[there], fills=fills)
    rows = {
        row.cumulative_qty: (row.qty, row.price, row.realized_pnl)
        for row in book.drain()[0]
        if isinstance(row, Fill)
    }
    assert rows == {
        10: (0, 120, 0), 6: (2, D("119.999999"), D("39.999998")),
    }  # fmt: skip
    assert sums(book) == (4, 400, D("79.999998"))


@pytest.mark.parametrize("charged", ["1", "1.5"], ids=["its own", "the busted fill's, too"])
@pytest.mark.parametrize("there", [4, 2])
def test_of_busted_fills_the_fees_are_the_broker_s(there: int, charged: str) -> None:
    """4 and 6 bought for fees of 1 and 0.5, of which the broker has 4, or 2, left."""
    mine = order()
    updates = [
        replace(filled(mine, 4, "100"), fees=D(1)), replace(filled(mine, 10, "100"), fees=D("1.5")),
    ]  # fmt: skip
    fills = [
        Fill(ID, D(4), "sma", "SPY", BUY, D(4), D(100), D(-1), T0, False, D(1)),
        Fill(ID, D(10), "sma", "SPY", BUY, D(6), D(100), D("-0.5"), T0, False, D("0.5")),
    ]
    left = seen(mine, Status.CANCELED, there, fees=D(charged))
    cash = CASH - there * 100 - D(charged)
    book = accepted([mine, *updates], {"SPY": there}, cash, orders=[left], fills=fills)
    assert sums(book) == (there, there * 100, -D(charged))
    assert from_outside(book) == 0
    rows = {fill.cumulative_qty: fill for fill in fills}
    rows |= {row.cumulative_qty: row for row in book.drain()[0] if isinstance(row, Fill)}
    assert sum(row.fees for row in rows.values()) == D(charged)
    assert sum(row.realized_pnl for row in rows.values()) == -D(charged)
    assert sum(row.qty for row in rows.values()) == there


@pytest.mark.parametrize(
    ("changes", "there", "expected"),
    [
        ({"qty": D(12)}, {"SPY": 12}, {"SPY": (12, 1200, 0)}),
        ({"symbol": "IBM"}, {"IBM": 10}, {"IBM": (10, 1000, 0)}),
    ],
    ids=["qty", "symbol"],
)
def test_an_order_with_another_payload_is_taken_with_its_fills(
    changes: dict[str, Any], there: dict[str, int], expected: dict[str, Any]
) -> None:
    mine = order()
    qty = D(max(there.values()))
    book = accepted(
        [mine], there, CASH - 100 * qty,
        orders=[seen(mine, Status.FILLED, int(qty), **changes)],
    )  # fmt: skip
    assert {symbol: sums(book, symbol=symbol) for symbol in expected} == expected
    taken = book.order(ID)
    assert taken is not None
    assert (taken.status, taken.qty, taken.reason) == (
        Status.FILLED, qty, "payload taken from the broker",
    )  # fmt: skip
    assert from_outside(book) == 0


def test_an_order_of_the_other_side_closes_what_is_held() -> None:
    mine = order()
    book = accepted(
        [position(10, 80), mine], {}, CASH + 1000,
        orders=[seen(mine, Status.FILLED, 10, side=SELL)],
    )  # fmt: skip
    assert sums(book) == (0, 0, 200)
    taken = book.order(ID)
    assert taken is not None
    assert taken.reduces


def test_an_order_that_the_broker_does_not_know_ends_here() -> None:
    book = accepted([order()], {})
    ended = book.order(ID)
    assert ended is not None
    assert (ended.status, ended.updated_at, ended.reason) == (
        Status.CANCELED, NOW, "the broker does not know it",
    )  # fmt: skip


@pytest.mark.parametrize("held", [0, 4, 10])
def test_a_sale_that_is_taken_over_realizes_what_was_held(held: int) -> None:
    sold = seen(order(reduces=True), Status.FILLED, 10, "110")
    here = [position(held, 80)] if held else []
    left = {"SPY": held - 10} if held != 10 else {}
    book = accepted(here, left, CASH + 1100, orders=[sold])
    found = book.positions["sma", "SPY"]
    assert (found.qty, found.realized_pnl) == (held - 10, held * 30)
    taken = book.order(ID)
    assert taken is not None
    assert taken.reduces is bool(held)
