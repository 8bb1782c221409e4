"""The tables of declared records: made when a record first shows, grown with it, and what is noted of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from smabot.provider import CORE_RECORDS, Column, ConfigError
from smabot_persistence_sqlite.record_ddl import add_column, create_table
from smabot_persistence_sqlite.record_mapping import Form, quoted

_STAMP = (
    "INSERT INTO declared_records (table_name, declared_by, definition) VALUES (?, ?, ?) "
    "ON CONFLICT (table_name) DO UPDATE "
    "SET declared_by = excluded.declared_by, definition = excluded.definition"
)


def create_tables(
    connection: sqlite3.Connection, forms: Collection[Form], known: Container[str], shown: Path
) -> list[str]:
    """Make the tables of declared records that are not known yet. Returns what was done.

    Raises ConfigError where another program made a table of that name.
    """
    news = []
    for form in forms:
        name = form.table.name
        if form.kind in CORE_RECORDS or name in known:
            continue
        if _columns(connection, name):
            raise ConfigError(
                f"{shown} has a table {name} that smabot did not make: rename it, or give "
                f"{form.declared_by} another table name"
            )
        connection.execute(create_table(form))
        news.append(f"new table {name}")
    return news


def add_columns(
    connection: sqlite3.Connection, added: Mapping[Form, Iterable[Column]]
) -> list[str]:
    """Add columns to tables that lack them. Returns what was done."""
    news = []
    for form, columns in added.items():
        for column in columns:
            connection.execute(add_column(form, column))
            news.append(f"new column {form.table.name}.{column.name}")
    return news


def stamp_records(connection: sqlite3.Connection, forms: Collection[Form], shown: Path) -> None:
    """Note the shape of each record's table.

    Raises ConfigError when the schema and core's records are of different releases.
    """
    for form in forms:
        if form.kind in CORE_RECORDS:
            _check(connection, form, shown)
    stamps = [(form.table.name, form.declared_by, form.definition) for form in forms]
    connection.executemany(_STAMP, stamps)


def _check(connection: sqlite3.Connection, form: Form, shown: Path) -> None:
    stored = _columns(connection, form.table.name)
    found = {(name, sql, not required) for _, name, sql, required, _, _ in stored}
    wanted = {(c.name, form.codecs[c.name].sql, c.optional) for c in form.table.columns}
    if differing := sorted(name for name, _, _ in found ^ wanted):
        raise ConfigError(
            f"{shown}: column {form.table.name}.{differing[0]} is not as this smabot has it: "
            "install smabot and smabot-persistence-sqlite of the same release"
        )


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
