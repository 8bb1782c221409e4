"""Maps a record class to its table: SQL statements, built once, and rows in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from smabot.provider import (
    CORE_RECORDS,
    Column,
    ConfigError,
    JournalError,
    SmabotError,
    table_of,
)
from smabot_persistence_sqlite.value_codec import Codec, codec_of

E = TypeVar("E", bound=SmabotError)

OWN_TABLES = frozenset({"bars", "bars_utc", "symbols", "declared_records", "alembic_version"})


def about(kind: type, error: E) -> E:
    """Return an error with the record class it is about: core knows which plugin declares that."""
    error.about = kind
    return error


def quoted(name: str) -> str:
    """Return an identifier for use in SQL."""
    return '"' + name.replace('"', '""') + '"'


class StoredKinds:
    """The types that SQLite's values of a table have: SQLite itself keeps any value in any column."""

    def __init__(self, columns: Iterable[Column], codecs: Iterable[Codec]) -> None:
        self._allowed = [
            {codec.stored, type(None)} if column.optional else {codec.stored}
            for column, codec in zip(columns, codecs, strict=True)
        ]
        self._seen: set[tuple[type, ...]] = set()
        """The types of rows that were looked at and are sound."""

    def first_other(self, values: Sequence[Any]) -> int | None:
        """Return the place of the first value of another type than its column's; None where all fit."""
        kinds = tuple(map(type, values))
        if kinds in self._seen:
            return None
        for place, kind in enumerate(kinds):
            if kind not in self._allowed[place]:
                return place
        self._seen.add(kinds)
        return None


class Form:
    """How the records of one class are written to and read from their table."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.table = table_of(kind)
        self.names = tuple(column.name for column in self.table.columns)
        self.codecs: dict[str, Codec] = {c.name: codec_of(c.type) for c in self.table.columns}
        self._encoders = tuple(codec.encode for codec in self.codecs.values())
        self._decoders = tuple(
            (index, codec.decode)
            for index, codec in enumerate(self.codecs.values())
            if codec.decode is not None
        )
        self._kinds = StoredKinds(self.table.columns, self.codecs.values())
        self._values = attrgetter(*self.names)
        columns = ", ".join(map(quoted, self.names))
        self.select = f"SELECT {columns} FROM {quoted(self.table.name)}"  # noqa: S608
        self.by_key = (
            self.select + " WHERE " + " AND ".join(f"{quoted(k)} = ?" for k in self.table.key)
        )
        self.upsert = self._upsert(columns)
        self.definition = self._definition()
        """The table's shape in a line, whatever the order of the columns."""

    @property
    def declared_by(self) -> str:
        """The class, by its full name."""
        return f"{self.kind.__module__}.{self.kind.__qualname__}"

    def _definition(self) -> str:
        columns = sorted(
            f"{c.name} {self.codecs[c.name].word}{' null' if c.optional else ''}"
            for c in self.table.columns
        )
        return f"{', '.join(columns)}; key {', '.join(self.table.key)}"

    def _upsert(self, columns: str) -> str:
        values = ", ".join("?" * len(self.names))
        updates = ", ".join(
            f"{quoted(name)} = excluded.{quoted(name)}"
            for name in self.names
            if name not in self.table.key
        )
        action = f"UPDATE SET {updates}" if updates else "NOTHING"
        key = ", ".join(map(quoted, self.table.key))
        return (
            f"INSERT INTO {quoted(self.table.name)} ({columns}) VALUES ({values}) "  # noqa: S608
            f"ON CONFLICT ({key}) DO {action}"
        )

    def encode(self, row: Any) -> tuple[Any, ...]:
        """Return a record as SQLite values. Raises JournalError naming the column that can't be."""
        values = self._values(row) if len(self.names) > 1 else (self._values(row),)
        try:
            return tuple(
                [
                    None if value is None else encode(value)
                    for encode, value in zip(self._encoders, values, strict=True)
                ]
            )
        except (TypeError, ValueError, OverflowError):
            for name, value in zip(self.names, values, strict=True):
                self.value(name, value)
            raise

    def value(self, column: str, value: Any) -> Any:
        """Return one value of a column as SQLite keeps it. Raises JournalError when it can't be."""
        if column not in self.codecs:
            raise TypeError(f"{self.kind.__name__} has no column {column!r}")
        try:
            return None if value is None else self.codecs[column].encode(value)
        except (TypeError, ValueError, OverflowError):
            raise about(
                self.kind,
                JournalError(
                    f"{value!r} can't be kept in {self.table.name}.{column}, which holds "
                    f"{_HOLDS.get(self.codecs[column].word, self.codecs[column].word)}"
                ),
            ) from None

    def decode(self, stored: Sequence[Any]) -> Any:
        """Return the record of a stored row. Raises JournalError naming the value that is no such."""
        values = list(stored)
        index = 0
        try:
            if (odd := self._kinds.first_other(values)) is not None:
                index = odd
                raise TypeError
            for index, decode in self._decoders:
                if values[index] is not None:
                    values[index] = decode(values[index])
        except (KeyError, TypeError, ValueError, ArithmeticError):
            raise about(
                self.kind,
                JournalError(
                    f"{self.table.name}.{self.names[index]} holds {repr(values[index])[:80]}, which is no "
                    f"{self.table.columns[index].type.__name__}: restore a backup, or put it right with sqlite3"
                ),
            ) from None
        return self.kind(*values)


_HOLDS = {
    "decimal": "finite Decimals",
    "time": "datetimes with a time zone",
    "real": "numbers (not NaN)",
    "integer": "integers of 64 bits",
}


def forms_of(kinds: Sequence[type]) -> dict[type, Form]:
    """Return the form of each core and declared record class.

    Raises ConfigError when two classes claim a table, or one can't be a table.
    """
    forms: dict[type, Form] = {}
    owners: dict[str, Form] = {}
    for kind in (*CORE_RECORDS, *kinds):
        if kind in forms:
            continue
        form = forms[kind] = Form(kind)
        name = form.table.name.lower()
        if name in OWN_TABLES or name.startswith("sqlite_"):
            raise about(
                kind,
                ConfigError(
                    f"{form.declared_by} declares the table {form.table.name!r}, which is the journal's "
                    "own: give the record another table name"
                ),
            )
        if other := owners.get(name):
            raise about(
                kind,
                ConfigError(
                    f"{form.declared_by} and {other.declared_by} both declare the table "
                    f"{form.table.name!r}: give one of them another table name"
                ),
            )
        owners[name] = form
        _check_columns(form)
    return forms


def _check_columns(form: Form) -> None:
    if not form.table.key:
        raise about(
            form.kind,
            ConfigError(f"{form.declared_by} has no key: name the columns that make a row unique"),
        )
    for column in form.table.columns:
        if column.optional and column.name in form.table.key:
            raise about(
                form.kind,
                ConfigError(
                    f"{form.declared_by}: the key column {column.name!r} may be None: make it required"
                ),
            )
    if len({name.lower() for name in form.names}) < len(form.names):
        raise about(
            form.kind,
            ConfigError(f"{form.declared_by}: two columns differ by upper and lower case only"),
        )
