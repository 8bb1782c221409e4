"""Changing the schema of a database, in one transaction, after a copy of what is to be changed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack, closing
from pathlib import Path

from smabot.provider import CORE_RECORDS, Column, ConfigError
from smabot_persistence_sqlite.backup import copy_database
from smabot_persistence_sqlite.connection import connect, make_durable
from smabot_persistence_sqlite.declared_tables import add_columns, create_tables, stamp_records
from smabot_persistence_sqlite.record_ddl import default
from smabot_persistence_sqlite.record_mapping import Form
from smabot_persistence_sqlite.schema_version import Lineage, Stamp


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
    news += _change_all(path, shown, forms, added, stamp, lineage)
    return news if stamp.revision is not None else []


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
    with closing(connect(path, "rw")) as connection, ExitStack() as migrating:
        make_durable(connection, shown)
        if stamp.revision == lineage.head:
            connection.execute("BEGIN IMMEDIATE")
        else:
            from smabot_persistence_sqlite.alembic_upgrade import upgraded

            migrating.enter_context(upgraded(connection, lineage))
            news.append(f"schema {stamp.revision or 'none'} → {lineage.head}")
        news += create_tables(connection, forms, stamp.definitions, shown)
        news += add_columns(connection, added)
        stamp_records(connection, forms, shown)
        connection.execute("COMMIT")
    return news


def _label(revision: str, lineage: Lineage, added: dict[Form, list[Column]]) -> str:
    """Return what sets this change's copy apart from any other's."""
    if revision != lineage.head:
        return revision
    names = (f"{form.table.name}.{c.name}" for form, columns in added.items() for c in columns)
    return ".".join((revision, *names))


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
        if default(form, column) is None and not column.optional:
            raise ConfigError(f"{where}: the new column {column.name} has no default: give it one")
    return columns


def _parsed(definition: str) -> tuple[dict[str, str], str]:
    columns, _, key = definition.partition("; key ")
    pairs = (column.split(" ", 1) for column in columns.split(", "))
    return {words[0]: words[1] for words in pairs}, key
