"""The comparison alone: what it makes of a book and a broker's answers, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import Account, Order, Position
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition
from smabot.hooks.recovery_answers import Reconciliation
from smabot.settings.model import Config

comparison = pytest.importorskip("smabot_reconciliation.conflict_table")

T0 = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
NOW = T0 + timedelta(hours=1)
D = Decimal
CASH = D(10_000)
ID = "smabot-sma-SPY-20260302T1430Z-1"


def order(status: Status = Status.ACCEPTED, **changes: Any) -> Order:
    made = Order(
        ID, "sma", "SPY", Side.BUY, D(10), OrderType.MARKET, None, TimeInForce.DAY, T0, 1, False, T0,
        status,
    )  # fmt: skip
    return replace(made, **changes)


def seen(
    here: Order | None = None, status: Status = Status.ACCEPTED, filled: int = 0, **changes: Any
) -> BrokerOrder:
    """An order at the broker: the one given, or the usual one."""
    of = here or order()
    made = BrokerOrder(
        of.client_order_id, "b", of.symbol, of.side, of.qty, of.type, of.limit_price,
        of.time_in_force, status, D(filled), D(100) if filled else None, T0, NOW,
    )  # fmt: skip
    return replace(made, **changes)


def position(qty: int, strategy: str = "sma", symbol: str = "SPY") -> Position:
    return Position(strategy, symbol, D(qty), D(qty * 100), D(100), D(0), T0)


def compared(
    here: Sequence[Any] = (),
    there: Sequence[BrokerOrder] = (),
    shares: Mapping[str, int] | None = None,
    *,
    cash: Decimal = CASH,
    account: str = "1",
    bound: bool = True,
    symbols: Sequence[str] = ("SPY",),
    **settings: Any,
) -> Reconciliation:
    """Compare a book of these records with what a broker tells."""
    book = Book()
    if bound:
        book.apply(Account("1", "broker", CASH, CASH, T0))
    for record in here:
        book.apply(record)
    view = comparison.BrokerSnapshot(
        account=BrokerAccount(account, cash, cash, cash),
        orders={each.client_order_id: each for each in there},
        positions={s: BrokerPosition(s, D(q), D(90)) for s, q in (shares or {}).items()},
    )
    found: Reconciliation = comparison.compare_book(
        Config(**settings), book, view, symbols, NOW, lambda order: ()
    )
    return found


def kinds(found: Reconciliation) -> list[tuple[str, str]]:
    return [(conflict.kind, conflict.what) for conflict in found.conflicts]


def news(found: Reconciliation) -> list[tuple[str, Status, Decimal]]:
    return [(u.client_order_id, u.status, u.filled_qty) for u in found.updates]


# -- accounts --------------------------------------------------------------------------------------


def test_another_account_is_the_only_conflict_told() -> None:
    found = compared([position(10)], [seen()], account="2")
    assert kinds(found) == [("account_mismatch", "account")]
    (conflict,) = found.conflicts
    assert (conflict.here, conflict.there) == ("broker 1", "2")
    assert found.updates == ()


def test_a_book_that_is_bound_to_no_account_is_compared_all_the_same() -> None:
    found = compared([position(10)], [seen()], {"SPY": 4}, bound=False)
    assert kinds(found) == [("unknown_locally", ID), ("position_mismatch", "SPY")]
    assert found.remedy == ()


# -- orders that are open here -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN, Status.ACCEPTED])
def test_the_broker_s_news_of_an_open_order_is_an_update(status: Status) -> None:
    there = [seen(status=Status.CANCELED, filled=4)]
    found = compared([order(status)], there, {"SPY": 4}, cash=CASH - 400)
    assert kinds(found) == []
    assert news(found) == [(ID, Status.CANCELED, D(4))]
    assert found.notes == (f"{ID} is canceled",)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.PENDING, []),
        (Status.UNKNOWN, []),
        (Status.SUBMITTED, [("unknown_at_broker", ID)]),
        (Status.ACCEPTED, [("unknown_at_broker", ID)]),
        (Status.PARTIALLY_FILLED, [("unknown_at_broker", ID)]),
    ],
)
def test_only_an_acknowledged_order_must_be_there(
    status: Status, expected: list[tuple[str, str]]
) -> None:
    found = compared([order(status)])
    assert kinds(found) == expected
    assert found.updates == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"symbol": "IBM"},
        {"side": Side.SELL},
        {"qty": D(11)},
        {"type": OrderType.LIMIT, "limit_price": D("99.50")},
        {"time_in_force": TimeInForce.GTC},
    ],
    ids=str,
)
def test_another_payload_under_an_id_is_a_conflict(changes: dict[str, Any]) -> None:
    found = compared([order()], [seen(**changes)])
    assert kinds(found) == [("payload_mismatch", ID)]
    assert found.updates == ()
    (conflict,) = found.conflicts
    assert conflict.here == "buy 10 SPY market"
    if "limit_price" in changes:
        assert conflict.there == "buy 10 SPY limit at 99.50"


@pytest.mark.parametrize(("there", "conflict"), [(3, True), (4, False), (5, False)])
def test_fewer_fills_there_than_here_are_a_conflict(there: int, conflict: bool) -> None:
    mine = order(Status.PARTIALLY_FILLED, filled_qty=D(4), filled_avg_price=D(100))
    found = compared([position(4), mine], [seen(filled=there)], {"SPY": there})
    assert kinds(found) == ([("overfilled_locally", ID)] if conflict else [])
    assert bool(found.updates) != conflict


# -- orders that have ended here ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (order(Status.ABANDONED), seen(status=Status.FILLED, filled=10), "update"),
        (order(Status.ABANDONED), seen(status=Status.CANCELED, filled=2), "update"),
        (order(Status.ABANDONED), seen(status=Status.CANCELED), "nothing"),
        (order(Status.ABANDONED), seen(filled=2), "unknown_locally"),
        (order(Status.ABANDONED), seen(), "unknown_locally"),
        (order(Status.CANCELED), seen(), "unknown_locally"),
        (order(Status.CANCELED), seen(status=Status.CANCELED), "nothing"),
        (order(Status.CANCELED, given_up_at=T0), seen(), "nothing"),
        (order(Status.CANCELED, given_up_at=T0), seen(filled=2), "filled_after_its_end"),
        (
            order(Status.EXPIRED, given_up_at=T0, filled_qty=D(2), filled_avg_price=D(100)),
            seen(status=Status.CANCELED, filled=2),
            "update",
        ),
    ],
    ids=lambda value: str(value.status) if not isinstance(value, str) else value,
)
def test_an_order_that_has_ended_here(here: Order, there: BrokerOrder, expected: str) -> None:
    filled = int(there.filled_qty)
    held = [position(int(here.filled_qty))] if here.filled_qty else []
    found = compared([*held, here], [there], {"SPY": filled})
    assert [kind for kind, _ in kinds(found)] == (
        [expected] if expected not in ("update", "nothing") else []
    )
    assert bool(found.updates) == (expected == "update")


def test_a_late_fill_is_counted_where_the_order_in_its_place_ended_without_one() -> None:
    ended = order(Status.EXPIRED, given_up_at=NOW)
    in_its_place = order(client_order_id=ID.replace("-1", "-2"), bar_time=NOW)
    there = [
        seen(ended, Status.FILLED, 10, filled_at=T0),
        seen(in_its_place, Status.CANCELED),
    ]
    found = compared([in_its_place, ended], there, {"SPY": 10}, cash=CASH - 1000)
    assert kinds(found) == []
    assert news(found) == [
        (in_its_place.client_order_id, Status.CANCELED, D(0)),
        (ID, Status.FILLED, D(10)),
    ]


def test_a_late_fill_under_another_payload_is_not_taken() -> None:
    found = compared([order(Status.ABANDONED)], [seen(status=Status.FILLED, filled=10, qty=D(20))])
    assert found.updates == ()


# -- orders that are not known here ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (seen(), "unknown_locally"),
        (seen(status=Status.CANCELED, filled=1), "unknown_locally"),
        (seen(status=Status.CANCELED), ""),
        (seen(client_order_id="hand-1"), "foreign_activity"),
        (seen(client_order_id="smabot2-sma-SPY-1-1"), "foreign_activity"),
        (seen(client_order_id="hand-1", status=Status.CANCELED), ""),
        (seen(client_order_id="hand-1", symbol="IBM"), ""),
    ],
    ids=["ours", "filled", "ended", "a hand's", "another bot's", "a hand's, ended", "not traded"],
)
@pytest.mark.parametrize("foreign", ["conflict", "ignore"])
def test_an_order_that_is_not_known_here(there: BrokerOrder, expected: str, foreign: str) -> None:
    found = compared([], [there], {"SPY": int(there.filled_qty)}, foreign=foreign)
    if expected == "foreign_activity" and foreign == "ignore":
        expected = ""
    assert [kind for kind, _ in kinds(found)] == ([expected] if expected else [])
    if expected == "unknown_locally":
        assert (found.conflicts[0].here, found.conflicts[0].what) == ("never written", ID)


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        (ID, "sma"),
        ("smabot-a.b-SPY-20260302T1430Z-12", "a.b"),
        ("smabot-x-1-2", ""),
        ("smabot-x", ""),
    ],
)
def test_an_order_that_is_taken_over_is_its_strategy_s(name: str, strategy: str) -> None:
    sold = seen(
        client_order_id=name, status=Status.FILLED, filled=3, qty=D(3), side=Side.SELL
    )  # fmt: skip
    holder = position(3, strategy)
    found = compared([holder], [sold], {})
    (conflict,) = found.conflicts
    taken, update = conflict.remedy
    assert (taken.strategy, taken.side, taken.reduces, taken.bar_time) == (
        strategy,
        Side.SELL,
        True,
        T0,
    )
    assert update.filled_qty == 3


# -- positions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("here", "there", "conflict", "ignoring"),
    [
        (0, 0, False, False),
        (0, 5, True, False),
        (0, -5, True, True),
        (10, 10, False, False),
        (10, 0, True, True),
        (10, 9, True, True),
        (10, 11, True, False),
        (10, -10, True, True),
        (-10, -11, True, False),
        (-10, -9, True, True),
        (-10, 1, True, True),
    ],
)
def test_shares_that_differ(here: int, there: int, conflict: bool, ignoring: bool) -> None:
    """Beside ours others may hold more; never less, and never shares sold short where we hold none."""
    held = [position(here)] if here else []
    shares = {"SPY": there} if there else {}
    kind = "position_mismatch" if here else "foreign_activity"
    for foreign, expected in (("conflict", conflict), ("ignore", ignoring)):
        found = compared(held, [], shares, foreign=foreign)
        assert kinds(found) == ([(kind, "SPY")] if expected else []), foreign
        if expected:
            assert (found.conflicts[0].here, found.conflicts[0].there) == (
                f"{here} shares", f"{there} shares",
            )  # fmt: skip


def test_a_symbol_that_is_not_traded_counts_while_it_is_held() -> None:
    shares = {"IBM": 7, "QQQ": 1}
    assert kinds(compared([position(0, symbol="IBM")], [], shares)) == []
    assert kinds(compared([position(5, symbol="IBM")], [], shares)) == [
        ("position_mismatch", "IBM")
    ]


def test_strategies_hold_their_shares_together() -> None:
    held = [position(10, "a"), position(5, "b"), position(3, "a", "IBM")]
    assert kinds(compared(held, [], {"SPY": 15, "IBM": 3})) == []
    assert kinds(compared(held, [], {"SPY": 14, "IBM": 3})) == [("position_mismatch", "SPY")]


def test_positions_are_compared_with_all_news_applied() -> None:
    bought = order(Status.PARTIALLY_FILLED, filled_qty=D(4), filled_avg_price=D(100))
    sold = order(client_order_id=ID.replace("-1", "-2"), side=Side.SELL, qty=D(4), reduces=True)
    there = [seen(filled=9), seen(sold, Status.FILLED, 4)]
    found = compared([position(4), bought, sold], there, {"SPY": 5})
    assert kinds(found) == []
    assert kinds(compared([position(4), bought, sold], there, {"SPY": 13})) == [
        ("position_mismatch", "SPY")
    ]


@pytest.mark.parametrize("side", list(Side))
def test_shares_of_an_order_to_be_taken_over_are_no_second_conflict(side: Side) -> None:
    there = seen(status=Status.FILLED, filled=10, side=side)
    held = [] if side is Side.BUY else [position(10)]
    found = compared(held, [there], {"SPY": 10} if side is Side.BUY else {})
    assert kinds(found) == [("unknown_locally", ID)]


def test_shares_of_an_order_that_filled_after_its_end_are_no_second_conflict() -> None:
    ended = order(
        Status.EXPIRED, given_up_at=T0, filled_qty=D(2), filled_avg_price=D(100)
    )  # fmt: skip
    found = compared([position(2), ended], [seen(filled=6)], {"SPY": 6})
    assert kinds(found) == [("filled_after_its_end", ID)]
    conflict = found.conflicts[0]
    assert (conflict.here, conflict.there) == (
        "ended by the bot with 2 filled",
        "accepted, filled 6",
    )


@pytest.mark.parametrize(
    ("here", "there", "hint"),
    [
        (10, 20, "2-for-1 split?"),
        (10, 15, "3-for-2 split?"),
        (10, 500, "50-for-1 split?"),
        (20, 10, "reverse split 2?"),
        (100, 10, "reverse split 10?"),
        (50, 1, "reverse split 50?"),
        (3, 2, "reverse split 3/2?"),
        (100, 1, ""),
        (1, 100, ""),
        (10, 13, ""),
        (13, 10, ""),
        (10, 0, ""),
        (10, -20, ""),
        (-10, -20, ""),
    ],
)
def test_a_split_is_guessed_by_the_ratio(here: int, there: int, hint: str) -> None:
    (conflict,) = compared([position(here)], [], {"SPY": there}).conflicts
    assert conflict.resolve.endswith(hint)
    assert ("split" in conflict.resolve) == bool(hint)


# -- whose shares change -----------------------------------------------------------------------------


def adjusted(here: Sequence[Position], there: int) -> dict[str, int]:
    """Return how many shares of each strategy an acceptance changes."""
    (conflict,) = compared(here, [], {"SPY": there} if there else {}).conflicts
    book = Book()
    for record in (*here, *conflict.remedy):
        book.apply(record)
    assert book.net("SPY") == there
    before = {each.strategy: each.qty for each in here}
    after = {p.strategy: p.qty for p in book.positions.values()}
    return {
        who: int(qty - before.get(who, 0))
        for who, qty in after.items()
        if qty != before.get(who, 0)
    }


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ({"a": 10}, 0, {"a": -10}),
        ({"a": 10}, 6, {"a": -4}),
        ({"a": 10}, 14, {"a": 4}),
        ({"a": 10, "b": 5}, 12, {"a": -3}),
        ({"a": 10, "b": 5}, 2, {"a": -10, "b": -3}),
        ({"a": 10, "b": 5}, 0, {"a": -10, "b": -5}),
        ({"a": 10, "b": 5}, 18, {"": 3}),
        ({"a": 10, "b": 0}, 12, {"a": 2}),
        ({"a": 10}, -2, {"a": -10, "": -2}),
        ({}, 4, {"": 4}),
        ({}, -4, {"": -4}),
    ],
    ids=str,
)
def test_what_is_gone_is_its_holders_and_what_is_new_nobody_s(
    here: dict[str, int], there: int, expected: dict[str, int]
) -> None:
    assert adjusted([position(qty, who) for who, qty in here.items()], there) == expected


# -- notes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "more"), [(5, 0), (6, 1), (8, 3)])
def test_the_first_five_orders_that_moved_on_are_named(count: int, more: int) -> None:
    mine = [order(client_order_id=f"smabot-sma-SPY-{n}-1") for n in range(count + 1)]
    there = [seen(each, Status.CANCELED) for each in mine[:-1]] + [seen(mine[-1])]
    notes = list(compared(mine, there).notes)
    assert notes[:5] == [f"smabot-sma-SPY-{n}-1 is canceled" for n in range(5)]
    assert notes[5:] == ([f"and {more} more orders moved on"] if more else [])


def test_a_fill_alone_is_news() -> None:
    mine = order(Status.PARTIALLY_FILLED, filled_qty=D(4), filled_avg_price=D(100))
    there = seen(status=Status.PARTIALLY_FILLED, filled=6)
    found = compared([position(4), mine], [there], {"SPY": 6}, cash=CASH - 200)
    assert found.notes == (f"{ID} is partially_filled",)


@pytest.mark.parametrize(
    ("cash", "note"),
    [
        (D("9000.00"), ""),
        (D("9000.009"), ""),
        (D("9000.01"), "0.01"),
        (D("8999.99"), "-0.01"),
        (D("10234.50"), "1,234.50"),
    ],
    ids=str,
)
def test_cash_that_the_fills_do_not_explain_is_told(cash: Decimal, note: str) -> None:
    found = compared([order()], [seen(status=Status.FILLED, filled=10)], {"SPY": 10}, cash=cash)
    told = [text for text in found.notes if "cash" in text]
    assert [text.split(":")[0] for text in told] == (
        [f"cash differs by {note} (deposits, fees, dividends?)"] if note else []
    )


# -- splits, and orders that took another one's place --------------------------------------------------


def a_split(*, applied: bool, new: int = 2, old: int = 1, days: int = 0) -> CorporateAction:
    ex_date = NOW.date() + timedelta(days=days)
    at = NOW if applied else None
    return CorporateAction("1", "SPY", ActionKind.SPLIT, ex_date, D(new), D(old), applied_at=at)


@pytest.mark.parametrize(
    ("here", "applied", "days", "there", "conflicts", "followed"),
    [
        (10, False, 0, 10, 0, 0),  # nobody has followed
        (10, False, 0, 20, 0, 0),  # the broker has, the book is to
        (20, True, 0, 10, 0, 0),  # the book has, the broker is to
        (20, True, 0, 20, 0, 2),  # both have
        (20, True, 0, 15, 1, 0),
        (10, False, 0, 5, 1, 0),
        (10, False, 3, 20, 1, 0),  # its day is far
    ],
)
def test_the_shares_of_either_side_of_a_split_are_no_conflict(
    here: int, applied: bool, days: int, there: int, conflicts: int, followed: int
) -> None:
    rows = [a_split(applied=applied, days=days), position(here)]
    found = compared(rows, shares={"SPY": there})
    assert (len(found.conflicts), len(found.followed)) == (conflicts, followed)


@pytest.mark.parametrize(
    ("there", "days", "conflicts", "followed"),
    [
        (30, 0, 0, 0),  # who followed? the account held others' shares before
        (15, 0, 0, 0),
        (9, 0, 1, 0),  # fewer than the half are ours
        (30, -1, 0, 2),  # its session is over
        (15, -8, 1, 0),  # nobody follows
    ],
)
def test_a_split_in_an_account_that_others_use_too_is_over_with_its_session(
    there: int, days: int, conflicts: int, followed: int
) -> None:
    rows = [a_split(applied=True, days=days), position(20)]
    found = compared(rows, shares={"SPY": there}, foreign="ignore")
    assert (len(found.conflicts), len(found.followed)) == (conflicts, followed)


def test_an_order_in_the_shares_of_a_split_is_ours_and_brings_no_fill() -> None:
    limit = order(type=OrderType.LIMIT, limit_price=D(90), time_in_force=TimeInForce.GTC)
    split_there = seen(limit, qty=D(20), limit_price=D(45))
    found = compared([a_split(applied=True), limit], [split_there])
    assert (kinds(found), news(found)) == ([], [(ID, Status.ACCEPTED, D(0))])
    found = compared([limit], [split_there])
    assert kinds(found) == [("payload_mismatch", ID)]
    filled = replace(split_there, filled_qty=D(4), filled_avg_price=D(45))
    found = compared([a_split(applied=True), limit], [filled], {"SPY": 4})
    assert kinds(found) == [("payload_mismatch", ID)]


def test_an_order_that_took_ours_place_is_ours_with_its_own_successors() -> None:
    first = order(broker_order_id="b1")
    ended = seen(first, Status.CANCELED, broker_order_id="b1")
    second = seen(client_order_id="x", broker_order_id="b2", replaces="b1", status=Status.CANCELED)
    third = seen(client_order_id="y", broker_order_id="b3", replaces="b2", qty=D(7))
    found = compared([first], [ended, second, third])
    assert kinds(found) == []
    orders = [row for row in found.followed if isinstance(row, Order)]
    assert [(o.client_order_id, o.strategy, o.qty, o.reduces) for o in orders] == [
        ("x", "sma", D(10), False), ("y", "sma", D(7), False),
    ]  # fmt: skip
    stranger = replace(third, replaces="of somebody else")
    assert kinds(compared([first], [ended, stranger])) == [("foreign_activity", "order y")]
