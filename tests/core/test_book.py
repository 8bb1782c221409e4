"""The Book is a fold: any order, repetition and subset of an order's updates gives one state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.book import Book
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import (
    Account,
    Bar,
    Fill,
    Mark,
    Order,
    OrderUpdate,
    Position,
    SignalState,
)

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CASH = Decimal(100_000)


def make_book() -> Book:
    book = Book()
    book.apply(Account("A1", "exchange", CASH, CASH, T0))
    book.drain()
    return book


def make_order(name: str, side: Side, qty: int, *, reduces: bool = False, minute: int = 0) -> Order:
    time = T0 + timedelta(minutes=minute)
    return Order(
        name, "sma", "SPY", side, Decimal(qty), OrderType.MARKET, None, TimeInForce.DAY,
        time, 1, reduces, time,
    )  # fmt: skip


def fees_for(shares: Decimal) -> Decimal:
    """Half a cent a share, a dollar at least: as an order fills, its fees grow by nothing at first."""
    return max(shares * Decimal("0.005"), Decimal(1)) if shares else Decimal(0)


def updates_of(
    name: str,
    fills: list[tuple[int, Decimal]],
    ending: Status,
    qty: int,
    start: int = 0,
    fees: Callable[[Decimal], Decimal] = lambda shares: Decimal(0),
) -> list[OrderUpdate]:
    """The broker's views of one order as its fills come in: cumulative quantity, price and fees."""
    time = T0 + timedelta(minutes=start)
    views = [OrderUpdate(name, Status.ACCEPTED, time, "b-" + name, submitted_at=time)]
    done, paid = Decimal(0), Decimal(0)
    for number, (shares, price) in enumerate(fills, 1):
        done, paid = done + shares, paid + shares * price
        status = Status.FILLED if done == qty else Status.PARTIALLY_FILLED
        when = time + timedelta(minutes=number)
        views.append(
            OrderUpdate(
                name, status, when, "b-" + name, done, paid / done, time, filled_at=when,
                fees=fees(done),
            )
        )  # fmt: skip
    if done < qty:
        last = views[-1]
        when = last.time + timedelta(minutes=1)
        views.append(
            OrderUpdate(
                name,
                ending,
                when,
                "b-" + name,
                done,
                last.filled_avg_price,
                time,
                "day over",
                last.filled_at,
                fees=fees(done),
            )
        )
    return views


prices = st.integers(100, 100_000).map(lambda cents: Decimal(cents) / 100)
fill_lists = st.lists(st.tuples(st.integers(1, 40), prices), min_size=0, max_size=6)
fee_schedules = st.sampled_from([fees_for, lambda shares: Decimal(0)])


@st.composite
def shuffled(draw: st.DrawFn, updates: list[OrderUpdate]) -> list[OrderUpdate]:
    """Some of the updates, in any order, any of them repeated, the last one always there."""
    some = draw(st.lists(st.sampled_from(updates), max_size=10))
    return draw(st.permutations([*some, updates[-1]]))


@given(
    data=st.data(), buys=fill_lists.filter(bool), sells=fill_lists, rest=st.integers(0, 5),
    fees=fee_schedules,
)  # fmt: skip
def test_any_subset_and_order_of_updates_gives_the_same_state(
    data: st.DataObject,
    buys: list[tuple[int, Decimal]],
    sells: list[tuple[int, Decimal]],
    rest: int,
    fees: Callable[[Decimal], Decimal],
) -> None:
    bought = sum(shares for shares, _ in buys)
    sold = sum(shares for shares, _ in sells)
    if sold > bought:
        sells = []
    entry = updates_of("buy", buys, Status.CANCELED, bought + rest, fees=fees)
    selling = max(min(sold + rest, bought), 1)
    leaving = updates_of("sell", sells, Status.EXPIRED, selling, start=20, fees=fees)

    def play(first: list[OrderUpdate], second: list[OrderUpdate]) -> Book:
        book = make_book()
        book.apply(make_order("buy", Side.BUY, bought + rest))
        for update in first:
            book.apply(update)
        book.apply(make_order("sell", Side.SELL, selling, reduces=True, minute=20))
        for update in second:
            book.apply(update)
        return book

    whole = play(entry, leaving)
    some = play(data.draw(shuffled(entry)), data.draw(shuffled(leaving)))
    assert some.orders == whole.orders
    assert some.positions == whole.positions
    assert some.account == whole.account
    assert some.realized_pnl() == whole.realized_pnl()
    charged = fees(Decimal(bought)) + fees(Decimal(sum(shares for shares, _ in sells)))
    for book in (some, whole):
        fills = [row for row in book.drain()[0] if isinstance(row, Fill)]
        assert sum(fill.fees for fill in fills) == charged
        assert sum(fill.realized_pnl for fill in fills) == book.realized_pnl()


@given(
    trades=st.lists(st.tuples(st.integers(1, 50), prices, prices, st.integers(1, 50)), max_size=8),
    fees=fee_schedules,
)
def test_cash_and_pnl_add_up(
    trades: list[tuple[int, Decimal, Decimal, int]], fees: Callable[[Decimal], Decimal]
) -> None:
    """Cash in plus the cost of what is held is the opening cash plus the P&L realized."""
    book = make_book()
    held = Decimal(0)
    spent = Decimal(0)
    for number, (buy, low, high, sell) in enumerate(trades):
        book.apply(make_order(f"b{number}", Side.BUY, buy, minute=2 * number))
        for update in updates_of(
            f"b{number}", [(buy, low)], Status.CANCELED, buy, 2 * number, fees
        ):
            book.apply(update)
        held, spent = held + buy, spent + buy * low + fees(Decimal(buy))
        selling = min(Decimal(sell), held)
        name = f"s{number}"
        book.apply(make_order(name, Side.SELL, int(selling), reduces=True, minute=2 * number + 1))
        for update in updates_of(
            name, [(int(selling), high)], Status.CANCELED, int(selling), 2 * number + 1, fees
        ):
            book.apply(update)
        held, spent = held - selling, spent - selling * high + fees(selling)
    assert book.account is not None
    assert book.account.cash == CASH - spent
    assert book.net("SPY") == held
    cost = sum((p.cost for p in book.positions.values()), Decimal(0))
    assert book.account.cash + cost == CASH + book.realized_pnl()
    rows, _ = book.drain()
    realized = sum((row.realized_pnl for row in rows if isinstance(row, Fill)), Decimal(0))
    assert realized == book.realized_pnl()


def test_a_known_record_changes_nothing() -> None:
    book = make_book()
    bar = Bar("SPY", T0, 500.0, 501.0, 499.0, 500.5, 1000.0)
    order = make_order("buy", Side.BUY, 10)
    update = OrderUpdate("buy", Status.FILLED, T0, "b", Decimal(10), Decimal("500.25"), T0)
    state = SignalState("sma", "SPY", "BUY", 1, T0)
    for record in (bar, order, update, state):
        assert book.apply(record)
    book.drain()
    for record in (bar, update, state):
        assert not book.apply(record)
    assert book.drain() == ([], [])


def test_a_terminal_order_stays_so() -> None:
    book = make_book()
    book.apply(make_order("buy", Side.BUY, 10))
    book.apply(OrderUpdate("buy", Status.CANCELED, T0, "b", Decimal(3), Decimal(100)))
    assert not book.apply(OrderUpdate("buy", Status.ACCEPTED, T0, "b"))
    late = OrderUpdate("buy", Status.PARTIALLY_FILLED, T0, "b", Decimal(4), Decimal(100))
    assert book.apply(late), "a fill that comes late still counts"
    order = book.order("buy")
    assert order is not None
    assert (order.status, order.filled_qty) == (Status.CANCELED, Decimal(4))


def test_an_order_keeps_the_time_of_its_end() -> None:
    book = make_book()
    book.apply(make_order("buy", Side.BUY, 10))
    book.apply(OrderUpdate("buy", Status.REJECTED, T0, "b"))
    for status in (Status.REJECTED, Status.ACCEPTED):
        assert not book.apply(OrderUpdate("buy", status, T0 + timedelta(minutes=1), "b"))
    order = book.order("buy")
    assert order is not None
    assert order.updated_at == T0


def test_an_ended_order_is_found_again_in_the_journal() -> None:
    journal: dict[str, Order] = {}
    book = Book(find_order=journal.get)
    book.apply(Account("A1", "exchange", CASH, CASH, T0))
    for number in range(3):
        name = f"o{number}"
        book.apply(make_order(name, Side.BUY, 1, minute=number))
        book.apply(OrderUpdate(name, Status.FILLED, T0, "b", Decimal(1), Decimal(100)))
        journal.update({row.client_order_id: row for row in book.drain()[0] if type(row) is Order})
    assert len(book.orders) < 3, "ended orders don't pile up in memory"
    cash = book.account.cash if book.account else None
    assert not book.apply(OrderUpdate("o0", Status.FILLED, T0, "b", Decimal(1), Decimal(100)))
    assert book.account is not None
    assert book.account.cash == cash


def test_exposure_and_value_follow_prices_orders_and_fills() -> None:
    book = make_book()
    book.apply(Bar("SPY", T0, 100.0, 100.0, 100.0, 100.0, 1.0))
    book.apply(make_order("buy", Side.BUY, 10))
    assert book.exposure("SPY") == 1000
    assert book.positions_value() == 0
    book.apply(OrderUpdate("buy", Status.PARTIALLY_FILLED, T0, "b", Decimal(4), Decimal(100)))
    assert book.exposure() == 1000
    assert book.positions_value() == 400
    book.apply(Bar("SPY", T0 + timedelta(minutes=1), 110.0, 110.5, 110.0, 110.5, 1.0))
    assert book.exposure() == Decimal("1105.0")
    assert book.positions_value() == Decimal("442.0")
    book.apply(OrderUpdate("buy", Status.CANCELED, T0, "b", Decimal(4), Decimal(100)))
    assert book.exposure() == Decimal("442.0")
    assert book.equity() == CASH - 400 + Decimal("442.0")


def test_rows_are_drained_once_and_as_they_are_now() -> None:
    book = make_book()
    book.apply(make_order("buy", Side.BUY, 10))
    book.apply(OrderUpdate("buy", Status.FILLED, T0, "b", Decimal(10), Decimal(100)))
    rows, _ = book.drain()
    orders = [row for row in rows if isinstance(row, Order)]
    assert [order.status for order in orders] == [Status.FILLED]
    assert sum(isinstance(row, Position) for row in rows) == 1
    assert book.drain() == ([], [])


@pytest.mark.parametrize("target", [0, 1])
def test_unsettled_names_targets_that_are_not_held(target: int) -> None:
    book = make_book()
    book.apply(make_order("buy", Side.BUY, 10))
    book.apply(OrderUpdate("buy", Status.FILLED, T0, "b", Decimal(10), Decimal(100)))
    book.apply(SignalState("sma", "SPY", "X", target, T0))
    assert ("SPY" in book.unsettled()) == (target == 0)
    if target == 0:
        book.apply(make_order("sell", Side.SELL, 10, reduces=True, minute=1))
        book.apply(OrderUpdate("sell", Status.FILLED, T0, "b", Decimal(10), Decimal(101)))
        assert not book.unsettled()


def test_of_the_prices_asked_for_a_symbol_the_newest_counts() -> None:
    book = make_book()
    newest = Mark("SPY", Decimal("101.25"), T0 + timedelta(minutes=2), "trade")
    assert book.apply(newest)
    assert not book.apply(newest)
    assert not book.apply(Mark("SPY", Decimal("101.50"), T0 + timedelta(minutes=1), "position"))
    assert book.apply(Mark("QQQ", Decimal("5"), T0, "position"))
    assert book.marks["SPY"] == newest
    rows, _ = book.drain()
    assert rows == [newest, book.marks["QQQ"]]
