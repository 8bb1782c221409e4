"""Killed at seeded commits of seeded lives: the database is the one of the bot that was not killed.

A life is several strategies with their own minds on the same symbols, on thin volumes, under
limits that veto and with too little buying power for all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from smabot.domain.book import Book
from smabot.domain.records import Bar, Signal
from smabot.domain.tables import record
from smabot.hooks.specifications import hookimpl

SEEDS = range(8)
KILLS = 12
AT_ONCE = 4
MINUTES = 25
Dump = dict[str, list[tuple[Any, ...]]]


@record(table="ups", key=("symbol",))
class Ups:
    symbol: str
    in_a_row: int = 0


class Streaks:
    """Long after two rises in a row, flat after two falls, counted in a declared record."""

    @hookimpl
    def records(self) -> Sequence[type]:
        return [Ups]

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        before = book.row(Ups, bar.symbol) or Ups(bar.symbol)
        ups = Ups(bar.symbol, before.in_a_row + (1 if bar.close > bar.open else -1))
        if abs(ups.in_a_row) == 2:
            book.apply(Ups(bar.symbol))
            return Signal.long(bar) if ups.in_a_row > 0 else Signal.flat(bar)
        book.apply(ups)
        return None


class Rebound:
    """Long below the lowest close of the three minutes before, flat above the highest."""

    def __init__(self) -> None:
        self._closes: dict[str, list[float]] = {}

    @hookimpl
    def lookback(self) -> int:
        return 4

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        closes = self._closes.setdefault(bar.symbol, [])
        before = closes[-3:]
        closes.append(bar.close)
        if len(before) < 3:
            return None
        if bar.close < min(before):
            return Signal.long(bar)
        return Signal.flat(bar) if bar.close > max(before) else None


def make_life(make_world: Any, script: Any, seed: int) -> tuple[Any, dict[str, object]]:
    """A world by its seed, and the scripts that its bots follow beside the other strategies."""
    chance = random.Random(seed)
    closes = {
        symbol: [
            round(price + 5 * chance.random(), 2)
            if minute in (0, MINUTES - 1) or chance.random() < 0.9
            else None
            for minute in range(MINUTES)
        ]
        for symbol, price in (("SPY", 100), ("IBM", 50), ("KO", 60))
    }
    scripts = {
        name: script(
            {
                (symbol, minute): chance.choice([0, 1])
                for symbol in closes
                for minute in range(MINUTES)
                if chance.random() < 0.35
            }
        )
        for name in ("alpha", "zeta")
    }
    cash, shares = chance.choice([(100_000, 10), (3_000, 7), (3_000, 23)])
    limits = {
        "max_trades": chance.choice([0, 6, 10]),
        "block": chance.choice(["entries", "all"]),
        "max_exposure": chance.choice([0, 2_500]),
    }
    world = make_world(
        closes,
        name=f"life-{seed}",
        volume=chance.choice([40, 90, 10_000]),
        plugins=("risk",),
        sizing={"method": "shares", "shares": shares},
        act_on_missed_entries=chance.random() < 0.5,
        equity_every_minutes=chance.choice([1, 1, 3]),
        max_bar_age_minutes=chance.choice([1, 1, 3]),
        plugin={
            "exchange": {"cash": cash, "multiplier": 1},
            "risk": {
                "daily_limits": limits,
                "circuit_breaker": {"max_failures": chance.choice([0, 2])},
            },
        },
    )
    return world, scripts


def play(world: Any, scripts: dict[str, object]) -> None:
    world.strategies = {**scripts, "streaks": Streaks(), "rebound": Rebound()}
    world.play()


@pytest.mark.slow
def test_killed_anywhere_in_any_life(
    make_world: Any,
    script: Any,
    child: Any,
    dumper: Callable[..., Dump],
    comparable: Callable[[Dump], Dump],
) -> None:
    statuses: set[str] = set()
    for seed in SEEDS:
        world, scripts = make_life(make_world, script, seed)
        whole = world.again("whole")
        if seed == SEEDS[0]:
            play(world.again("here"), scripts)  # imports and calendar: once, not in every child
        commits = child(partial(play, whole, scripts)).wait()
        expected = comparable(dumper(whole.db))
        statuses |= {status for (status,) in whole.ask("SELECT status FROM order_intents")}
        chance = random.Random(seed)
        moments = sorted(chance.sample(range(1, commits + 1), KILLS))
        for first in range(0, KILLS, AT_ONCE):
            worlds = {n: world.again(f"killed-{n}") for n in moments[first : first + AT_ONCE]}
            killed = [
                child(partial(play, its, scripts), n, chance.random() < 0.5)
                for n, its in worlds.items()
            ]
            assert [one.wait() for one in killed] == [-1] * len(worlds)
            for one in [child(partial(play, its, scripts)) for its in worlds.values()]:
                one.wait()
            for n, its in worlds.items():
                assert comparable(dumper(its.db)) == expected, f"{seed=}, commit {n} of {commits}"
    assert statuses >= {"filled", "blocked", "canceled", "rejected"}
