"""What goes into the database comes out equal, whatever its type."""

import dataclasses
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smabot.domain.records import EquityPoint
from smabot.domain.tables import key_of, record
from smabot.errors import JournalError
from smabot_persistence_sqlite.journal import SqliteJournal


class Mood(StrEnum):
    CALM = "calm"
    WILD = "wild"


@record(table="every type", key=("order",))
class EveryType:
    order: int
    text: str
    mood: Mood
    real: float
    flag: bool
    money: Decimal
    time: datetime
    day: date
    maybe_text: str | None = None
    maybe_mood: Mood | None = None
    maybe_money: Decimal | None = None
    maybe_time: datetime | None = None
    maybe_flag: bool | None = None


zones = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)
texts = st.text(st.characters(exclude_categories=["Cs"]))
moneys = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
every_type = st.builds(
    EveryType,
    order=st.integers(-(2**63), 2**63 - 1),
    text=texts,
    mood=st.sampled_from(Mood),
    real=st.floats(allow_nan=False),
    flag=st.booleans(),
    money=moneys,
    time=times,
    day=st.dates(),
    maybe_text=st.none() | texts,
    maybe_mood=st.none() | st.sampled_from(Mood),
    maybe_money=st.none() | moneys,
    maybe_time=st.none() | times,
    maybe_flag=st.none() | st.booleans(),
)


@pytest.fixture(scope="module")
def journal() -> Iterator[SqliteJournal]:
    with tempfile.TemporaryDirectory() as folder:
        opened = SqliteJournal.open(Path(folder) / "trades.db", [EveryType])
        opened.connection.execute("PRAGMA synchronous = OFF")
        with closing(opened):
            yield opened


@given(rows=st.lists(every_type, min_size=1, max_size=5, unique_by=key_of))
@settings(max_examples=150, deadline=None)
def test_every_type_comes_back_equal(journal: SqliteJournal, rows: list[Any]) -> None:
    journal.commit(rows)

    for row in rows:
        found = journal.row(EveryType, row.order)
        assert found is not None
        assert found == row
        assert type(found.mood) is Mood
        assert type(found.flag) is bool
        assert type(found.money) is Decimal
        assert found.time.utcoffset() == timedelta(0)
        for column in ("text", "money", "time", "day", "real", "maybe_time"):
            where = {column: getattr(row, column), "order": row.order}
            assert journal.rows(EveryType, where=where) == [row]


@given(money=moneys, shift=st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_equal_values_are_one_key(money: Decimal, shift: int) -> None:
    from smabot_persistence_sqlite.value_codec import codec_of

    encode = codec_of(Decimal).encode
    text = encode(money)

    assert (
        encode(Decimal(f"{money:f}" + ("" if "." in f"{money:f}" else ".") + "0" * shift)) == text
    )
    assert Decimal(text) == money
    assert "E" not in text


@pytest.mark.parametrize(
    "value, text",
    [
        (Decimal("126.3500"), "126.35"),
        (Decimal("-0.00"), "0"),
        (Decimal("-12.5"), "-12.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal(100), "100"),
    ],
)
def test_money_is_plain_text(db: Path, value: Decimal, text: str) -> None:
    time = datetime(2026, 3, 2, 9, 30, tzinfo=timezone(timedelta(hours=-5)))
    with closing(SqliteJournal.open(db)) as journal:
        journal.commit([EquityPoint(time, value, value, value, value)])

    with closing(sqlite3.connect(db)) as person:
        found = person.execute("SELECT time, equity, SUM(realized_pnl) FROM equity_curve")
        assert found.fetchone() == ("2026-03-02T14:30:00Z", text, float(value))


GOOD = EveryType(
    1, "a", Mood.CALM, 1.5, True, Decimal(1), datetime(2026, 3, 2, tzinfo=UTC), date(2026, 3, 2)
)


@pytest.mark.parametrize(
    "column, value",
    [
        ("order", 2**63),
        ("order", "1"),
        ("text", 1),
        ("text", "\ud800"),
        ("text", None),
        ("mood", "sad"),
        ("real", float("nan")),
        ("real", "1.5"),
        ("flag", 2),
        ("money", Decimal("NaN")),
        ("money", Decimal("Infinity")),
        ("money", 1.5),
        ("time", datetime(2026, 3, 2)),
        ("time", date(2026, 3, 2)),
        ("day", datetime(2026, 3, 2, tzinfo=UTC)),
        ("maybe_money", 1),
    ],
)
def test_what_does_not_fit_is_refused_by_name(db: Path, column: str, value: Any) -> None:
    with closing(SqliteJournal.open(db, [EveryType])) as journal:
        journal.commit([GOOD])
        changes: dict[str, Any] = {"text": "changed", column: value}
        bad = dataclasses.replace(GOOD, **changes)
        with pytest.raises(JournalError, match=rf"every type.*{column}"):
            journal.commit([dataclasses.replace(GOOD, order=2), bad])
        assert journal.rows(EveryType) == [GOOD]


def test_a_value_changed_by_hand_is_named(db: Path) -> None:
    with closing(SqliteJournal.open(db, [EveryType])) as journal:
        journal.commit([GOOD])
        journal.connection.execute('UPDATE "every type" SET mood = ?', ("sad",))
        with pytest.raises(JournalError, match=r"every type\.mood holds 'sad', which is no Mood"):
            journal.rows(EveryType)
