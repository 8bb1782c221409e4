"""A bot that was stopped, killed or restarted decides what one that ran through decides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.records import Bar, Order, Signal
from smabot.domain.tables import record
from smabot.hooks.recovery_answers import Recovery, RecoveryStep
from smabot.hooks.specifications import hookimpl

LONG, FLAT = 1, 0
FLAT_SPY = {"SPY": [100.0] * 40}


def statuses(world: Any) -> dict[str, str]:
    return {order.strategy: order.status.value for order in world.rows(Order)}


# -- what strategies have seen ---------------------------------------------------------------------


@record(table="minutes_seen", key=("symbol",))
class MinutesSeen:
    symbol: str
    count: int = 0


class Counter:
    """Counts bars in a declared record, and goes long at the 18th."""

    @hookimpl
    def records(self) -> Sequence[type]:
        return [MinutesSeen]

    @hookimpl
    def lookback(self) -> int:
        return 5

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        seen = book.row(MinutesSeen, bar.symbol) or MinutesSeen(bar.symbol)
        book.apply(MinutesSeen(bar.symbol, seen.count + 1))
        return Signal.long(bar) if seen.count + 1 == 18 else None


@pytest.mark.parametrize("runs", [[], [10], [3, 1, 9]], ids=str)
def test_warming_up_leaves_declared_records_alone(make_world: Any, runs: list[int]) -> None:
    world = make_world({"SPY": [100.0] * 20})
    world.strategies = {"counter": Counter()}
    for minutes in [*runs, None]:
        world.play(minutes)
    assert world.ask("SELECT symbol, count FROM minutes_seen") == [("SPY", 20)]
    assert [order.client_order_id for order in world.rows(Order)] == [
        "smabot-counter-SPY-20260302T1447Z-1"
    ]


def test_a_first_minute_that_was_not_committed_is_met_again(make_world: Any) -> None:
    """Also where no strategy has a lookback."""
    world = make_world({"SPY": [100.0] * 10})
    world.follow(s={("SPY", 0): LONG})
    world.killed_at("journal", "commit", when=lambda rows, bars=(): bool(bars))
    world.play()
    assert world.ask("SELECT count(*) FROM bars") == [(10,)]
    assert statuses(world) == {"s": "filled"}


def test_a_symbol_that_was_left_out_for_a_run_lacks_no_minute(make_world: Any) -> None:
    waves = {
        symbol: [round(price + 3 * math.sin(minute / turn), 2) for minute in range(60)]
        for symbol, price, turn in (("SPY", 100, 4), ("IBM", 50, 5))
    }
    signals = []
    lives: dict[str, list[tuple[int | None, dict[str, Any]]]] = {
        "whole": [(None, {})],
        "parted": [(20, {}), (20, {"symbols": ("SPY",)}), (None, {})],
    }
    for name, runs in lives.items():
        world = make_world(
            waves, name=name, plugins=("sma",), plugin={"sma": {"fast": 2, "slow": 5}}
        )
        for minutes, settings in runs:
            world.play(minutes, **settings)
        assert world.ask("SELECT symbol, count(*) FROM bars GROUP BY symbol") == [
            ("IBM", 60), ("SPY", 60),
        ]  # fmt: skip
        signals.append([(s.symbol, s.target, s.bar_time) for s in world.rows(Signal)])
    assert len(signals[0]) > 6
    assert sorted(signals[0]) == sorted(signals[1])


def test_plugins_look_at_what_was_restored_before_any_bar_at_every_start(make_world: Any) -> None:
    class Looker:
        def __init__(self) -> None:
            self.events: list[str] = []

        @hookimpl
        def lookback(self) -> int:
            return 3

        @hookimpl
        def on_startup_recover(self, recovery: Recovery) -> RecoveryStep | None:
            self.events.append("recover")
            return None

        @hookimpl
        def on_bar(self, bar: Bar) -> Signal | None:
            self.events.append("bar")
            return None

    world = make_world(FLAT_SPY)
    for _ in range(2):
        looker = Looker()
        world.strategies = {"looker": looker}
        world.play(5)
        assert looker.events[0] == "recover"
        assert "bar" in looker.events


# -- the order of orders ---------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
def test_the_entry_that_meets_too_little_buying_power_is_the_same(
    make_world: Any, killed: bool
) -> None:
    cash_account = {"exchange": {"multiplier": 1}}
    world = make_world(
        FLAT_SPY, sizing={"method": "notional", "notional": 60_000}, plugin=cash_account
    )
    world.follow(alpha={("SPY", 2): LONG}, zeta={("SPY", 2): LONG})
    if killed:
        world.killed_before_sending()
    world.play(8)
    assert statuses(world) == {"alpha": "filled", "zeta": "rejected"}


@pytest.mark.parametrize("killed", [False, True])
def test_refusals_are_told_after_what_arrived(make_world: Any, killed: bool) -> None:
    """A start finds what arrived at the broker before it sends again what was refused."""
    limits = {"max_exposure": 0, "max_exposure_per_symbol": 0, "max_order_notional": 0}
    world = make_world(
        {"SPY": [100.0] * 10, "IBM": [3000.0] * 10},
        plugins=("risk",),
        plugin={"exchange": {"cash": 20_000, "multiplier": 1}, "risk": {"daily_limits": limits}},
    )
    world.follow(s={("SPY", 2): LONG, ("IBM", 2): LONG})
    if killed:
        world.killed_at("broker", "submit_many", late=True)
    world.play(0 if killed else 3)
    assert [(o.symbol, o.status.value) for o in world.rows(Order)] == [
        ("IBM", "rejected"), ("SPY", "accepted"),
    ]  # fmt: skip
    assert world.ask("SELECT failure_count FROM circuit_breaker") == [(1,)]


@pytest.mark.parametrize("killed", [False, True])
def test_a_cancel_goes_before_the_orders_of_its_minute(make_world: Any, killed: bool) -> None:
    """Killed right after the cancel: the exit finds the same book as if nothing had happened."""
    world = make_world(FLAT_SPY, volume=40)
    world.follow(a={("SPY", 2): LONG, ("SPY", 10): FLAT}, b={("SPY", 9): LONG, ("SPY", 10): FLAT})
    if killed:
        world.killed_at("broker", "cancel", late=True)
    world.play()
    sells = [order for order in world.rows(Order) if order.reduces]
    assert [(o.strategy, o.status.value, f"{o.updated_at:%H:%M}") for o in sells] == [
        ("a", "filled", "14:43"), ("b", "filled", "14:41"),
    ]  # fmt: skip


ONE_TRADE = {
    "plugins": ("risk",),
    "plugin": {"risk": {"daily_limits": {"max_trades": 1}}},
    "act_on_missed_entries": True,
}


@pytest.mark.parametrize("restarted", [False, True])
def test_missed_entries_are_made_up_for_in_the_same_order(make_world: Any, restarted: bool) -> None:
    world = make_world(FLAT_SPY, **ONE_TRADE)
    world.follow(alpha={("SPY", 6): LONG}, zeta={("SPY", 5): LONG})
    world.play(3)
    world.pass_by(8)
    if restarted:
        world.play(0)
    world.play(6)
    assert statuses(world) == {"alpha": "filled", "zeta": "blocked"}


@pytest.mark.parametrize("restarted", [False, True])
def test_missed_entries_that_wait_for_a_bar_keep_their_order(
    make_world: Any, restarted: bool
) -> None:
    spy = [None if 9 <= minute < 16 else 100.0 for minute in range(40)]
    world = make_world({"SPY": spy, "IBM": [50.0] * 40}, **ONE_TRADE)
    world.follow(alpha={("SPY", 6): LONG}, zeta={("SPY", 5): LONG})
    world.play(3)
    world.pass_by(9)  # past SPY's last bar
    if restarted:
        world.play(0)
    world.play(10)
    assert statuses(world) == {"alpha": "filled", "zeta": "blocked"}
