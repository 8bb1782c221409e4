"""A bot is killed at each boundary: one that loses nothing ends alike, another one is told where it differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from smabot.api import Bar, Book, Fill, Order, Signal, Veto, hookimpl, record
from smabot.testing import kill_points
from smabot.testing.kill_everywhere import Recorder
from smabot.testing.kill_points import Killed, KillSwitch

Make = Callable[..., Any]
CLOSES = [55, 56, 57, 58, 58, 57, 56, 55, 54, 55, 56, 57, 58, 57, 56, 55]


class Rising:
    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        return Signal.long(bar) if bar.close > bar.open else Signal.flat(bar)


class Counts:
    """Holds for two bars in five, counted in an attribute."""

    def __init__(self) -> None:
        self.bars = 0

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal:
        self.bars += 1
        return Signal.long(bar) if self.bars % 5 < 2 else Signal.flat(bar)


@record(table="kit_fills", key=("symbol",))
class Fills:
    symbol: str
    count: int = 0


class CountsFills(Rising):
    """The same in a declared record."""

    @hookimpl
    def records(self) -> list[type]:
        return [Fills]

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        row = book.row(Fills, fill.symbol) or Fills(fill.symbol)
        book.apply(Fills(fill.symbol, row.count + 1))

    @hookimpl
    def may_leave(self, order: Order, book: Book) -> Veto | None:
        row = book.row(Fills, order.symbol)
        return Veto("enough") if row and row.count >= 4 and not order.reduces else None


def test_a_bot_that_loses_nothing_ends_alike(bot: Make, bars: Make) -> None:
    made = bot([CountsFills], bars("SPY", CLOSES))
    report = made.kill_everywhere()
    assert report.failure is None
    assert report.boundaries > 100
    assert report.kills > report.states > 30
    assert str(report).endswith("every table equal")
    assert made.run().rows(Fills) == [Fills("SPY", 4)]


def test_every_kind_of_boundary_is_tried(bot: Make, bars: Make) -> None:
    made = bot([CountsFills], bars("SPY", CLOSES))
    names: set[str] = set()

    class Names(Recorder):
        def point(self, name: str) -> None:
            names.add(re.sub(r"\d{4}-.*", "…", name))

    made.start(switch=Names(made.world))
    made.run()
    assert names >= {
        "before commit", "after commit", "before broker.submit", "after broker.submit",
        "before countsfills.on_bar", "after countsfills.on_bar", "before countsfills.may_leave",
        "after countsfills.on_fill", "taken from the feed: …", "start: journal", "start: connect",
        "start: load", "start: reconcile", "start: plugins", "start: warm", "start: backfill",
        "start: subscribe", "before broker.account", "after broker.calendar",
    }  # fmt: skip


def test_lost_state_is_told_with_boundary_row_and_replay(bot: Make, bars: Make) -> None:
    made = bot([Counts], bars("SPY", CLOSES))
    with pytest.raises(AssertionError) as caught:
        made.kill_everywhere()
    said = str(caught.value)
    told = re.search(
        r"killed at boundary \d+.* \(.*, 2026-03-02 14:\d\d UTC\): table signals, row counts, SPY, "
        r"2026-03-02 14:\d\d UTC: .* does not; replay: bot\.kill_at\(([\d, ]+)\)$",
        said,
    )
    assert told, said
    killed = made.kill_at(*map(int, told[1].split(", ")))
    assert killed.run().tables != made.again().run().tables


def test_the_starts_after_a_kill_are_killed_too(bot: Make, bars: Make) -> None:
    report = bot([Rising], bars("SPY", CLOSES)).kill_everywhere()
    assert report.kills > report.states
    fewer = bot([Rising], bars("SPY", CLOSES)).kill_everywhere(most=10)
    assert 10 <= fewer.kills < 30


def test_what_a_running_bot_does_is_left_alone(bot: Make, bars: Make) -> None:
    made = bot([Counts], bars("SPY", CLOSES)).run(5)
    with pytest.raises(AssertionError):
        made.kill_everywhere()
    assert made.run().tables == bot([Counts], bars("SPY", CLOSES)).run().tables


def test_a_killed_process_stays_dead_until_the_next_one() -> None:
    """A plugin that catches everything must not survive its kill."""
    switch = KillSwitch()
    switch.arm(2)
    call = kill_points.mortal_call(lambda: 7, "it", switch)
    with pytest.raises(Killed, match="after it"):
        call()
    with pytest.raises(Killed, match="after it"):
        call()
    switch.revive()
    assert call() == 7
