"""The statements that make a record's table and add a column to it.

Their text is to the letter what SQLAlchemy wrote in older releases: databases stay comparable by text.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from smabot.provider import Column
from smabot_persistence_sqlite.record_mapping import Form, quoted

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_RESERVED = """
add after all alter analyze and as asc attach autoincrement before begin between by
cascade case cast check collate column commit conflict constraint create cross
current_date current_time current_timestamp database default deferrable deferred delete
desc detach distinct drop each else end escape except exclusive exists explain fail false
for foreign from full glob group having if ignore immediate in index indexed initially
inner insert instead intersect into is isnull join key left like limit match natural not
nothing notnull null of offset on or order outer plan pragma primary query raise
references reindex rename replace restrict returning right rollback row select set table
temp temporary then to transaction trigger true union unique update using vacuum values
view virtual when where
"""
_WORDS = frozenset(_RESERVED.split())


def create_table(form: Form) -> str:
    """Return the statement that makes a record's table."""
    columns = [f"\t{_column(form, column)}, \n" for column in form.table.columns]
    key = ", ".join(map(_name, form.table.key))
    return (
        f"CREATE TABLE {_name(form.table.name)} (\n{''.join(columns)}"
        f"\tPRIMARY KEY ({key})\n)\n WITHOUT ROWID\n\n"
    )


def add_column(form: Form, column: Column) -> str:
    """Return the statement that adds a column, with its default for the rows that are there."""
    return f"ALTER TABLE {_name(form.table.name)} ADD COLUMN {_column(form, column, with_default=True)}"


def default(form: Form, column: Column) -> Any:
    """Return the stored form of a column's default, None when it has none or None."""
    fields: dict[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(form.kind)}
    field = fields[column.name]
    if field.default is not dataclasses.MISSING:
        return form.value(column.name, field.default)
    if field.default_factory is not dataclasses.MISSING:
        return form.value(column.name, field.default_factory())
    return None


def _column(form: Form, column: Column, with_default: bool = False) -> str:
    words = [_name(column.name), form.codecs[column.name].sql]
    value = default(form, column) if with_default else None
    if value is not None:
        words.append(f"DEFAULT {_literal(value)}")
    if not column.optional:
        words.append("NOT NULL")
    return " ".join(words)


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in _WORDS else quoted(name)
