"""The schema: made by migrations, changed whole or not at all, declared records added to it."""

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from smabot.domain.bot_records import BotState, Command
from smabot.domain.records import Fill, Order
from smabot.domain.tables import record
from smabot.errors import ConfigError, JournalError
from smabot_persistence_sqlite import migrations
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows
from smabot_persistence_sqlite.schema_version import LINEAGE, Lineage

FIRST_SCHEMA = Path(__file__).with_name("first_schema.sql")
"""A database as the first release made it, with rows; never to be changed."""


def shape(db: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(db)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def content(db: Path) -> list[str]:
    with closing(sqlite3.connect(db)) as connection:
        return [line for line in connection.iterdump() if line.startswith("INSERT")]


@pytest.fixture
def first(db: Path) -> Path:
    with closing(sqlite3.connect(db)) as connection:
        connection.executescript(FIRST_SCHEMA.read_text())
    return db


# -- migrations ------------------------------------------------------------------------------------


def test_the_first_schema_is_brought_up_to_date_with_all_its_rows(first: Path) -> None:
    before = SqliteJournal.open(first)
    with closing(before) as journal:
        assert journal.rows(BotState) == [BotState("core", "answer", "42")]
        (order,) = journal.rows(Order)
        assert (order.qty, order.filled_avg_price) == (Decimal(10), Decimal("126.35"))
        (fill,) = journal.rows(Fill)
        assert order.fees == fill.fees == 0
        assert sum(map(len, journal.windows(5, ["SPY", "IBM"]))) == 3


def test_a_command_that_waits_for_a_bot_of_an_older_release_has_expired(first: Path) -> None:
    """But for a halt."""
    time = "2026-03-02T14:30:00Z"
    with closing(sqlite3.connect(first)) as connection, connection:
        connection.executemany(
            "INSERT INTO commands VALUES (?, ?, '', ?, ?, '')",
            [("1", "halt", time, None), ("2", "resume", time, None), ("3", "resume", time, time)],
        )
    with closing(SqliteJournal.open(first)) as journal:
        commands = journal.rows(Command)
    expected = [None, datetime(2026, 3, 2, 14, 30, tzinfo=UTC), None]
    assert [command.expires_at for command in commands] == expected


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", LINEAGE.location)
    config.set_main_option("path_separator", "os")
    walked = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(reversed([script.revision for script in walked])) == LINEAGE.revisions


NEXT = '''
"""The next schema: a change of data and of a table."""
import os

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", "{head}", None, None


def upgrade():
    op.execute("UPDATE bot_state SET value = 'changed'")
    with op.batch_alter_table("bot_state") as table:
        table.alter_column("value", new_column_name="content")
    with op.batch_alter_table("bot_state") as table:
        table.alter_column("content", new_column_name="value")
    op.create_table("extra", sa.Column("a", sa.TEXT()))
    {last}
'''


def lineage(tmp_path: Path, last: str) -> Lineage:
    """Return the migrations with one more, which ends with a line of Python."""
    folder = tmp_path / "migrations"
    if not folder.exists():
        shutil.copytree(Path(migrations.__path__[0]), folder)
    (folder / "versions" / "next.py").write_text(
        NEXT.replace("{last}", last).replace("{head}", LINEAGE.head)
    )
    return Lineage(str(folder), (*LINEAGE.revisions, "next"))


def test_a_migration_of_data_leaves_a_copy_behind(first: Path, tmp_path: Path) -> None:
    SqliteJournal.open(first).close()
    before = content(first)
    later = lineage(tmp_path, "pass")
    with pytest.raises(ConfigError, match="made by an older smabot: `smabot run` brings it up"):
        SqliteRows.open(first, lineage=later)

    with closing(SqliteJournal.open(first, lineage=later)) as journal:
        assert journal.rows(BotState) == [BotState("core", "answer", "changed")]
        copy = first.with_name(f"trades.db.{LINEAGE.head}.bak")
        assert journal.opening_notes == (
            f"copy before the change: {copy}",
            f"schema {LINEAGE.head} → next",
        )

    assert content(copy) == before
    with closing(SqliteJournal.open(first, lineage=later)) as journal:
        assert journal.opening_notes == ()
    with pytest.raises(ConfigError, match="made by a newer smabot"):
        SqliteJournal.open(first)


def test_a_migration_that_fails_changes_nothing(first: Path, tmp_path: Path) -> None:
    SqliteJournal.open(first).close()
    before = content(first), shape(first)
    with pytest.raises(JournalError, match=r"trades\.db: no such table: nowhere"):
        SqliteJournal.open(first, lineage=lineage(tmp_path, 'op.execute("DELETE FROM nowhere")'))
    assert (content(first), shape(first)) == before
    SqliteJournal.open(first).close()


MIGRATE = """
import sys
from pathlib import Path
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.schema_version import LINEAGE, Lineage
SqliteJournal.open(Path(sys.argv[1]), lineage=Lineage(sys.argv[2], (*LINEAGE.revisions, "next"))).close()
"""


@pytest.mark.slow
def test_a_migration_killed_in_the_middle_has_not_been(first: Path, tmp_path: Path) -> None:
    SqliteJournal.open(first).close()
    before = content(first), shape(first)
    flushed = 'op.execute("PRAGMA cache_spill = 1"); '
    later = lineage(tmp_path, flushed + "os.kill(os.getpid(), 9)")
    command = [sys.executable, "-c", MIGRATE, str(first), later.location]

    assert subprocess.run(command).returncode == -signal.SIGKILL
    with closing(SqliteRows.open(first)) as rows:
        assert rows.rows(BotState) == [BotState("core", "answer", "42")]
    assert (content(first), shape(first)) == before

    later = lineage(tmp_path, "pass")
    assert subprocess.run(command).returncode == 0
    with closing(SqliteJournal.open(first, lineage=later)) as journal:
        assert journal.rows(BotState) == [BotState("core", "answer", "changed")]


def test_a_first_start_killed_anywhere_is_made_up_for(db: Path) -> None:
    killed = 0
    for millisecond in range(12):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, millisecond / 1000 + 1e-4)
            SqliteJournal.open(db).close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        with closing(SqliteJournal.open(db)) as journal:
            journal.commit([BotState("core", "a", "1")])
        for path in db.parent.iterdir():
            path.unlink()
    assert killed


# -- declared records ------------------------------------------------------------------------------


def declare(name: str, key: tuple[str, ...] = ("symbol",), **columns: Any) -> type:
    """Return a record class as one version of a plugin declares it: name=(type, default...)."""
    namespace: dict[str, Any] = {"__annotations__": {n: c[0] for n, c in columns.items()}}
    namespace |= {n: c[1] for n, c in columns.items() if len(c) > 1}
    namespace["__module__"] = __name__
    return record(table=name, key=key)(type("Streak", (), namespace))


OLD: dict[str, Any] = {"symbol": (str,), "days": (int, 0)}


def test_a_declared_record_gets_its_table_when_it_first_shows(db: Path) -> None:
    SqliteJournal.open(db).close()
    streak = declare("streaks", **OLD)
    with closing(SqliteJournal.open(db, [streak])) as journal:
        assert journal.opening_notes == ("new table streaks",)
        journal.commit([streak("SPY", 3)])
    with closing(SqliteJournal.open(db)) as without:
        assert without.opening_notes == ()
    with closing(SqliteJournal.open(db, [streak])) as journal:
        assert journal.rows(streak) == [streak("SPY", 3)]
        assert journal.opening_notes == ()


def test_a_new_column_is_added_with_its_default(db: Path) -> None:
    old = declare("streaks", **OLD)
    with closing(SqliteJournal.open(db, [old])) as journal:
        journal.commit([old("SPY", 3)])
    new = declare(
        "streaks",
        **OLD,
        best=(Decimal, Decimal("1.50")),
        word=(str, "it's 5% :x"),
        since=(datetime, datetime(2026, 3, 2, tzinfo=UTC)),
        share=(float, 0.25),
        hot=(bool, True),
        note=(str | None, None),
        left=(int, dataclasses.field(default_factory=lambda: 7)),
    )
    with (
        closing(SqliteRows.open(db, [new])) as rows,
        pytest.raises(ConfigError, match="smabot run"),
    ):
        rows.rows(new)

    with closing(SqliteJournal.open(db, [new])) as journal:
        assert journal.rows(new) == [new("SPY", 3)]
        journal.commit([new("IBM", 1, hot=False)])
        assert len(journal.opening_notes) == 8
    assert len(list(db.parent.glob(f"trades.db.{LINEAGE.head}.streaks.best*.bak"))) == 1
    with closing(SqliteJournal.open(db, [new])) as journal:
        assert journal.rows(new) == [new("IBM", 1, hot=False), new("SPY", 3)]
    with pytest.raises(ConfigError, match="column best is gone"):
        SqliteJournal.open(db, [old])


@pytest.mark.parametrize(
    "change, line",
    [
        ({"columns": {"symbol": (str,)}}, "column days is gone"),
        ({"columns": {**OLD, "days": (str, "")}}, "column days was integer and is now text"),
        (
            {"columns": {**OLD, "days": (int | None, 0)}},
            "column days was integer and is now integer null",
        ),
        ({"columns": {"symbol": (str,), "more": (int,), "days": (int, 0)}}, "more has no default"),
        ({"columns": OLD, "key": ("symbol", "days")}, "its key was symbol and is now symbol, days"),
    ],
)
def test_any_other_change_is_refused_by_name(db: Path, change: dict[str, Any], line: str) -> None:
    old = declare("streaks", **OLD)
    with closing(SqliteJournal.open(db, [old])) as journal:
        journal.commit([old("SPY", 3)])
    new = declare("streaks", key=change.get("key", ("symbol",)), **change["columns"])

    with pytest.raises(ConfigError, match=line) as caught:
        SqliteJournal.open(db, [new])

    assert "test_schema.Streak" in str(caught.value)
    assert "streaks" in str(caught.value)
    with closing(SqliteJournal.open(db, [old])) as journal:
        assert journal.rows(old) == [old("SPY", 3)]
    assert list(db.parent.glob("*.bak")) == []


def test_a_table_that_was_dropped_by_hand_is_made_again(db: Path) -> None:
    old = declare("streaks", **OLD)
    SqliteJournal.open(db, [old]).close()
    with closing(sqlite3.connect(db)) as person:
        person.execute("DROP TABLE streaks")
    new = declare("streaks", symbol=(str,))
    with closing(SqliteJournal.open(db, [new])) as journal:
        journal.commit([new("SPY")])
        journal.commit([new("SPY")])
        assert journal.rows(new) == [new("SPY")]


def test_a_table_made_by_hand_is_left_alone(db: Path) -> None:
    SqliteJournal.open(db).close()
    with closing(sqlite3.connect(db)) as person:
        person.execute("CREATE TABLE streaks (mine TEXT)")
    with pytest.raises(ConfigError, match="has a table streaks that smabot did not make"):
        SqliteJournal.open(db, [declare("streaks", **OLD)])


@pytest.mark.parametrize(
    "kinds, line",
    [
        (
            [declare("streaks", **OLD), declare("Streaks", **OLD)],
            "both declare the table 'Streaks'",
        ),
        ([declare("trades", **OLD)], "both declare the table 'trades'"),
        ([declare("bars", **OLD)], "which is the journal's own"),
        ([declare("sqlite_x", **OLD)], "which is the journal's own"),
        ([declare("x", key=(), **OLD)], "has no key"),
        ([declare("x", symbol=(str | None, None))], "key column 'symbol' may be None"),
        ([declare("x", symbol=(str,), Symbol=(str,))], "differ by upper and lower case"),
    ],
)
def test_a_declaration_that_makes_no_table(db: Path, kinds: list[type], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        SqliteJournal.open(db, kinds)
    assert not db.exists()


def test_core_records_of_another_release_are_refused(db: Path) -> None:
    SqliteJournal.open(db).close()
    with closing(sqlite3.connect(db)) as other:
        other.execute("ALTER TABLE trades RENAME COLUMN price TO cost")
        other.execute("UPDATE declared_records SET definition = '' WHERE table_name = 'trades'")
        other.commit()
    with pytest.raises(ConfigError, match=r"trades\.(price|cost) is not as this smabot has it"):
        SqliteJournal.open(db)
