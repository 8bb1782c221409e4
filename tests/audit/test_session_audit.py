"""The audit of each session: once, after its close, over kills, and with an event either way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest

from smabot.api import Bar, Signal, hookimpl
from smabot.domain.bot_records import Event
from smabot.domain.cash_movements import CashKind
from smabot.hooks.account_activities import CashActivity
from smabot.testing import Bot
from smabot.testing.fake_activities import CashMove
from smabot.testing.sample_records import bars, sessions

pytestmark = pytest.mark.plugins
SESSIONS = sessions(2, minutes=20)
MINUTE = timedelta(minutes=1)


class Turns:
    """Buys and sells, some minutes each."""

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        minute = bar.time.minute % 10
        return Signal.long(bar) if minute == 3 else Signal.flat(bar) if minute == 7 else None


def made_bars() -> list[Bar]:
    prices = [100 + (i * 7) % 5 for i in range(20)]
    return [bar for session in SESSIONS for bar in bars("SPY", prices, start=session.open)]


def bot(*moves: CashMove, **settings: object) -> Bot:
    return Bot(
        [Turns, "reconciliation"],
        made_bars(),
        {"audit": True, **settings},
        sessions=SESSIONS,
        cash_moves=moves,
    )


def told(of: Bot) -> Sequence[tuple[str, str]]:
    """The audits' events, with the sessions that they are of."""
    found = [each for each in of.rows(Event) if each.kind.startswith("audit_")]
    return [(each.kind, each.subject) for each in found]


DAYS = [session.date.isoformat() for session in SESSIONS]


def test_each_session_is_audited_at_its_close() -> None:
    ran = bot().run()
    assert told(ran) == [("audit_agreed", day) for day in DAYS]
    events = [each for each in ran.rows(Event) if each.kind == "audit_agreed"]
    assert [each.time for each in events] == [session.close for session in SESSIONS]
    assert all("4 orders, 4 executions" in each.text for each in events)


def test_a_kill_anywhere_leaves_one_audit_of_each_session() -> None:
    watched = bot()
    for boundary in range(1, 260, 13):
        assert told(watched.kill_at(boundary).run()) == [("audit_agreed", day) for day in DAYS]


def test_cash_that_nothing_explains_is_a_grave_difference() -> None:
    lost = CashActivity("1::x", CashKind.FEE, Decimal(-5), date(2026, 3, 2))
    never = CashMove(SESSIONS[0].open + 5 * MINUTE, lost, SESSIONS[1].close + MINUTE)
    ran = bot(never).run()
    assert told(ran) == [("audit_differs", day) for day in DAYS]
    assert all(each.grave for each in ran.rows(Event) if each.kind == "audit_differs")


def test_a_movement_is_booked_before_the_audit() -> None:
    paid = CashActivity("1::x", CashKind.DIVIDEND, Decimal(5), date(2026, 3, 2), "SPY")
    ran = bot(CashMove(SESSIONS[0].close - MINUTE, paid)).run()
    assert told(ran) == [("audit_agreed", day) for day in DAYS]


def test_it_can_be_switched_off() -> None:
    assert told(bot(audit=False).run()) == []
