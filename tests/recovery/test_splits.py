"""A split over night: shares, prices and windows follow, no signal comes of it, and nothing is sold before the broker follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from smabot.api import Bar, Event, Order, Position, Session, Signal, hookimpl
from smabot.domain.calendar import MINUTE
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Adjustment, EquityPoint
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import BrokerError
from smabot.testing import bars, sessions
from smabot.testing.fake_exchange import FakeExchange

pytestmark = pytest.mark.plugins

D = Decimal
EX = date(2026, 3, 3)
DAYS = sessions(3, minutes=40)
HOUR = timedelta(hours=1)
OPENS = timedelta(hours=9, minutes=30)
"""From the midnight that begins a date to the session's open."""


class Averages:
    """Long while the last close is above the mean of the last eight."""

    def __init__(self) -> None:
        self.closes: dict[str, list[float]] = {}

    @hookimpl
    def lookback(self) -> int:
        return 8

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        closes = self.closes.setdefault(bar.symbol, [])
        closes.append(bar.close)
        del closes[:-8]
        if len(closes) < 8:
            return None
        above = bar.close > sum(closes) / 8
        return Signal.long(bar) if above else Signal.flat(bar)


def market(ratio: float = 1.0, seed: int = 6, days: Sequence[Session] = DAYS) -> list[Bar]:
    """Sessions of SPY and KO; SPY's prices are divided from the ex-date on."""
    chance, made = Random(seed), []
    prices = {"SPY": 100.0, "KO": 50.0}
    for day in days:
        for symbol in prices:
            closes = []
            for minute in range((day.close - day.open) // MINUTE):
                prices[symbol] += chance.uniform(-0.7, 0.7) + 0.1 * (minute > 34)
                divided = ratio if symbol == "SPY" and day.date >= EX else 1.0
                closes.append(round(prices[symbol] / divided, 6))
            made += bars(symbol, closes, start=day.open)
    return made


def split(new: int, old: int = 1) -> CorporateAction:
    return CorporateAction("1", "SPY", ActionKind.SPLIT, EX, D(new), D(old))


def a_bot(
    bot: Callable[..., Any],
    new: int = 2,
    old: int = 1,
    days: Sequence[Session] = DAYS,
    **given: Any,
) -> Any:
    return bot(
        [Averages, "reconciliation"], market(new / old, days=days), {"symbols": ("KO", "SPY"), **given.pop("settings", {})},
        sessions=days, actions=[split(new, old)], **given,
    )  # fmt: skip


def signals(bot: Any, symbol: str = "SPY") -> list[tuple[Any, int, bool]]:
    return [(s.bar_time, s.target, s.missed) for s in bot.rows(Signal) if s.symbol == symbol]


def events(bot: Any, *kinds: str) -> list[tuple[str, str]]:
    return [(e.kind, e.subject) for e in bot.rows(Event) if not kinds or e.kind in kinds]


def held(bot: Any, symbol: str = "SPY") -> Decimal:
    return sum((p.qty for p in bot.rows(Position) if p.symbol == symbol), D(0))


@pytest.fixture
def plain(bot: Callable[..., Any]) -> Any:
    """The same days without a split."""
    return bot([Averages, "reconciliation"], market(), sessions=DAYS).run()


def test_there_is_something_held_over_night(bot: Callable[..., Any]) -> None:
    assert held(bot([Averages], market(), sessions=DAYS).run(40)) > 0


@pytest.mark.parametrize(("new", "old"), [(2, 1), (1, 10), (3, 2)])
def test_signals_shares_and_equity_are_those_without_a_split(
    bot: Callable[..., Any], plain: Any, new: int, old: int
) -> None:
    traded = a_bot(bot, new, old, settings={"sizing": {"method": "shares", "shares": 20}}).run()
    alone = bot(
        [Averages, "reconciliation"], market(), {"sizing": {"method": "shares", "shares": 20}}, sessions=DAYS
    ).run()  # fmt: skip
    assert signals(traded) == signals(alone)
    assert signals(traded, "KO") == signals(alone, "KO")
    (adjusted,) = traded.rows(Adjustment)
    assert adjusted.qty == 20 * (D(new) / D(old) - 1)
    curve, other = traded.rows(EquityPoint), alone.rows(EquityPoint)
    night = [p for p in curve if p.time <= DAYS[1].open + 2 * HOUR / 60]
    for point, same in zip(night, other, strict=False):
        assert abs(point.equity - same.equity) < 1
    assert events(traded, "split_announced", "split", "split_followed") == [
        ("split_announced", "SPY"), ("split", "SPY"), ("split_followed", "SPY"),
    ]  # fmt: skip


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize(
    ("new", "old", "late"), [(2, 1, timedelta(0)), (1, 10, OPENS + HOUR / 12), (3, 2, -8 * HOUR)]
)
def test_killed_everywhere_the_tables_are_the_same(
    bot: Callable[..., Any], new: int, old: int, late: Any
) -> None:
    short = sessions(2, minutes=16)
    report = a_bot(bot, new, old, short, follows_after=late).kill_everywhere(150)
    assert report.kills > 100


def test_nothing_is_traded_before_the_broker_follows(bot: Callable[..., Any]) -> None:
    late = OPENS + timedelta(minutes=20)
    traded = a_bot(bot, follows_after=late).run()
    follows = DAYS[1].open + timedelta(minutes=20)
    orders = [o for o in traded.rows(Order) if o.symbol == "SPY"]
    assert not [o for o in orders if DAYS[1].open <= o.created_at < follows]
    assert [o for o in orders if o.created_at >= follows]
    assert ("split_awaited", "SPY") in events(traded)
    assert [e.time for e in traded.rows(Event) if e.kind == "split_awaited"] == [
        DAYS[1].open + timedelta(minutes=5)
    ]
    missed = [time for time, _, missed in signals(traded) if missed]
    assert missed
    assert all(DAYS[1].open <= time < follows + timedelta(minutes=1) for time in missed)
    others = [o for o in traded.rows(Order) if o.symbol == "KO"]
    assert [o for o in others if DAYS[1].open <= o.created_at < follows]


def test_a_broker_that_never_follows_is_a_conflict_after_a_week(bot: Callable[..., Any]) -> None:
    """Nothing could be sold for good, and no comparison would tell. Until then each session says so."""
    days = sessions(8, minutes=40)
    traded = a_bot(bot, days=days, follows_after=timedelta(days=30))
    with pytest.raises(ReconciliationConflict, match="position_mismatch"):
        traded.run()
    assert traded.exchange.now() == days[6].open + MINUTE
    late = [o for o in traded.rows(Order) if o.symbol == "SPY" and o.created_at >= DAYS[1].open]
    assert not late
    told = [e.time for e in traded.rows(Event) if e.kind == "split_awaited"]
    assert told == [day.open + 5 * MINUTE for day in days[1:6]]
    traded.kill()
    traded.accept()
    assert held(traded) == 10
    traded.run()
    assert [o for o in traded.rows(Order) if o.symbol == "SPY" and o.created_at >= days[6].open]


def test_a_fraction_is_paid_in_cash(bot: Callable[..., Any]) -> None:
    sized = {"sizing": {"method": "shares", "shares": 15}}
    traded = a_bot(bot, 3, 2, settings=sized).run(60)
    assert held(traded) == 22
    rows = traded.rows(Adjustment)
    assert [(row.qty, bool(row.price)) for row in rows] == [(D("7.5"), False), (D("-0.5"), True)]
    night = [p.equity for p in traded.rows(EquityPoint)][38:42]
    assert max(night) - min(night) < 60


def test_down_over_the_night_is_as_awake(bot: Callable[..., Any]) -> None:
    awake, down = a_bot(bot).run(), a_bot(bot)
    down.run(40)
    down.kill()
    down.run()
    assert signals(down) == signals(awake)
    assert held(down) == held(awake)


def test_a_split_that_is_not_known_is_a_conflict(bot: Callable[..., Any]) -> None:
    traded = bot([Averages, "reconciliation"], market(2.0), sessions=DAYS).run(40)
    traded.kill()
    traded.exchange.split(split(2))
    with pytest.raises(ReconciliationConflict, match="position_mismatch"):
        traded.run()


@pytest.mark.parametrize(
    ("new", "old", "shares"), [(1, 3, 20), (2, 3, 20), (1, 7, 20), (5, 3, 7), (1, 10, 7)]
)
def test_rounded_shares_are_no_conflict(
    bot: Callable[..., Any], new: int, old: int, shares: int
) -> None:
    """A third of 20 shares three times is not 20."""
    sized = {"sizing": {"method": "shares", "shares": shares}}
    late = OPENS + timedelta(minutes=5)
    traded = a_bot(bot, new, old, settings=sized, follows_after=late).run(40)
    assert held(traded) == shares
    while traded.exchange.now() < DAYS[1].open + HOUR / 12:
        traded.run(1)
        assert held(traded) == split(new, old).new_qty(D(shares))
    traded.run(3)
    assert ("split_followed", "SPY") in events(traded)
    (paid,) = [row for row in traded.rows(Adjustment) if row.price]
    assert split(new, old).new_qty(D(shares)) + paid.qty == shares * new // old


def test_two_splits_that_the_broker_follows_late_are_both_awaited(bot: Callable[..., Any]) -> None:
    """A fraction goes once."""
    later = CorporateAction("2", "SPY", ActionKind.SPLIT, DAYS[2].date, D(3), D(2))
    made = [
        bar._replace(**{name: getattr(bar, name) / 1.5 for name in ("open", "high", "low", "close")})
        if bar.symbol == "SPY" and bar.time >= DAYS[2].open else bar
        for bar in market(1 / 3)
    ]  # fmt: skip
    traded = bot(
        [Averages, "reconciliation"], made,
        {"symbols": ("KO", "SPY"), "sizing": {"method": "shares", "shares": 15}},
        sessions=DAYS, actions=[split(1, 3), later], follows_after=-8 * HOUR,
    )  # fmt: skip
    traded.run(40)
    traded.kill()
    while traded.exchange.now() < DAYS[2].open + HOUR / 12:
        assert traded.exchange.next(0)
    traded.start()
    assert sum(row.qty for row in traded.rows(Adjustment)) == 7 - 15
    assert [e for e, _ in events(traded, "split_followed")] == ["split_followed"] * 2


def test_a_split_that_is_withdrawn_is_not_followed(bot: Callable[..., Any]) -> None:
    traded = bot(
        [Averages, "reconciliation"], market(), {"symbols": ("KO", "SPY")}, sessions=DAYS, actions=[split(2)]
    ).run(40)  # fmt: skip
    before = held(traded)
    traded.exchange.announce()
    traded.kill()
    traded.run(5)
    assert held(traded) == before > 0
    assert events(traded, "split", "split_withdrawn") == [("split_withdrawn", "SPY")]
    assert not traded.session.book.splits.open()


def test_a_split_that_is_postponed_under_another_id_is_followed_once(
    bot: Callable[..., Any],
) -> None:
    """Announced again after it was withdrawn, it counts again."""
    first, other = split(2), replace(split(2), action_id="2", ex_date=DAYS[2].date)
    made = [
        bar if bar.time < DAYS[2].open or bar.symbol != "SPY"
        else bar._replace(**{name: getattr(bar, name) / 2 for name in ("open", "high", "low", "close")})
        for bar in market()
    ]  # fmt: skip
    traded = bot(
        [Averages, "reconciliation"], made, {"symbols": ("KO", "SPY")}, sessions=DAYS, actions=[first]
    )  # fmt: skip
    for announced in ((other,), (first,), (other,)):
        traded.run(13)
        traded.kill()
        traded.exchange.announce(*announced)
    traded.run()
    (adjusted,) = traded.rows(Adjustment)
    assert adjusted.time == other.effective_at
    assert [each for each, _ in events(traded, "split")] == ["split"]


def test_what_a_restart_learns_is_kept(
    bot: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's list can't be read at the next start."""
    traded = a_bot(bot)
    traded.exchange.announce()
    traded.run(20)
    traded.kill()
    traded.exchange.announce(split(2))
    traded.run(20)
    traded.kill()
    assert events(traded, "split_announced") == [("split_announced", "SPY")]

    def unreadable(*asked: object) -> list[CorporateAction]:
        raise BrokerError("500")

    monkeypatch.setattr(FakeExchange, "corporate_actions", unreadable)
    traded.run()
    assert ("actions_unread", "") in events(traded)
    assert events(traded, "split", "split_followed") == [
        ("split", "SPY"),
        ("split_followed", "SPY"),
    ]
