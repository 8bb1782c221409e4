"""A new database is what the migrations would have made of an empty one, without their libraries."""

from __future__ import annotations

import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from keyword import iskeyword
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

from smabot.domain.bot_records import Command
from smabot.domain.records import CORE_RECORDS
from smabot.domain.tables import record
from smabot_persistence_sqlite import new_database
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_ddl import add_column, create_table
from smabot_persistence_sqlite.record_mapping import Form, forms_of
from smabot_persistence_sqlite.record_reader import SqliteRows


@record(table="streaks", key=("symbol", "order"))
class Streak:
    """Each type, and names that SQL reserves or that can't stand alone."""

    symbol: str
    order: int
    Days: int = 0
    best: Decimal = Decimal("1.50")
    word: str = "it's 5% :x"
    since: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    share: float = 0.25
    hot: bool = True
    note: str | None = None
    größe: int = -7


PRAGMAS = ("encoding", "page_size", "auto_vacuum", "application_id", "user_version", "journal_mode")


def everything(db: Path) -> tuple[list[Any], list[str], list[Any]]:
    """The schema's text in the order it was made, all rows, and what the file's head says."""
    with closing(sqlite3.connect(db)) as connection:
        made = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
        )
        head = [connection.execute(f"PRAGMA {name}").fetchone() for name in PRAGMAS]
        return made.fetchall(), list(connection.iterdump()), head


def migrated(db: Path, kinds: list[type]) -> None:
    """Let the migrations make all of it: in a database that is there, and empty."""
    with closing(sqlite3.connect(db)) as connection:
        connection.executescript("CREATE TABLE x (y); DROP TABLE x; VACUUM;")
    SqliteJournal.open(db, kinds).close()


@pytest.mark.parametrize("kinds", [[], [Streak]], ids=["core alone", "a declared record"])
def test_it_equals_what_the_migrations_make(tmp_path: Path, kinds: list[type]) -> None:
    migrated(tmp_path / "migrated.db", kinds)
    SqliteJournal.open(tmp_path / "new.db", kinds).close()
    assert everything(tmp_path / "new.db") == everything(tmp_path / "migrated.db")


def test_the_stored_schema_is_what_the_script_writes() -> None:
    """Where this fails, run the script."""
    script = Path(__file__).parents[2] / "plugins/persistence_sqlite/tools/make_schema.py"
    assert runpy.run_path(str(script))["text"]() == new_database.SCHEMA.read_text()


def test_it_imports_neither_sqlalchemy_nor_alembic(db: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from smabot_persistence_sqlite.journal import SqliteJournal\n"
        "SqliteJournal.open(Path(sys.argv[1])).close()\n"
        "print(*{'sqlalchemy', 'alembic', 'mako'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(db)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


# -- as SQLAlchemy has it ----------------------------------------------------------------------------

TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "TEXT": sa.TEXT,
    "INTEGER": sa.INTEGER,
    "REAL": sa.REAL,
}


def record_table(form: Form, metadata: sa.MetaData) -> sa.Table:
    """The table of a record class."""
    columns = [
        sa.Column(c.name, TYPES[form.codecs[c.name].sql](), nullable=c.optional)
        for c in form.table.columns
    ]
    key = sa.PrimaryKeyConstraint(*form.table.key)
    return sa.Table(form.table.name, metadata, *columns, key, sqlite_with_rowid=False)


def metadata_of(forms: Iterable[Form]) -> sa.MetaData:
    """All tables: the journal's own and one for each record class."""
    metadata = sa.MetaData()
    sa.Table(
        "bars",
        metadata,
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("ts", sa.INTEGER(), nullable=False),
        *(
            sa.Column(name, sa.REAL(), nullable=False)
            for name in ("open", "high", "low", "close", "volume")
        ),
        sa.Column("trade_count", sa.INTEGER(), nullable=True),
        sa.Column("vwap", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("ts", "symbol"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "symbols",
        metadata,
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("first_bar", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("symbol"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "declared_records",
        metadata,
        sa.Column("table_name", sa.TEXT(), nullable=False),
        sa.Column("declared_by", sa.TEXT(), nullable=False),
        sa.Column("definition", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("table_name"),
        sqlite_with_rowid=False,
    )
    for form in forms:
        record_table(form, metadata)
    orders = metadata.tables["order_intents"].columns
    sa.Index("order_intents_by_status", orders.status)
    sa.Index("order_intents_by_time", orders.created_at)
    sa.Index("trades_by_time", metadata.tables["trades"].columns.time)
    sa.Index("order_intents_by_symbol", orders.strategy, orders.symbol, orders.created_at)
    return metadata


def test_the_migrations_make_the_tables_that_the_records_declare(db: Path) -> None:
    SqliteJournal.open(db).close()
    engine = sa.create_engine(f"sqlite:///{db}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata_of(forms_of(CORE_RECORDS).values())) == []
    engine.dispose()


def schema_of(connection: sqlite3.Connection) -> tuple[str, list[Any]]:
    """A table's text, and its columns."""
    ((name, sql),) = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    quoted = name.replace('"', '""')
    return str(sql), connection.execute(f'PRAGMA table_info("{quoted}")').fetchall()


def made_by_sqlalchemy(form: Form, *added: sa.Column[Any]) -> tuple[str, list[Any]]:
    with closing(sqlite3.connect(":memory:")) as raw:
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.connect() as connection:
            record_table(form, sa.MetaData()).create(connection)
            operations = Operations(MigrationContext.configure(connection))
            for column in added:
                operations.add_column(form.table.name, column)
            return schema_of(raw)


def made_by_ourselves(form: Form, *added: str) -> tuple[str, list[Any]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(create_table(form))
        for statement in added:
            connection.execute(statement)
        return schema_of(connection)


def declared(table: str, *columns: str) -> Form:
    namespace = {"__annotations__": dict.fromkeys(columns, str), "__module__": __name__}
    return Form(record(table=table, key=columns)(type("Named", (), namespace)))


def test_a_declared_table_has_the_text_that_sqlalchemy_gives_it() -> None:
    assert made_by_ourselves(Form(Streak)) == made_by_sqlalchemy(Form(Streak))


def test_a_new_column_is_as_alembic_adds_it() -> None:
    form, old = Form(Streak), declared("streaks", "symbol", "order")
    defaults: dict[str, Any] = {
        "Days": sa.text("0"), "best": "1.5", "word": "it's 5% :x", "since": "2026-03-02T00:00:00Z",
        "share": sa.text("0.25"), "hot": sa.text("1"), "note": None, "größe": sa.text("-7"),
    }  # fmt: skip
    new = [column for column in form.table.columns if column.name in defaults]
    expected = [
        sa.Column(
            c.name, TYPES[form.codecs[c.name].sql](), nullable=c.optional,
            server_default=defaults[c.name],
        )
        for c in new
    ]  # fmt: skip
    added = [add_column(form, column) for column in new]
    assert made_by_ourselves(old, *added)[1] == made_by_sqlalchemy(old, *expected)[1]


RESERVED = sorted(SQLiteIdentifierPreparer.reserved_words)
NAMES = ["plain", "Capital", "größe", "with space", 'a"b', "9lives", "_x1", *RESERVED]


def test_any_name_is_written_as_sqlalchemy_writes_it() -> None:
    for name in NAMES:
        form = declared(name, name if name.isidentifier() and not iskeyword(name) else "x")
        assert made_by_ourselves(form) == made_by_sqlalchemy(form), name


@pytest.mark.parametrize("name", ["nothing", "returning"])
def test_a_name_that_only_sqlite_reserves_makes_a_table(name: str) -> None:
    assert f'"{name}"' in made_by_ourselves(declared(name, name))[0]


def test_a_command_given_while_the_first_start_connects_is_there_when_it_has(db: Path) -> None:
    halt = Command("1", "halt", "stop now", datetime(2026, 3, 2, 14, 30, tzinfo=UTC))
    with closing(SqliteJournal.open(db, CORE_RECORDS)) as journal:
        with closing(SqliteRows.open(db, CORE_RECORDS)) as rows:
            assert rows.in_use()
            rows.send(halt)
        assert journal.commands() == [halt]
