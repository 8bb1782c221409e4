"""The journals of a backtest answer as one that wrote each commit at once, and keep all bars."""

from __future__ import annotations

import tracemalloc
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.domain.bot_records import Command, Event
from smabot.domain.records import ZERO, Bar, EquityPoint
from smabot.hooks import late_journal
from smabot.hooks.late_journal import LateJournal
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.replayed_journal import ReplayedJournal

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("AAA", "BBB")


def bar(symbol: str, minute: int) -> Bar:
    return Bar(symbol, OPEN + minute * MINUTE, 1.0, 1.0, 1.0, 1.0 + minute, 5.0)


def event(minute: int, text: str) -> Event:
    return Event(OPEN + minute * MINUTE, "halt", "", text)


class Counted(MemoryJournal):
    """Counts its commits."""

    commits = 0

    def commit(self, rows: Any, bars: Any = ()) -> None:
        self.commits += 1
        super().commit(rows, bars)


class History:
    """A feed that has replayed some minutes."""

    def __init__(self) -> None:
        self.minutes: list[list[Bar]] = []

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        kept = [[b for b in minute if b.symbol in symbols] for minute in self.minutes]
        kept = [minute for minute in kept if minute]
        if since is None:
            kept = kept[-bars:]
        return (m for m in kept if since is None or m[0].time > since)


STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "row", "rows", "count", "bars"]), st.integers(0, 3)),
    max_size=30,
)


@given(STEPS, st.integers(1, 6))
def test_what_is_read_is_as_if_each_commit_had_been_written(
    steps: list[tuple[str, int]], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(late_journal, "MOST_ROWS", most)
        plain, late = MemoryJournal(), LateJournal(MemoryJournal())
        for minute, (what, number) in enumerate(steps):
            key = (OPEN + number * MINUTE, "halt", "")
            if what == "commit":
                for journal in (plain, late):
                    journal.commit([event(number, f"at {minute}")], [bar("AAA", minute)])
            elif what == "row":
                assert late.row(Event, *key) == plain.row(Event, *key)
            elif what == "rows":
                assert late.rows(Event) == plain.rows(Event)
            elif what == "count":
                assert late.count(Event) == plain.count(Event)
            else:
                assert late.bar_counts() == plain.bar_counts()
                assert late.newest_bar() == plain.newest_bar()
        late.write()
        assert late.rows(Event) == plain.rows(Event)
        assert list(late.windows(99, SYMBOLS)) == list(plain.windows(99, SYMBOLS))


def test_many_commits_are_written_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_journal, "MOST_ROWS", 100)
    kept = Counted()
    late = LateJournal(kept)
    for minute in range(250):
        late.commit([], [bar("AAA", minute)])
    assert kept.commits == 2
    late.write()
    late.write()
    assert (kept.commits, kept.bar_counts()) == (3, {"AAA": 250})


def test_a_command_that_is_carried_out_is_written_at_once() -> None:
    kept = Counted()
    late = LateJournal(kept)
    command = Command("1", "halt", "", OPEN)
    late.send(command)
    assert late.commands() == [command]
    late.commit([Command("1", "halt", "", OPEN, applied_at=OPEN, answer="done")])
    assert kept.commits == 1
    assert late.commands() == []
    late.commit([event(1, "later")])
    assert kept.commits == 1


@given(st.lists(st.sets(st.sampled_from(SYMBOLS), min_size=1), min_size=1, max_size=20))
def test_bars_are_those_that_the_feed_has_replayed(minutes: list[set[str]]) -> None:
    feed = History()
    plain, replayed = MemoryJournal(), ReplayedJournal(feed)  # type: ignore[arg-type]
    assert list(replayed.windows(3, SYMBOLS)) == []
    for number, symbols in enumerate(minutes):
        bars = [bar(symbol, number) for symbol in sorted(symbols)]
        feed.minutes.append(bars)
        for journal in (plain, replayed):
            journal.commit([event(number, "")], bars)
    assert replayed.bar_counts() == plain.bar_counts()
    assert replayed.newest_bar() == plain.newest_bar()
    assert replayed.rows(Event) == plain.rows(Event)
    for since, until in (
        (0, 99),
        (2, 5),
        (7, 7),
        (7, 7),
        (8, 8),
        (9, 12),
        (9, 9),
        (3, 3),
        (13, 99),
    ):
        span = OPEN + since * MINUTE, OPEN + until * MINUTE
        assert replayed.bars_within(*span) == plain.bars_within(*span)
        assert replayed.bars_within(*span, "AAA") == plain.bars_within(*span, "AAA")


def test_a_backtest_reads_a_few_rows_of_many_without_a_copy_of_all() -> None:
    """A year's report asks for the last point of each day: it took the days times the points."""
    journal = MemoryJournal()
    times = [OPEN + n * MINUTE for n in range(20_000)]
    points = [EquityPoint(time, Decimal(n), ZERO, ZERO, ZERO) for n, time in enumerate(times)]
    journal.commit(points)
    journal.rows(EquityPoint, newest_by="time", limit=1)

    tracemalloc.start()
    try:
        found = [
            journal.rows(
                EquityPoint, until=("time", time), since=("time", OPEN), newest_by="time", limit=1
            )
            for time in times[::5_000]
        ]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [[points[n]] for n in range(0, 20_000, 5_000)]
    assert peak < 20_000
