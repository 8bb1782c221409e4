"""A symbol gets another name: what is held goes on under it, at its cost, and nothing is won or lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.api import Bar, Event, Position, Signal, hookimpl
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.records import EquityPoint
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.testing import bars, sessions

DAYS = sessions(2, minutes=10)
RENAMED = CorporateAction("1", "FB", ActionKind.RENAME, date(2026, 3, 3), new_symbol="META")


class Buys:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        return Signal.long(bar) if bar.symbol == "FB" else None


def test_what_is_held_has_the_new_name(bot: Callable[..., Any]) -> None:
    market = [
        *bars("FB", [100.0 + n for n in range(10)], start=DAYS[0].open),
        *bars("KO", [50.0] * 10, start=DAYS[0].open),
        *bars("KO", [50.0] * 10, start=DAYS[1].open),
    ]
    traded = bot([Buys], market, sessions=DAYS, actions=[RENAMED]).run()
    held = {p.symbol: (p.qty, p.cost, p.realized_pnl) for p in traded.rows(Position)}
    assert held["FB"][0] == 0
    assert held["META"][0] == 10
    assert held["META"][1] > 0
    assert {realized for _, _, realized in held.values()} == {Decimal(0)}
    renamed = [e for e in traded.rows(Event) if e.kind == "renamed"]
    assert [(e.subject, e.grave) for e in renamed] == [("FB", True)]
    before = [
        p for p in traded.rows(EquityPoint) if p.time <= DAYS[0].close + timedelta(minutes=1)
    ][-1]
    after = traded.rows(EquityPoint)[-1]
    assert after.cash == before.cash


HOUR = timedelta(hours=1)


@pytest.mark.plugins
@pytest.mark.parametrize("late", [-4 * HOUR, timedelta(0), 9.5 * HOUR, 9.6 * HOUR], ids=str)
@pytest.mark.parametrize("down", [False, True])
def test_a_broker_may_rename_early_or_late(
    bot: Callable[..., Any], late: timedelta, down: bool
) -> None:
    market = [
        *bars("FB", [100.0 + n for n in range(10)], start=DAYS[0].open),
        *bars("META", [110.0] * 10, start=DAYS[1].open),
        *bars("KO", [50.0] * 10, start=DAYS[0].open),
        *bars("KO", [50.0] * 10, start=DAYS[1].open),
    ]
    traded = bot(
        [Buys, "reconciliation"], market, sessions=DAYS, actions=[RENAMED], follows_after=late
    ).run(10)
    if down:
        traded.kill()
    traded.run()
    held = {p.symbol: p.qty for p in traded.rows(Position)}
    assert held == {"FB": 0, "META": 10}
    (known,) = traded.rows(CorporateAction)
    assert known.confirmed_at is not None
    report = traded.again().kill_everywhere(60)
    assert report.kills > 20


@pytest.mark.plugins
def test_a_broker_that_never_renames_is_a_conflict_after_a_week(
    bot: Callable[..., Any],
) -> None:
    days = sessions(8, minutes=10)
    market = [
        *bars("FB", [100.0 + n for n in range(10)], start=days[0].open),
        *(bar for day in days[1:] for bar in bars("KO", [50.0] * 10, start=day.open)),
    ]
    traded = bot(
        [Buys, "reconciliation"], market, sessions=days, actions=[RENAMED], follows_after=999 * HOUR
    )
    with pytest.raises(ReconciliationConflict, match="position_mismatch"):
        traded.run()
    assert days[5].open < traded.exchange.now() < days[6].close
