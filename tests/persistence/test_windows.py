"""The newest bars of each symbol: exactly those, whatever its gaps."""

import random
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.records import Bar
from smabot.hooks.memory_journal import MemoryJournal
from smabot_persistence_sqlite.journal import SqliteJournal

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SYMBOLS = [f"S{n:02d}" for n in range(20)]


def bar(symbol: str, minute: int) -> Bar:
    return Bar(
        symbol, START + timedelta(minutes=minute), 1.0, 2.0, 0.5, minute + 0.25, 10.0, 3, 1.1
    )


def expected(bars: set[Bar], lookback: int, symbols: set[str]) -> list[list[Bar]]:
    newest: dict[str, list[Bar]] = defaultdict(list)
    for each in sorted(bars, key=lambda b: b.time, reverse=True):
        if each.symbol in symbols and len(newest[each.symbol]) < lookback:
            newest[each.symbol].append(each)
    minutes: dict[datetime, list[Bar]] = defaultdict(list)
    for each in sorted(each for some in newest.values() for each in some):
        minutes[each.time].append(each)
    return [minutes[time] for time in sorted(minutes)]


@pytest.fixture(scope="module")
def journal() -> Iterator[SqliteJournal]:
    with tempfile.TemporaryDirectory() as folder:
        opened = SqliteJournal.open(Path(folder) / "trades.db")
        opened.connection.execute("PRAGMA synchronous = OFF")
        with closing(opened):
            yield opened


@st.composite
def tapes(draw: st.DrawFn) -> list[list[Bar]]:
    """Draw commits of bars: some symbols in nearly every minute, some in a few, in any order."""
    minutes = draw(st.integers(0, 150))
    thin = draw(st.sets(st.sampled_from(SYMBOLS), max_size=20))
    chance = random.Random(draw(st.integers(0, 10**6)))
    bars = [
        bar(symbol, minute)
        for minute in range(minutes)
        for symbol in SYMBOLS
        if chance.random() < (0.03 if symbol in thin else 0.95)
    ]
    cut = draw(st.integers(0, len(bars)))
    parts = [bars[cut:], bars[:cut]] if draw(st.booleans()) else [bars[:cut], bars[cut:]]
    return [part for part in parts if part]


drawn = given(
    tape=tapes(),
    lookback=st.integers(0, 40),
    symbols=st.sets(st.sampled_from([*SYMBOLS, "NONE"])),
)


@drawn
@settings(max_examples=20)
def test_windows_are_those_of_a_search_of_all_bars(
    journal: SqliteJournal, tape: list[list[Bar]], lookback: int, symbols: set[str]
) -> None:
    compare_windows(journal, tape, lookback, symbols)


@pytest.mark.slow
@drawn
@settings(max_examples=200)
def test_many_windows_are_those_of_a_search_of_all_bars(
    journal: SqliteJournal, tape: list[list[Bar]], lookback: int, symbols: set[str]
) -> None:
    compare_windows(journal, tape, lookback, symbols)


def compare_windows(
    journal: SqliteJournal, tape: list[list[Bar]], lookback: int, symbols: set[str]
) -> None:
    journal.connection.executescript("DELETE FROM bars; DELETE FROM symbols")
    journal._first_bars = None
    for bars in tape:
        journal.commit([], bars)

    found = list(journal.windows(lookback, symbols))

    everything = {each for bars in tape for each in bars}
    assert found == expected(everything, lookback, symbols)
    assert all(type(each) is Bar for minute in found for each in minute)


def test_the_memory_journal_gives_the_same_windows(db: Path) -> None:
    memory = MemoryJournal()
    bars = [bar(s, m) for m in range(100) for n, s in enumerate(SYMBOLS) if m % (n + 1) == 0]
    with closing(SqliteJournal.open(db)) as journal:
        for kept in (journal, memory):
            kept.commit([], bars)
        assert list(journal.windows(7, SYMBOLS)) == list(memory.windows(7, SYMBOLS))
        assert journal.bar_counts() == memory.bar_counts()
        assert journal.newest_bar() == memory.newest_bar()


def test_the_cost_goes_by_the_lookback(db: Path) -> None:
    """Counted in steps of SQLite's machine, so that no clock decides."""

    def cost(journal: SqliteJournal) -> int:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        journal.connection.set_progress_handler(count, 100)
        assert sum(map(len, journal.windows(10, SYMBOLS))) == 10 * len(SYMBOLS)
        journal.connection.set_progress_handler(None, 0)
        return steps

    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([], [bar(s, m) for m in range(100) for s in SYMBOLS])
        small = cost(journal)
        journal.commit([], [bar(s, m) for m in range(100, 5000) for s in SYMBOLS])
        assert cost(journal) <= small * 1.2


def test_a_reader_sees_the_windows_stay_while_the_writer_goes_on(db: Path) -> None:
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([], [bar("SPY", m) for m in range(50)])
        walk = journal.windows(10, ["SPY"])
        first = next(walk)
        journal.commit([], [bar("SPY", 50)])
        assert [first, *walk] == [[bar("SPY", m)] for m in range(40, 50)]
    with closing(sqlite3.connect(db)) as person:
        assert person.execute("SELECT * FROM symbols").fetchall() == [("SPY", START.timestamp())]
