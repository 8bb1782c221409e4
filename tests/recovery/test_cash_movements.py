"""Cash that moves without a trade: explained by the broker's activities, each counted once over kills."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.bot_records import Event
from smabot.domain.cash_movements import CashKind, CashMovement
from smabot.domain.records import Account, Adjustment, Bar, EquityPoint
from smabot.hooks.account_activities import CashActivity, cash_kind
from smabot.hooks.ports import BrokerAccount
from smabot.testing import Bot
from smabot.testing.fake_activities import CashMove
from smabot.testing.sample_records import bars as sample_bars

pytestmark = pytest.mark.plugins
D = Decimal
DAY = date(2026, 3, 2)
CASH = D(100_000)


def activity(name: str, kind: CashKind, amount: str, symbol: str = "") -> CashActivity:
    return CashActivity(name, kind, D(amount), DAY, symbol, f"about {name}")


def made_bars(count: int = 90) -> list[Bar]:
    return list(sample_bars("SPY", [100 + (i % 7) - (i % 3) for i in range(count)]))


BARS = made_bars()
START = BARS[0].time


def after(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


DIVIDEND = CashMove(after(10), activity("2::div", CashKind.DIVIDEND, "12.50", "SPY"))
DEPOSIT = CashMove(after(25), activity("3::csd", CashKind.DEPOSIT, "1000"), after(48))
FEE = CashMove(after(40), activity("1::fee", CashKind.FEE, "-0.37"))
JOURNAL = CashMove(after(55), activity("4::jnl", CashKind.JOURNAL, "-200"), after(56))


def bot(*moves: CashMove, plugins: Iterable[Any] = ("reconciliation",), **settings: Any) -> Bot:
    return Bot(plugins, BARS, {"reconcile_every_minutes": 5, **settings}, cash_moves=moves)


def account(of: Bot) -> Account:
    (row,) = of.rows(Account)
    return row


def test_a_movement_is_booked_while_the_bot_runs_and_only_dividends_and_fees_are_profit() -> None:
    ran = bot(DIVIDEND, DEPOSIT, FEE, JOURNAL).run()
    rows = {row.activity_id: row for row in ran.rows(CashMovement)}
    assert [(r.kind, r.amount, r.symbol, r.booked_on, r.counted) for r in rows.values()] == [
        (CashKind.FEE, D("-0.37"), "", DAY, True),
        (CashKind.DIVIDEND, D("12.50"), "SPY", DAY, True),
        (CashKind.DEPOSIT, D(1000), "", DAY, True),
        (CashKind.JOURNAL, D(-200), "", DAY, True),
    ]
    assert rows["3::csd"].seen_at >= after(48) > rows["2::div"].seen_at
    assert account(ran).cash == CASH + D("812.13") == ran.exchange.account().cash
    assert account(ran).cash - account(ran).opening_cash == D("12.13")
    assert not ran.rows(Adjustment)
    told = [event for event in ran.rows(Event) if event.kind == "cash_moved"]
    assert sorted(event.subject for event in told) == ["FAKE", "FAKE", "FAKE", "SPY"]
    points = {point.time: point.equity for point in ran.rows(EquityPoint)}
    assert points[max(points)] == CASH + D("812.13")


def test_each_movement_counts_once_wherever_the_bot_is_killed() -> None:
    watched = bot(DIVIDEND, DEPOSIT, FEE, JOURNAL)
    for boundary in range(1, 340, 4):
        ended = watched.kill_at(boundary).run()
        moved = {row.activity_id: row.amount for row in ended.rows(CashMovement)}
        assert moved == {"2::div": D("12.5"), "3::csd": 1000, "1::fee": D("-0.37"), "4::jnl": -200}
        assert account(ended).cash == ended.exchange.account().cash, boundary
        assert account(ended).cash - account(ended).opening_cash == D("12.13"), boundary


def test_what_moved_before_the_first_start_is_in_its_cash_and_is_not_counted() -> None:
    early = CashMove(START, activity("0::csd", CashKind.DEPOSIT, "500"), START - timedelta(days=1))
    ran = bot(early, DIVIDEND).run()
    counted = {row.activity_id: row.counted for row in ran.rows(CashMovement)}
    assert counted == {"0::csd": False, "2::div": True}
    assert account(ran).cash == CASH + D("12.5")


def test_a_movement_that_is_dated_far_ahead_hides_no_other_one() -> None:
    ahead = CashActivity("0::int", CashKind.INTEREST, D(3), DAY + timedelta(days=90))
    ran = bot(CashMove(after(5), ahead), DIVIDEND, FEE).run()
    assert {row.activity_id for row in ran.rows(CashMovement)} == {"0::int", "2::div", "1::fee"}


# -- what was adopted before its activity came ---------------------------------------------------


def compared(cash: str, moved: Iterable[CashMovement] = (), unexplained: str = "0") -> Any:
    comparison = pytest.importorskip("smabot_reconciliation.conflict_table")
    from smabot.domain.book import Book
    from smabot.settings.model import Config

    book = Book()
    book.apply(Account("1", "broker", CASH, CASH, START))
    there = BrokerAccount("1", D(cash), D(cash), D(cash))
    view = comparison.BrokerSnapshot(there, {}, {}, movements=tuple(moved))
    return comparison.compare_book(
        Config(), book, view, ("SPY",), START, lambda order: (), unexplained=lambda: D(unexplained)
    )


def movement(
    amount: str, kind: CashKind = CashKind.DIVIDEND, *, counted: bool = True
) -> CashMovement:
    return CashMovement("9::x", kind, D(amount), "", DAY, "", START, counted)


@pytest.mark.parametrize(
    ("cash", "amount", "adopted", "booked", "left"),
    [
        ("100012.50", "12.50", "0", [D("12.50")], []),  # explained
        ("100012.50", "10", "0", [D(10)], [D("2.50")]),  # in part
        ("100000", "12.50", "12.50", [D("12.50"), D("-12.50")], []),  # adopted before
        ("100000", "12.50", "40", [D("12.50"), D("-12.50")], []),  # among other cash
        ("100000", "12.50", "0", [D("12.50")], [D("-12.50")]),  # the cash comes later
        ("100000", "12.50", "-12.50", [D("12.50")], [D("-12.50")]),  # the wrong way round
        ("100020", None, "0", [], [D(20)]),  # no activity
    ],
)
def test_what_activities_do_not_explain_stays_for_the_operator(
    cash: str, amount: str | None, adopted: str, booked: list[Decimal], left: list[Decimal]
) -> None:
    found = compared(cash, [movement(amount)] if amount else [], adopted)
    assert [getattr(row, "amount", None) or row.cash for row in found.booked] == booked
    assert [row.cash for row in found.remedy] == left
    assert not found.conflicts


def test_the_codes_of_activities_have_kinds() -> None:
    kinds = {
        code: cash_kind(code).value for code in ("DIVNRA", "INTTW", "CFEE", "ACATC", "CSW", "X")
    }
    assert kinds == {
        "DIVNRA": "dividend", "INTTW": "interest", "CFEE": "fee", "ACATC": "journal", "CSW": "withdrawal",
        "X": "other",
    }  # fmt: skip
