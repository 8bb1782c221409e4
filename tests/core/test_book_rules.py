"""The Book's rules, one at a time: prices and jumps, marks, fills, orders, blocks, targets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.bot_records import Block
from smabot.domain.calendar import Calendar, Session
from smabot.domain.order_terms import OrderType, RefusalCause, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Adjustment,
    Bar,
    EquityPoint,
    Fill,
    Mark,
    Order,
    OrderUpdate,
    Position,
    SignalState,
)
from smabot.domain.tables import record

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
CASH = Decimal(100_000)
D = Decimal


@record(table="book_rules_marks", key=("name",))
class Count:
    name: str
    count: int = 0


def minute(number: float) -> datetime:
    return T0 + number * MINUTE


def bar(number: int, close: float, symbol: str = "SPY") -> Bar:
    return Bar(symbol, minute(number), close, close, close, close, 1000.0)


def order(name: str = "a", qty: int = 10, **changes: Any) -> Order:
    side = Side.SELL if changes.get("reduces") else Side.BUY
    made = Order(
        name, "s", "SPY", side, D(qty), OrderType.MARKET, None, TimeInForce.DAY, T0, 1, False, T0,
        Status.ACCEPTED,
    )  # fmt: skip
    return replace(made, **changes)


def filled(
    name: str, qty: int, price: str, status: Status = Status.PARTIALLY_FILLED, **changes: Any
) -> OrderUpdate:
    return OrderUpdate(
        name, status, changes.pop("time", minute(1)), "b", D(qty), D(price), **changes
    )


@pytest.fixture
def book() -> Book:
    book = Book()
    book.apply(Account("1", "fake", CASH, CASH, T0))
    book.drain()
    return book


def bought(book: Book, qty: int = 10, price: str = "100", **changes: Any) -> None:
    book.apply(order("entry", qty, **changes))
    book.apply(filled("entry", qty, price, Status.FILLED))


def only(book: Book, **where: Any) -> Position:
    (position,) = book.positions.values()
    return position


def cash(book: Book) -> Decimal:
    assert book.account is not None
    return book.account.cash


# -- prices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "jumped", "worse"),
    [
        (100.0, 110.0, None, "110.0"),
        (100.0, 110.01, "100.0", "110.01"),
        (100.0, 90.0, None, "90.0"),
        (100.0, 89.99, "100.0", "100.0"),
        (100.0, 100.0, None, "100.0"),
    ],
)
def test_a_close_far_from_the_one_before_is_a_jump(
    book: Book, before: float, after: float, jumped: str | None, worse: str
) -> None:
    assert (book.price("SPY"), book.worse_price("SPY")) == (None, None)
    book.apply(bar(0, before))
    assert book.jumped_from("SPY") is None
    assert book.apply(bar(1, after))
    assert book.jumped_from("SPY") == (D(jumped) if jumped else None)
    assert book.jumped_from("IBM") is None
    assert book.price("SPY") == D(repr(after))
    assert book.worse_price("SPY") == D(worse)
    book.apply(bar(2, after))
    assert book.jumped_from("SPY") is None
    assert book.worse_price("SPY") == D(repr(after))


@pytest.mark.parametrize(("collar", "jumped"), [("0", None), ("0.5", None), ("0.4", D("100.0"))])
def test_how_far_is_a_setting(collar: str, jumped: Decimal | None) -> None:
    book = Book(collar=D(collar))
    book.apply_bars([bar(0, 100.0), bar(1, 150.0)])
    assert book.jumped_from("SPY") == jumped


def test_a_bar_that_is_not_newer_is_known(book: Book) -> None:
    assert book.apply_bars([bar(1, 100.0), bar(1, 50.0, "IBM")]) == [
        bar(1, 100.0), bar(1, 50.0, "IBM"),
    ]  # fmt: skip
    assert book.apply_bars([bar(1, 101.0), bar(0, 99.0)]) == []
    assert not book.apply(bar(1, 103.0))
    assert book.price("SPY") == 100
    assert book.drain()[1] == [bar(1, 100.0), bar(1, 50.0, "IBM")]


# -- what it is worth --------------------------------------------------------------------------------


def test_without_a_bar_what_is_held_is_worth_what_it_cost(book: Book) -> None:
    book.apply(Position("s", "SPY", D(0), D(0), D(7), D(0), T0))
    book.apply(Position("s", "IBM", D(4), D(80), D(20), D(0), T0))
    book.apply(Position("t", "SPY", D(10), D(500), D(50), D(0), T0))
    assert book.positions_value() == 580
    assert book.equity() == CASH + 580


@pytest.mark.parametrize(
    ("at", "value"), [(minute(1), 1020), (minute(1.5), 1020), (minute(1) - SECOND, 1000)]
)
def test_a_fill_after_the_last_bar_s_end_is_the_newer_price(
    book: Book, at: datetime, value: int
) -> None:
    book.apply(bar(0, 100.0))
    book.apply(order())
    book.apply(filled("a", 10, "102", Status.FILLED, filled_at=at))
    assert book.positions_value() == value
    assert book.price("SPY") == 100
    book.apply(bar(1, 101.0, "IBM"))
    assert book.positions_value() == value
    book.apply(bar(1, 101.0))
    assert book.positions_value() == 1010


def test_exposure_counts_entries_at_the_higher_price_of_a_jump(book: Book) -> None:
    book.apply(bar(0, 100.0))
    book.apply(order(qty=5))
    bought(book)
    assert book.exposure() == book.exposure("SPY") == 1500
    book.apply(bar(1, 80.0))
    assert book.exposure("SPY") == 1500
    assert book.positions_value() == 800
    book.apply(bar(2, 80.0))
    assert book.exposure() == 1200
    assert book.exposure("IBM") == 0


def test_equity_is_known_without_an_account() -> None:
    book = Book()
    bought(book)
    assert book.equity() == 1000


# -- prices that were asked for ----------------------------------------------------------------------


def asked(at: datetime, price: str = "90", symbol: str = "SPY") -> Mark:
    return Mark(symbol, D(price), at, "trade")


@pytest.mark.parametrize(
    ("at", "price"), [(minute(1), 100), (minute(1) + SECOND, 90), (minute(9), 90)]
)
def test_a_price_that_was_asked_for_counts_where_it_is_newer_than_the_bar(
    book: Book, at: datetime, price: int
) -> None:
    bought(book)
    book.apply(bar(0, 100.0))
    assert book.apply(asked(at))
    assert not book.apply(asked(at, "80"))
    assert not book.apply(asked(at - SECOND, "80"))
    assert book.price("SPY") == price
    assert book.positions_value() == price * 10
    assert book.priced_at("SPY") == max(minute(1), at)
    book.apply(bar(9, 101.0))
    assert book.price("SPY") == 101
    assert book.priced_at("SPY") == minute(10)


def test_it_is_a_price_where_there_is_no_bar_and_newer_than_a_fill(book: Book) -> None:
    assert (book.price("SPY"), book.priced_at("SPY")) == (None, None)
    bought(book, 10, "100")
    book.apply(asked(minute(2)))
    assert (book.price("SPY"), book.priced_at("SPY")) == (90, minute(2))
    assert book.positions_value() == 900
    assert [row for row in book.drain()[0] if isinstance(row, Mark)] == [asked(minute(2))]


def test_a_price_is_stale_after_five_minutes_of_its_session() -> None:
    session = Session(T0.date(), minute(10), minute(30))
    book = Book(Calendar([session]))
    book.apply(bar(0, 100.0))

    def stale(number: float) -> bool:
        return book.stale("SPY", minute(number))

    assert [stale(n) for n in (9, 14.9, 15, 29, 30, 99)] == [False, False, True, True, False, False]
    assert book.age(None, minute(12)) == 2 * MINUTE
    book.apply(bar(14, 100.0))
    assert [stale(n) for n in (19.9, 20)] == [False, True]
    assert book.age(minute(15), minute(18)) == 3 * MINUTE
    book.apply(asked(minute(18)))
    assert [stale(n) for n in (22.9, 23)] == [False, True]


def test_what_is_at_risk_is_held_or_ordered(book: Book) -> None:
    bought(book)
    book.apply(order("open", symbol="IBM"))
    book.apply(Position("s", "QQQ", D(0), D(0), D(0), D(0), T0))
    assert book.at_risk() == ["IBM", "SPY"]


# -- fills -------------------------------------------------------------------------------------------


def test_each_fill_has_its_own_shares_and_price(book: Book) -> None:
    book.apply(order())
    first = book.fill_of(filled("a", 4, "100", filled_at=minute(0.5)))
    assert first is not None
    assert (first.qty, first.price, first.cumulative_qty, first.first) == (4, 100, 4, True)
    assert first.time == minute(0.5)
    book.apply(filled("a", 4, "100"))
    second = book.fill_of(filled("a", 10, "106", time=minute(3)))
    assert second is not None
    assert (second.qty, second.price, second.cumulative_qty, second.first) == (6, 110, 10, False)
    assert (second.time, second.side, second.reduces) == (minute(3), Side.BUY, False)
    assert book.fill_of(filled("a", 4, "100")) is None
    assert book.fill_of(filled("b", 4, "100")) is None
    assert book.fill_of(OrderUpdate("a", Status.FILLED, T0, filled_qty=D(10))) is None


def test_buys_are_averaged_and_paid_for(book: Book) -> None:
    bought(book, 10, "100")
    book.apply(order("more", 30))
    book.apply(filled("more", 30, "104", Status.FILLED))
    position = only(book)
    assert (position.qty, position.cost, position.avg_price) == (40, 4120, 103)
    assert (position.realized_pnl, cash(book)) == (0, CASH - 4120)
    assert position.updated_at == minute(1)


def test_a_sale_realizes_its_part_of_the_cost(book: Book) -> None:
    bought(book, 10, "100")
    book.apply(order("exit", 10, reduces=True))
    book.apply(filled("exit", 4, "110"))
    position = only(book)
    assert (position.qty, position.cost, position.realized_pnl) == (6, 600, 40)
    assert cash(book) == CASH - 1000 + 440
    book.apply(filled("exit", 10, "107", Status.FILLED, time=minute(2)))
    position = only(book)
    assert (position.qty, position.cost, position.avg_price) == (0, 0, 0)
    assert position.realized_pnl == book.realized_pnl() == book.orders["exit"].realized_pnl == 70
    fills = [row for row in book.drain()[0] if isinstance(row, Fill) and row.reduces]
    assert [(f.qty, f.price, f.realized_pnl) for f in fills] == [(4, 110, 40), (6, 105, 30)]


def test_a_position_sold_short_is_closed_by_a_buy(book: Book) -> None:
    book.apply(Position("s", "SPY", D(-10), D(1000), D(100), D(0), T0))
    book.apply(order("cover", 10, reduces=True, side=Side.BUY))
    book.apply(filled("cover", 4, "90"))
    position = only(book)
    assert (position.qty, position.cost, position.realized_pnl) == (-6, 600, 40)
    assert cash(book) == CASH - 360
    book.apply(filled("cover", 10, "96", Status.FILLED, time=minute(2)))
    assert (only(book).qty, only(book).cost, only(book).realized_pnl) == (0, 0, 40)


def test_what_is_adjusted_is_as_traded_at_its_price(book: Book) -> None:
    bought(book, 10, "100")
    adjustment = Adjustment(minute(2), "s", "SPY", D(-4), D("90.5"), "taken")
    assert book.apply(adjustment)
    position = only(book)
    assert (position.qty, position.cost, position.realized_pnl) == (6, 600, -38)
    assert position.updated_at == minute(2)
    assert book.net("SPY") == 6
    book.apply(replace(adjustment, time=minute(3), strategy="t", qty=D(2)))
    assert (book.holding("t", "SPY"), book.net("SPY")) == (2, 8)


def test_parts_of_shares_that_come_to_others_realize_nothing(book: Book) -> None:
    book.apply(Position("s", "SPY", D("0.5"), D(50), D(100), D(0), T0))
    book.apply(Adjustment(minute(2), "s", "SPY", D("0.5"), D(120), "taken"))
    position = only(book)
    assert (position.qty, position.cost, position.realized_pnl) == (1, 110, 0)


# -- fees --------------------------------------------------------------------------------------------


def test_fees_are_paid_at_once_and_are_no_part_of_the_cost(book: Book) -> None:
    book.apply(order("entry", 10))
    book.apply(filled("entry", 4, "100", fees=D("1.00")))
    book.apply(filled("entry", 10, "100", Status.FILLED, fees=D("1.50"), time=minute(2)))
    assert (only(book).cost, only(book).avg_price, only(book).realized_pnl) == (
        1000,
        100,
        D("-1.5"),
    )
    assert cash(book) == CASH - 1000 - D("1.5")
    book.apply(order("exit", 10, reduces=True))
    book.apply(filled("exit", 4, "110", fees=D("0.07")))
    assert (only(book).qty, only(book).cost, only(book).realized_pnl) == (6, 600, D("38.43"))
    book.apply(filled("exit", 10, "107", Status.FILLED, fees=D("0.09"), time=minute(3)))
    assert (only(book).cost, only(book).realized_pnl) == (0, D("68.41"))
    assert book.equity() == CASH + D("68.41")
    fills = [row for row in book.drain()[0] if isinstance(row, Fill)]
    assert [(f.fees, f.realized_pnl) for f in fills] == [
        (D("1.00"), D("-1.00")), (D("0.50"), D("-0.50")), (D("0.07"), D("39.93")),
        (D("0.02"), D("29.98")),
    ]  # fmt: skip
    assert (book.orders["exit"].fees, book.orders["exit"].gross_pnl) == (D("0.09"), 70)


def test_fees_count_once_and_with_new_shares_only(book: Book) -> None:
    bought(book)
    again = filled("entry", 10, "100", Status.FILLED, fees=D(5))
    assert book.fill_of(again) is None
    book.apply(again)
    assert (cash(book), book.orders["entry"].fees) == (CASH - 1000, 0)
    book.apply(order("exit", 10, reduces=True))
    for update in (
        filled("exit", 10, "100", Status.FILLED, fees=D(2)),
        filled("exit", 4, "100", fees=D(1)),
    ):
        book.apply(update)
        book.apply(update)
    assert (cash(book), book.orders["exit"].fees) == (CASH - 2, 2)


def test_fills_that_are_taken_back_take_their_fees_back(book: Book) -> None:
    bought(book)
    sale = order("exit", 10, reduces=True)
    book.apply(sale)
    book.apply(filled("exit", 4, "110", fees=D("0.4")))
    before = book.orders["exit"], only(book), cash(book)
    book.apply(filled("exit", 10, "107", Status.FILLED, fees=D("0.7"), time=minute(2)))
    book.apply(before[0])
    assert (book.orders["exit"], replace(only(book), updated_at=minute(1)), cash(book)) == before
    book.apply(replace(sale, status=Status.PENDING))
    assert (only(book).qty, only(book).cost, only(book).realized_pnl) == (10, 1000, 0)
    assert cash(book) == CASH - 1000


# -- what is known of an order -----------------------------------------------------------------------


def test_news_that_are_older_than_what_is_known_change_no_status(book: Book) -> None:
    book.apply(order(status=Status.PENDING))
    assert book.apply(
        OrderUpdate("a", Status.REJECTED, minute(2), "b1", reason="no", cause=RefusalCause.WASH,
                    available=D(3))
    )  # fmt: skip
    book.apply(OrderUpdate("a", Status.ACCEPTED, minute(1), reason="yes", submitted_at=minute(1)))
    found = book.orders["a"]
    assert (found.status, found.reason, found.cause, found.available) == (
        Status.REJECTED, "no", RefusalCause.WASH, 3,
    )  # fmt: skip
    assert (found.broker_order_id, found.submitted_at) == ("b1", minute(1))
    assert found.updated_at == minute(2)


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_why_it_waits_may_change_while_it_does(book: Book, status: Status) -> None:
    book.apply(order(status=status))
    for reason in ("one", "two"):
        assert book.apply(OrderUpdate("a", status, minute(1), reason=reason))
        assert book.orders["a"].reason == reason
    assert not book.apply(OrderUpdate("a", status, minute(1), reason="two"))


def test_the_reason_of_an_accepted_order_stays(book: Book) -> None:
    book.apply(order(reason="first"))
    book.apply(OrderUpdate("a", Status.ACCEPTED, minute(1), reason="again"))
    assert book.orders["a"].reason == "first"


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (Status.CANCELED, "", "we wanted it"),
        (Status.CANCELED, "by hand", "by hand"),
        (Status.EXPIRED, "", ""),
    ],
)
def test_a_canceled_order_has_our_reason_where_the_broker_gives_none(
    book: Book, status: Status, said: str, reason: str
) -> None:
    book.apply(order(cancel_requested_at=T0, cancel_reason="we wanted it"))
    book.apply(OrderUpdate("a", status, minute(1), reason=said))
    assert book.orders["a"].reason == reason


def test_an_order_is_filled_when_all_its_shares_are(book: Book) -> None:
    book.apply(order())
    book.apply(filled("a", 9, "100", Status.PARTIALLY_FILLED))
    assert book.orders["a"].status is Status.PARTIALLY_FILLED
    assert book.open_qty("s", "SPY") == 1
    book.apply(filled("a", 10, "100", Status.PARTIALLY_FILLED))
    assert book.orders["a"].status is Status.FILLED
    assert book.open_qty("s", "SPY") == 0


def test_an_update_of_nobody_s_order_is_nothing(book: Book) -> None:
    assert not book.apply(filled("x", 10, "100", Status.FILLED))
    assert book.drain() == ([], [])


# -- which orders it keeps ---------------------------------------------------------------------------


def test_the_latest_order_of_a_holding_is_the_newest(book: Book) -> None:
    book.apply(order("1", bar_time=minute(1)))
    book.apply(OrderUpdate("1", Status.FILLED, minute(2), filled_qty=D(10), filled_avg_price=D(1)))
    book.apply(order("2", bar_time=minute(2), reduces=True))
    latest = book.latest_order("s", "SPY")
    assert latest is not None
    assert latest.client_order_id == "2"
    book.apply(order("0", bar_time=minute(0), status=Status.EXPIRED))
    assert book.latest_order("s", "SPY") == latest
    book.apply(OrderUpdate("2", Status.REJECTED, minute(3)))
    book.apply(order("3", bar_time=minute(2), attempt=2, reduces=True))
    assert book.latest_order("s", "SPY") == book.orders["3"]
    assert book.latest_order("t", "SPY") is None
    assert "2" not in book.orders


def test_of_two_orders_of_one_bar_the_later_one_is_the_latest(book: Book) -> None:
    for name in "12":
        book.apply(order(name))
        book.apply(OrderUpdate(name, Status.CANCELED, minute(1)))
    latest = book.latest_order("s", "SPY")
    assert latest is not None
    assert latest.client_order_id == "2"


def test_an_ended_order_that_is_written_again_stays_the_latest(book: Book) -> None:
    book.apply(order("1", status=Status.BLOCKED))
    book.apply(order("1", status=Status.BLOCKED, reason="why"))
    book.drain()
    assert book.latest_order("s", "SPY") == order("1", status=Status.BLOCKED, reason="why")


def test_an_order_that_was_blocked_does_not_hide_one_that_is_open(book: Book) -> None:
    book.apply(order("open", bar_time=minute(1)))
    book.apply(order("blocked", bar_time=minute(2), status=Status.BLOCKED))
    latest = book.latest_order("s", "SPY")
    assert latest is not None
    assert latest.client_order_id == "open"
    assert [o.client_order_id for o in book.open_orders()] == ["open"]
    book.drain()
    assert "blocked" not in book.orders


def test_ended_orders_are_kept_until_they_are_drained_and_the_latest_on(book: Book) -> None:
    book.apply(order("1", bar_time=minute(1)))
    book.apply(order("2", bar_time=minute(2)))
    for name in "12":
        book.apply(OrderUpdate(name, Status.CANCELED, minute(3)))
    assert set(book.orders) == {"1", "2"}
    book.drain()
    assert set(book.orders) == {"2"}
    assert book.order("1") is None


def test_cancels_that_were_asked_for_are_kept_while_the_order_is_open(book: Book) -> None:
    book.apply(order("1"))
    assert book.canceling == {}
    book.apply(order("1", cancel_requested_at=T0))
    assert set(book.canceling) == {"1"}
    book.apply(OrderUpdate("1", Status.CANCELED, minute(1)))
    assert book.canceling == {}


def test_open_shares_are_by_strategy_and_signed(book: Book) -> None:
    book.apply(order("1", 10))
    book.apply(order("2", 4, reduces=True))
    book.apply(order("3", 3, strategy="t"))
    book.apply(order("4", 2, symbol="IBM"))
    assert book.open_qty("s", "SPY") == 6
    assert book.open_qty("t", "SPY") == 3
    assert book.open_qty("s", "IBM") == 2
    assert [o.client_order_id for o in book.working("SPY")] == ["1", "2", "3"]
    assert list(book.working("QQQ")) == []


def test_orders_that_were_given_up_are_unconfirmed_for_a_week(book: Book) -> None:
    book.apply(order("1", status=Status.EXPIRED, given_up_at=T0))
    book.apply(order("2", status=Status.EXPIRED))
    book.drain()
    names = {}
    for days in (0, 7, 7.1):
        book.now = T0 + timedelta(days=days)
        names[days] = [o.client_order_id for o in book.unconfirmed()]
    assert names == {0: ["1"], 7: ["1"], 7.1: []}
    book.now = T0
    book.apply(order("1", status=Status.EXPIRED))
    assert book.unconfirmed() == []


def test_an_order_that_was_given_up_ends_as_the_broker_says(book: Book) -> None:
    book.apply(order("1", 10, status=Status.EXPIRED, given_up_at=T0, cancel_reason="too old"))
    book.apply(OrderUpdate("1", Status.CANCELED, minute(1)))
    ended = book.order("1")
    assert ended is not None
    assert (ended.status, ended.reason, ended.given_up_at) == (Status.CANCELED, "too old", None)


def test_a_copy_is_a_book_of_its_own(book: Book) -> None:
    book.now = minute(3)
    book.apply(bar(0, 100.0))
    bought(book)
    book.apply(order("open"))
    book.apply(asked(minute(2)))
    copy = book.copy()
    assert (copy.account, copy.positions) == (book.account, book.positions)
    assert (copy.now, copy.price("SPY"), copy.net("SPY")) == (minute(3), 90, 10)
    assert [o.client_order_id for o in copy.open_orders()] == ["open"]
    assert copy.order("entry") == book.order("entry")
    assert copy.drain() == ([], [])
    copy.apply(filled("open", 10, "90", Status.FILLED))
    copy.apply(bar(5, 1.0))
    assert (book.net("SPY"), book.price("SPY"), cash(book)) == (10, 90, CASH - 1000)
    assert cash(copy) == CASH - 1900


# -- blocks ------------------------------------------------------------------------------------------


def test_blocks_hold_by_scope_and_time(book: Book) -> None:
    book.now = minute(5)
    blocks = [
        Block("core", "entries", "news", T0),
        Block("a", "all", "lost", T0, minute(6)),
        Block("b", "all", "over", T0, minute(5)),
    ]
    for each in blocks:
        assert book.apply(each)
        assert not book.apply(each)
    assert [b.plugin for b in book.blocking()] == ["a", "core"]
    assert [b.plugin for b in book.blocking(reduces=True)] == ["a"]
    assert book.halted == "news"
    book.ignore_blocks_of({"a"})
    assert [b.plugin for b in book.blocking()] == ["core"]
    book.apply(replace(blocks[0], until=minute(9)))
    assert book.halted == ""
    assert [row for row in book.drain()[0] if row.plugin == "b"] == [blocks[2]]


def test_reasons_come_in_the_same_order_after_a_restart(book: Book) -> None:
    for plugin in ("risk.b", "core", "risk.a"):
        book.apply(Block(plugin, "entries", "x", T0))
    restored = Book()
    restored.now = book.now
    restored.restore(list(book.blocks.values())[::-1])
    names = [b.plugin for b in book.blocking()]
    assert names == [b.plugin for b in restored.blocking()] == ["core", "risk.a", "risk.b"]


# -- targets that are not what is held -----------------------------------------------------------------


def wants(target: int, **changes: Any) -> SignalState:
    return replace(SignalState("s", "SPY", "X", target, T0), **changes)


@pytest.mark.parametrize(
    ("records", "unsettled"),
    [
        ([wants(1)], False),
        ([wants(0)], False),
        ([wants(1, missed=True)], True),
        ([wants(0, missed=True)], True),
        ([wants(0), Position("s", "SPY", D(1), D(1), D(1), D(0), T0)], True),
        ([wants(0), Position("t", "SPY", D(1), D(1), D(1), D(0), T0)], False),
        ([wants(0), order()], True),
        ([wants(0), order(status=Status.CANCELED)], False),
        ([wants(1), order()], False),
    ],
)
def test_what_is_unsettled(book: Book, records: list[Any], unsettled: bool) -> None:
    for each in (records, records[::-1]):
        book = Book()
        for one in each:
            book.apply(one)
        assert dict(book.unsettled()) == ({"SPY": {"s": records[0]}} if unsettled else {})
        open_order = any(isinstance(one, Order) and not one.status.terminal for one in each)
        assert book.at_rest is not (unsettled or open_order)


def test_one_that_settles_leaves_the_others(book: Book) -> None:
    for strategy in "st":
        book.apply(Position(strategy, "SPY", D(1), D(1), D(1), D(0), T0))
        book.apply(wants(0, strategy=strategy))
    book.apply(Position("s", "SPY", D(0), D(0), D(0), D(0), T0))
    assert set(book.unsettled()["SPY"]) == {"t"}
    assert not book.at_rest


# -- rows --------------------------------------------------------------------------------------------


def test_declared_rows_are_kept_by_key_and_written_once(book: Book) -> None:
    assert book.apply(Count("a", 1))
    assert not book.apply(Count("a", 1))
    assert book.apply(Count("b"))
    assert book.apply(Count("a", 2))
    assert (book.row(Count, "a"), book.row(Count, "x")) == (Count("a", 2), None)
    assert sorted(book.table(Count), key=lambda mark: mark.name) == [Count("a", 2), Count("b")]
    assert book.table(Fill) == []
    assert sorted(book.drain()[0], key=lambda mark: mark.name) == [Count("a", 2), Count("b")]


def test_while_bars_are_replayed_rows_and_blocks_stay_as_they_are(book: Book) -> None:
    with book.replaying():
        assert not book.apply(Count("a"))
        assert not book.apply(Block("a", "all", "x", T0))
        assert book.apply(bar(0, 1.0))
    with suppress(ZeroDivisionError), book.replaying():
        raise ZeroDivisionError
    assert (book.table(Count), book.blocks) == ([], {})
    assert book.apply(Count("a"))
    assert book.apply(Block("a", "all", "x", T0))


def test_what_is_restored_is_not_written_again(book: Book) -> None:
    book.restore([Count("a"), order(), wants(1), bar(0, 1.0)])
    assert book.drain() == ([], [])
    assert (book.row(Count, "a"), book.price("SPY")) == (Count("a"), 1)


def test_an_account_that_is_known_changes_nothing(book: Book) -> None:
    account = book.account
    assert account is not None
    assert not book.apply(account)
    assert book.apply(replace(account, cash=D(5)))
    assert [row.cash for row in book.drain()[0]] == [5]


def test_a_point_of_equity_is_never_older_than_the_last(book: Book) -> None:
    point = EquityPoint(minute(2), D(2), D(1), D(1), D(0))
    assert book.apply(point)
    assert not book.apply(point)
    assert not book.apply(replace(point, time=minute(1)))
    assert book.apply(replace(point, equity=D(3)))
    assert book.point is not None
    assert book.point.equity == 3


def test_changes_of_orders_and_positions_are_counted_and_those_of_what_is_wanted(
    book: Book,
) -> None:
    def count(record: Any) -> tuple[int, int]:
        changes, stances = book.changes, book.stances
        book.apply(record)
        return book.changes - changes, book.stances - stances

    assert count(order()) == (1, 0)
    assert count(Position("s", "SPY", D(1), D(1), D(1), D(0), T0)) == (1, 0)
    assert count(wants(0)) == (0, 1)
    assert count(Block("a", "all", "x", T0)) == (0, 1)
    assert count(Count("a")) == (0, 0)
    assert count(wants(0)) == (0, 0)


def test_shares_of_sums_of_fractions_read_as_after_a_restart(book: Book) -> None:
    """An order's checks say how many are held: zeros at the end would tell a killed bot from another one."""
    for number, (qty, held) in enumerate(
        [("10.5", "10.5"), ("-0.5", "10"), ("90", "100"), ("-100", "0")]
    ):
        book.apply(Adjustment(minute(number), "s", "SPY", D(qty), D(100), "taken"))
        assert (str(book.holding("s", "SPY")), str(book.net("SPY"))) == (held, held)
