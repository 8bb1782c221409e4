"""Rows of declared records, and all that a step has changed until its commit takes it."""

from __future__ import annotations

from typing import Any, TypeVar

from smabot.domain.bot_records import Event
from smabot.domain.event_order import EventTimes
from smabot.domain.records import Bar
from smabot.domain.tables import KEYS, table_of

R = TypeVar("R")


class DeclaredRows:
    """Plugins' rows by key, and the changed rows and bars that wait for the step's commit."""

    def __init__(self) -> None:
        self.frozen = False
        """Whether plugins' rows stay as they are: bars are played that they have seen before."""
        self.event_times = EventTimes()
        self.tables: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._changed: dict[tuple[type, tuple[Any, ...]], Any] = {}
        self._bars: list[Bar] = []

    def table(self, kind: type[R]) -> list[R]:
        """Return all rows of a kind that are restored at start."""
        return list(self.tables.get(kind, {}).values())

    def put(self, row: Any) -> bool:
        """Take a plugin's row or an event in. False: it is known, or rows are frozen."""
        if self.frozen:
            return False
        kind = type(row)
        if kind is Event:
            row = self.event_times.placed(row)
            if row is None:
                return False
        if not table_of(kind).restore:
            self.note(row)
            return True
        rows = self.tables.setdefault(kind, {})
        key = KEYS[kind](row)
        if rows.get(key) == row:
            return False
        rows[key] = row
        self._changed[(kind, key)] = row
        return True

    def note(self, row: Any) -> None:
        """Note a row to be committed, in place of an earlier one with its key."""
        kind = type(row)
        self._changed[(kind, KEYS[kind](row))] = row

    def note_bars(self, bars: list[Bar]) -> None:
        """Note bars to be committed."""
        self._bars += bars

    def drain(self) -> tuple[list[Any], list[Bar]]:
        """Return the rows and bars changed since the last drain, each row once, as it is now."""
        rows, bars = list(self._changed.values()), self._bars
        if rows:
            self._changed = {}
            self.event_times.committed()
        self._bars = []
        return rows, bars
