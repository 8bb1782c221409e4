"""Databases with damaged or foreign values: a JournalError that names them, or what is stored."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

pytest.importorskip("smabot_persistence_sqlite")

from smabot.domain.records import CORE_RECORDS, Bar
from smabot.domain.tables import record, table_of
from smabot.errors import JournalError, SmabotError
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


@record(table="kinds", key=("name",))
class Kinds:
    """A column of each type that a record may have."""

    name: str
    text: str
    count: int
    ratio: float
    on: bool
    money: Decimal
    time: datetime
    day: date
    word: Word
    maybe: Decimal | None = None
    later: datetime | None = None


ROW = Kinds(
    "a", "b", 3, 0.5, True, Decimal("12.340"), START + timedelta(microseconds=5), date(2026, 3, 2), Word.TWO,
    Decimal(-1), START,
)  # fmt: skip
STORED: list[Any] = [
    None, 0, 1, 2, -1, 0.5, 1e300, math.inf, 2**62, b"", b"\xff", b"12", "", "0", "1", "true", "12.340", "1e5",
    "1E+999999999", "NaN", "Infinity", "-0", "١٢", "two", "TWO", "2026-03-02T14:30:00.000005Z",
    "2026-03-02T14:30:00", "2026-03-02T09:30:00-05:00", "2026-03-02", "2026-02-30", "0001-01-01T00:00:00+14:00",
    "yesterday", "x" * 5_000, "a\nb",
]  # fmt: skip

Explore = Callable[..., None]


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stored") / "trades.db"
    bars = [
        Bar("SPY", START + timedelta(minutes=n), 10, 11, 9, 10.5, 100, 3, 10.2) for n in range(3)
    ]
    with closing(SqliteJournal.open(path, [Kinds])) as journal:
        journal.commit([ROW], bars)
    return path


@pytest.fixture
def rows(db: Path) -> Iterator[SqliteRows]:
    with closing(SqliteRows.open(db, [Kinds])) as rows:
        yield rows


@pytest.fixture
def raw(db: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(db, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


def test_columns(
    explore: Explore, rows: SqliteRows, raw: sqlite3.Connection, one_line: Any
) -> None:
    columns = [column for column in table_of(Kinds).columns if column.name != "name"]

    def check(data: Any) -> None:
        column, value = data.draw(st.sampled_from(columns)), data.draw(st.sampled_from(STORED))
        (before,) = raw.execute(f'SELECT "{column.name}" FROM kinds').fetchone()
        try:
            raw.execute(f'UPDATE kinds SET "{column.name}" = ?', (value,))
        except sqlite3.IntegrityError:
            return
        try:
            (stored,) = raw.execute(f'SELECT "{column.name}" FROM kinds').fetchone()
            try:
                (found,) = rows.rows(Kinds)
            except JournalError as error:
                assert one_line(error)
                assert f"kinds.{column.name}" in str(error)
                return
            read = getattr(found, column.name)
            assert (column.optional and read is None) or type(read) is column.type
            if read is None:
                assert stored is None
            elif column.type is Decimal:
                assert read == Decimal(stored)
                assert read.is_finite()
            elif column.type in (datetime, date):
                assert read == column.type.fromisoformat(stored)
                assert column.type is date or read.tzinfo is UTC
            else:
                assert type(stored) in (str, int, float)
                assert read == stored
        finally:
            raw.execute(f'UPDATE kinds SET "{column.name}" = ?', (before,))

    explore(check, share=2)
    assert rows.rows(Kinds) == [ROW]


def test_bars(explore: Explore, rows: SqliteRows, raw: sqlite3.Connection, one_line: Any) -> None:
    names = ["ts", "symbol", "open", "high", "low", "close", "volume", "trade_count", "vwap"]
    first = int(START.timestamp())

    def check(data: Any) -> None:
        name, value = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(STORED))
        raw.execute("BEGIN")
        try:
            raw.execute(f"UPDATE bars SET {name} = ? WHERE ts = ?", (value, first + 60))
        except sqlite3.IntegrityError:
            raw.execute("ROLLBACK")
            return
        raw.execute("COMMIT")
        try:
            for read in (
                lambda: [bar for minute in rows.windows(3, ["SPY"]) for bar in minute],
                lambda: rows.bars_within(START, START + timedelta(minutes=5)),
                list,
            ):
                try:
                    bars = read()
                except JournalError as error:
                    assert one_line(error)
                    continue
                for bar in bars:
                    assert [type(each) for each in bar[2:7]] == [float] * 5
                    assert type(bar.trade_count) in (int, type(None))
                    assert type(bar.vwap) in (float, type(None))
                    assert type(bar.symbol) is str
        finally:
            raw.execute("DELETE FROM bars WHERE ts NOT IN (?, ?)", (first, first + 120))
            values = (first + 60, "SPY", 10, 11, 9, 10.5, 100, 3, 10.2)
            raw.execute(f"INSERT INTO bars ({', '.join(names)}) VALUES (?,?,?,?,?,?,?,?,?)", values)

    explore(check, share=2)
    assert len(rows.bars_within(START, START + timedelta(minutes=5))) == 3


def test_damaged_files(explore: Explore, db: Path, tmp_path: Path, one_line: Any) -> None:
    """Pages overwritten, cut or doubled: opened and read, or one line."""
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = db.read_bytes()
    copy = tmp_path / "copy.db"

    def check(data: Any) -> None:
        content = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
        copy.write_bytes(
            content[: data.draw(st.sampled_from([None, None, 4_096, 100, len(content) // 2]))]
        )
        for opened in (SqliteRows.open, SqliteJournal.open):
            try:
                with closing(opened(copy, [Kinds])) as rows:
                    for kind in (*CORE_RECORDS, Kinds):
                        rows.rows(kind)
                    list(rows.windows(3, ["SPY"]))
                    rows.newest_bar()
            except SmabotError as error:
                assert one_line(error)
            for name in ("copy.db-wal", "copy.db-shm"):
                (tmp_path / name).unlink(missing_ok=True)

    explore(check)
