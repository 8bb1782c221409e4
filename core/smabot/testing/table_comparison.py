"""Compares the tables of two bots row by row, and tells the first difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from smabot.domain.bot_records import Run
from smabot.domain.records import Bar
from smabot.domain.tables import key_of, table_of

Tables = Mapping[str, Mapping[tuple[Any, ...], Any]]
"""By table, its rows by their primary key."""
NOT_COMPARED = (Run,)
"""What tells of processes, of which a killed bot has more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of two bots' tables, in words: of which row, and what differs."""

    table: str
    row: str
    what: str

    def __str__(self) -> str:
        return f"table {self.table}, row {self.row}: {self.what}"


class Tabled(Protocol):
    """A journal, or a database: records by their class, and bars."""

    def kinds(self) -> Sequence[type]: ...

    def rows(self, kind: type[Any]) -> list[Any]: ...

    @property
    def bars(self) -> list[Bar]: ...


def tables_of(journal: Tabled) -> Tables:
    """Return all tables that two bots' lives should have alike."""
    found: dict[str, Mapping[tuple[Any, ...], Any]] = {}
    for kind in journal.kinds():
        if kind not in NOT_COMPARED:
            rows: list[Any] = journal.rows(kind)
            found[table_of(kind).name] = {key_of(row): row for row in rows}
    return {**found, "bars": {(bar.symbol, bar.time): bar for bar in journal.bars}}


def first_difference(
    expected: Tables, found: Tables, said: Sequence[str] = ("the uninterrupted run", "this one")
) -> Difference | None:
    """Return the first difference, None where there is none; ``said`` names both bots.

    What was decided comes before what followed from it: signals, orders, fills, then the rest.
    """
    names = sorted({*expected, *found}, key=lambda name: (_turn(name), name))
    for name in names:
        one, other = expected.get(name, {}), found.get(name, {})
        if one == other:
            continue
        for key in sorted({*one, *other}, key=lambda key: (_time_in(key), repr(key))):
            if one.get(key) != other.get(key):
                shown = ", ".join(_shown(part) for part in key)
                return Difference(name, shown, _what_differs(one.get(key), other.get(key), said))
    return None


def _what_differs(one: Any, other: Any, said: Sequence[str]) -> str:
    if one is None or other is None:
        has, lacks = (said[1], said[0]) if one is None else (said[0], said[1])
        return f"{has} has it, {lacks} does not"
    differing = [name for name in columns_of(one) if getattr(one, name) != getattr(other, name)]
    shown = [
        f"{name} is {_shown(getattr(one, name))} in {said[0]}, {_shown(getattr(other, name))} in {said[1]}"
        for name in differing[:2]
    ]
    return "; ".join(shown)


def columns_of(row: Any) -> Sequence[str]:
    """Return the names of a row's columns."""
    named: Sequence[str] = getattr(row, "_fields", None) or [
        column.name for column in table_of(type(row)).columns
    ]
    return named


def _turn(name: str) -> int:
    order = ("signals", "order_intents", "trades", "positions_snapshot")
    return order.index(name) if name in order else len(order)


def _time_in(key: tuple[Any, ...]) -> str:
    times = [part.isoformat() for part in key if hasattr(part, "isoformat")]
    return times[0] if times else ""


def _shown(value: Any) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if hasattr(value, "hour") else str(value)
