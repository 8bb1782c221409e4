"""Creating and changing the schema, in one transaction, after a copy of what is to be changed."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from smabot.provider import CORE_RECORDS, Column, ConfigError, FileLock
from smabot_persistence_sqlite.backup import copy_database, sync
from smabot_persistence_sqlite.connection import connect, make_durable
from smabot_persistence_sqlite.record_mapping import Form, quoted
from smabot_persistence_sqlite.schema import TYPES, record_table
from smabot_persistence_sqlite.schema_version import Lineage, Stamp

_STAMP = (
    "INSERT INTO declared_records (table_name, declared_by, definition) VALUES (?, ?, ?) "
    "ON CONFLICT (table_name) DO UPDATE "
    "SET declared_by = excluded.declared_by, definition = excluded.definition"
)


def bring_up_to_date(
    path: Path, shown: Path, forms: Collection[Form], stamp: Stamp, lineage: Lineage
) -> list[str]:
    """Run the migrations, create new records' tables, add new columns. Returns what was done.

    Whatever interrupts it, the database is wholly as before or wholly up to date. Raises
    ConfigError for a change that can't be made; then nothing was done.
    """
    added = {
        form: columns
        for form in forms
        if form.kind not in CORE_RECORDS and (columns := _new_columns(form, stamp, shown))
    }
    news = []
    if stamp.revision is not None and (stamp.revision != lineage.head or added):
        copy = path.with_name(f"{path.name}.{_label(stamp.revision, lineage, added)}.bak")
        copy_database(path, copy)
        news.append(f"copy before the change: {shown.with_name(copy.name)}")
    try:
        news += _change_all(path, shown, forms, added, stamp, lineage)
    except sa.exc.DBAPIError as error:
        raise error.orig or error from error
    return news if stamp.revision is not None else []


def create(
    path: Path, shown: Path, forms: Collection[Form], lineage: Lineage, lock: FileLock
) -> None:
    """Make a new database, and lock it, before it gets its name: one that is there is whole.

    Raises ConfigError when it can't be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        _remove(unfinished)
        unfinished.touch()
        bring_up_to_date(unfinished, shown, forms, Stamp(None, {}), lineage)
        sync(unfinished)
        lock.hold(unfinished)
        unfinished.replace(path)
        sync(path.parent)
    except OSError as error:
        raise ConfigError(f"database {shown} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            _remove(unfinished)


def _remove(path: Path) -> None:
    """Remove a database with its log, as far as they are there."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _change_all(
    path: Path,
    shown: Path,
    forms: Collection[Form],
    added: dict[Form, list[Column]],
    stamp: Stamp,
    lineage: Lineage,
) -> list[str]:
    """Make all changes in one transaction."""
    news = []
    declared = [form for form in forms if form.kind not in CORE_RECORDS]
    with closing(connect(path, "rw")) as raw:
        make_durable(raw, shown)
        engine = sa.create_engine("sqlite://", creator=lambda: raw, poolclass=sa.StaticPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if stamp.revision != lineage.head:
                _upgrade(connection, lineage)
                news.append(f"schema {stamp.revision or 'none'} → {lineage.head}")
            news += _change(connection, declared, added, stamp, shown)
            _check_core(raw, [form for form in forms if form.kind in CORE_RECORDS], shown)
            stamps = [(form.table.name, form.declared_by, form.definition) for form in forms]
            raw.executemany(_STAMP, stamps)
            connection.commit()
    return news


def _label(revision: str, lineage: Lineage, added: dict[Form, list[Column]]) -> str:
    """Return what sets this change's copy apart from any other's."""
    if revision != lineage.head:
        return revision
    names = (f"{form.table.name}.{c.name}" for form, columns in added.items() for c in columns)
    return ".".join((revision, *names))


def _upgrade(connection: sa.Connection, lineage: Lineage) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", lineage.location)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _change(
    connection: sa.Connection,
    declared: list[Form],
    added: dict[Form, list[Column]],
    stamp: Stamp,
    shown: Path,
) -> list[str]:
    operations = Operations(MigrationContext.configure(connection))
    news = []
    for form in declared:
        name = form.table.name
        if name not in stamp.definitions:
            if sa.inspect(connection).has_table(name):
                raise ConfigError(
                    f"{shown} has a table {name} that smabot did not make: rename it, or give "
                    f"{form.declared_by} another table name"
                )
            record_table(form, sa.MetaData()).create(connection)
            news.append(f"new table {name}")
        for column in added.get(form, ()):
            operations.add_column(name, _with_default(form, column))
            news.append(f"new column {name}.{column.name}")
    return news


def _new_columns(form: Form, stamp: Stamp, shown: Path) -> list[Column]:
    """Return the columns that an existing table lacks.

    Raises ConfigError when anything else differs, or a new column has no default.
    """
    stored = stamp.definitions.get(form.table.name, form.definition)
    if stored == form.definition:
        return []
    old_columns, old_key = _parsed(stored)
    new_columns, new_key = _parsed(form.definition)
    where = f"table {form.table.name} of {shown}, declared by {form.declared_by}"
    remedy = "declare the record under another table name, or drop the table with sqlite3"
    if old_key != new_key:
        raise ConfigError(f"{where}: its key was {old_key} and is now {new_key}: {remedy}")
    for name, type_ in old_columns.items():
        if name not in new_columns:
            raise ConfigError(f"{where}: column {name} is gone: put it back, {remedy}")
        if new_columns[name] != type_:
            raise ConfigError(
                f"{where}: column {name} was {type_} and is now {new_columns[name]}: {remedy}"
            )
    columns = [c for c in form.table.columns if c.name not in old_columns]
    for column in columns:
        if _default(form, column) is None and not column.optional:
            raise ConfigError(f"{where}: the new column {column.name} has no default: give it one")
    return columns


def _parsed(definition: str) -> tuple[dict[str, str], str]:
    columns, _, key = definition.partition("; key ")
    pairs = (column.split(" ", 1) for column in columns.split(", "))
    return {words[0]: words[1] for words in pairs}, key


def _default(form: Form, column: Column) -> Any:
    """Return the stored form of a column's default, None when it has none or None."""
    fields: dict[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(form.kind)}
    field = fields[column.name]
    if field.default is not dataclasses.MISSING:
        return form.value(column.name, field.default)
    if field.default_factory is not dataclasses.MISSING:
        return form.value(column.name, field.default_factory())
    return None


def _with_default(form: Form, column: Column) -> sa.Column[Any]:
    default = _default(form, column)
    return sa.Column(
        column.name,
        TYPES[form.codecs[column.name].sql](),
        nullable=column.optional,
        server_default=default if isinstance(default, str | None) else sa.text(repr(default)),
    )


def _check_core(connection: sqlite3.Connection, core: list[Form], shown: Path) -> None:
    """Raise ConfigError when the migrations and core's records are of different releases."""
    for form in core:
        stored = connection.execute(f"PRAGMA table_info({quoted(form.table.name)})")
        found = {(name, sql, not required) for _, name, sql, required, _, _ in stored}
        wanted = {(c.name, form.codecs[c.name].sql, c.optional) for c in form.table.columns}
        if differing := sorted(name for name, _, _ in found ^ wanted):
            raise ConfigError(
                f"{shown}: column {form.table.name}.{differing[0]} is not as this smabot has it: "
                "install smabot and smabot-persistence-sqlite of one release"
            )
