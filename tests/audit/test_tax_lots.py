"""Lots, first in, first out: each share is closed once, and nothing of cost, proceeds and fees is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.book import Book
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.order_terms import Side
from smabot.domain.records import Adjustment, Fill, Position
from smabot.domain.tax_lots import closed_lots
from smabot.engine.following_actions import follow_action

D = Decimal
T0 = datetime(2026, 3, 2, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def fill(number: int, qty: int, price: str, fees: str = "0", symbol: str = "SPY") -> Fill:
    """A fill of signed shares, a day after the one before."""
    side = Side.BUY if qty > 0 else Side.SELL
    shares = D(abs(qty))
    return Fill(
        f"o{number}", shares, "sma", symbol, side, shares, D(price), D(0), T0 + number * DAY, False, D(fees)
    )  # fmt: skip


def test_the_oldest_shares_are_sold_first_with_their_part_of_the_fees() -> None:
    lots, held = closed_lots(
        [fill(0, 10, "100", "1"), fill(1, 10, "110"), fill(2, -15, "120", "3"), fill(40, -2, "90")]
    )
    assert [
        (x.qty, x.cost_basis, x.proceeds, x.fees, x.gain, x.holding_days, x.opening_order)
        for x in lots
    ] == [
        (10, 1001, 1198, 3, 197, 2, "o0"),
        (5, 550, 599, 1, 49, 1, "o1"),
        (2, 220, 180, 0, -40, 39, "o1"),
    ]
    assert held == {"SPY": D(3)}


def test_a_short_position_is_bought_after_it_was_sold() -> None:
    ((lot,), held) = closed_lots([fill(0, -10, "100"), fill(3, 10, "90")])
    assert (lot.side, lot.gain, lot.sold_at, lot.acquired_at) == ("short", 100, T0, T0 + 3 * DAY)
    assert held == {}


def test_a_split_changes_the_shares_of_a_lot_and_not_its_cost_or_date() -> None:
    split = Adjustment(T0 + DAY, "sma", "SPY", D(10), D(0), "split")
    ((lot,), held) = closed_lots([fill(0, 10, "100"), fill(2, -20, "55")], [split])
    assert (lot.qty, lot.cost_basis, lot.proceeds, lot.holding_days) == (20, 1000, 1100, 2)
    assert held == {}


TRADES = st.lists(
    st.tuples(
        st.integers(-20, 20).filter(bool),
        st.decimals(1, 200, places=2),
        st.decimals(0, 3, places=2),
    ),
    max_size=25,
)


@given(TRADES)
def test_once_all_is_closed_the_gains_are_the_cash(
    trades: list[tuple[int, Decimal, Decimal]],
) -> None:
    fills = [fill(n, qty, str(price), str(fees)) for n, (qty, price, fees) in enumerate(trades)]
    held = sum((f.qty * f.side.sign for f in fills), D(0))
    if held:
        fills.append(fill(len(fills), int(-held), "50"))
    lots, left = closed_lots(fills)
    assert left == {}
    cash = sum((-f.qty * f.side.sign * f.price - f.fees for f in fills), D(0))
    assert abs(sum((lot.gain for lot in lots), D(0)) - cash) <= D("0.0001")
    assert sum((lot.fees for lot in lots), D(0)) == sum((f.fees for f in fills), D(0))
    assert all(lot.qty > 0 for lot in lots)


def test_a_change_of_name_closes_no_lot_and_keeps_cost_and_dates() -> None:
    book = Book()
    book.apply(Position("sma", "FB", D(15), D("1550"), D("103.333333"), D(0), T0 + DAY))
    book.apply(Position("dip", "FB", D(5), D("550"), D("110"), D(0), T0 + DAY))
    book.now = T0 + 3 * DAY
    book.drain()
    action = CorporateAction("1", "FB", ActionKind.RENAME, book.now.date(), new_symbol="META")
    follow_action(book, action)
    changes = [row for row in book.drain()[0] if isinstance(row, Adjustment)]
    assert len(changes) == 4
    changes.sort(key=lambda row: (row.time, row.strategy, row.symbol), reverse=True)
    fills = [
        fill(0, 10, "100", "1", "FB"), fill(1, 10, "110", "0", "FB"), fill(9, -20, "120", "0", "META"),
    ]  # fmt: skip
    lots, held = closed_lots(fills[:2], changes)
    assert (lots, held) == ([], {"META": 20})
    lots, held = closed_lots(fills, changes)
    assert held == {}
    assert [(x.symbol, x.qty, x.cost_basis, x.gain, x.holding_days, x.opening_order) for x in lots] == [
        ("META", 10, 1001, 199, 9, "o0"),
        ("META", 5, 550, 50, 8, "o1"),  # a part by strategy
        ("META", 5, 550, 50, 8, "o1"),
    ]  # fmt: skip
