"""Declared records: a frozen class whose instances are rows of a durable table.

A plugin that declares one gets a table of that name; ``book.apply(row)`` writes it in the step's
transaction, and ``book.row(Kind, *key)`` gives it back, also after a restart.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

from smabot.domain.frozen_classes import field_names, frozen, frozen_class, set_field
from smabot.system.redaction import any_secret, known_masked

T = TypeVar("T")

PLAIN_TYPES: tuple[type, ...] = (str, int, float, bool, Decimal, datetime, date)
"""What a column may hold, besides a ``StrEnum``; each may be optional."""


@frozen
class Column:
    """One column: its name, its Python type (never Optional), and whether it may be None."""

    name: str
    type: type
    optional: bool


@frozen
class Table:
    """A declared record's table: its name, the columns of its primary key, all its columns.

    ``restore`` tells whether the rows are loaded into the Book at start: true for state, false for
    history that only grows.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    restore: bool


_tables: dict[type, tuple[str, tuple[str, ...], bool]] = {}
KEYS: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
"""What returns the primary key of a row, by the record's class."""
_made: dict[type, Table] = {}


@dataclass_transform(frozen_default=True)
def record(
    table: str, key: tuple[str, ...], *, restore: bool = True
) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass whose instances are rows of ``table``, unique by ``key``.

    What takes a dataclass takes it, too; `replace` changes a row faster than `dataclasses.replace`.

    >>> @record(table="streaks", key=("symbol",))
    ... class Streak:
    ...     symbol: str
    ...     days: int = 0
    >>> table_of(Streak).name
    'streaks'

    Registered secrets are masked in its texts, except in its key, when an instance is made.
    Raises TypeError when a key column does not exist or a column's type can't be stored.
    """

    def declare(cls: type[T]) -> type[T]:
        made = frozen_class(cls, _text_masker(cls, key))
        if missing := [name for name in key if name not in field_names(made)]:
            raise TypeError(f"record {cls.__name__}: key column {missing[0]!r} is not a field")
        _tables[made] = (table, key, restore)
        KEYS[made] = _key_getter(key)
        return made

    return declare


def _text_masker(cls: type, key: tuple[str, ...]) -> Callable[[Any], None] | None:
    """Return what masks registered secrets in the texts of a new instance; None: it has no texts."""
    texts = [
        name
        for name, hint in inspect.get_annotations(cls).items()
        if name not in key and str(hint).startswith(("str", "<class 'str'>"))
    ]

    def mask(row: Any) -> None:
        if not any_secret():
            return
        for name in texts:
            text = getattr(row, name)
            if text and (masked := known_masked(text)) is not text:
                set_field(row, name, masked)

    return mask if texts else None


def table_of(kind: type) -> Table:
    """Return the table of a declared record. Raises TypeError for any other class."""
    table = _made.get(kind)
    return _table_of(kind) if table is None else table


def _table_of(kind: type) -> Table:
    try:
        name, key, restore = _tables[kind]
    except KeyError:
        raise TypeError(f"{kind!r} is not declared with @record") from None
    hints = typing.get_type_hints(kind)
    columns = tuple(_column(kind, name, hints[name]) for name in field_names(kind))
    _made[kind] = Table(name, key, columns, restore)
    return _made[kind]


def key_of(row: Any) -> tuple[Any, ...]:
    """Return the primary key of a declared record."""
    return KEYS[type(row)](row)


def _key_getter(key: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(key) != 1:
        return attrgetter(*key) if key else lambda row: ()
    get = attrgetter(key[0])
    return lambda row: (get(row),)


def _column(kind: type, name: str, hint: Any) -> Column:
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        optional = len(members) < len(typing.get_args(hint))
        hint = members[0] if len(members) == 1 else hint
    if isinstance(hint, type) and (hint in PLAIN_TYPES or issubclass(hint, StrEnum)):
        return Column(name, hint, optional)
    raise TypeError(
        f"record {kind.__name__}: column {name!r} has a type that can't be stored: {hint}"
    )
