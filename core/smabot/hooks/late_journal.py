"""A journal that is written in large parts: of a backtest that was killed nobody goes on, it begins anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from smabot.domain.bot_records import Command
from smabot.domain.records import Bar
from smabot.domain.tables import KEYS
from smabot.hooks.journal_around import JournalAround
from smabot.hooks.ports import Journal

R = TypeVar("R")
MOST_ROWS = 20_000
"""So many rows and bars wait at most."""


class LateJournal(JournalAround):
    """The other journal gets many commits as one.

    What is read is as if each had been written.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._rows: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._bars: list[Bar] = []
        self._waiting = 0

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        for row in rows:
            kind = type(row)
            self._rows.setdefault(kind, {})[KEYS[kind](row)] = row
        self._bars += bars
        self._waiting += len(rows) + len(bars)
        if self._waiting >= MOST_ROWS:
            self.write()

    def write(self) -> None:
        """Write what waits. Raises JournalError; then nothing of it was written."""
        if self._waiting:
            rows = [row for rows in self._rows.values() for row in rows.values()]
            super().commit(rows, self._bars)
            self._rows, self._bars, self._waiting = {}, [], 0

    def row(self, kind: type[R], *key: Any) -> R | None:
        waiting: R | None = self._rows.get(kind, {}).get(key)
        return super().row(kind, *key) if waiting is None else waiting

    def rows(self, kind: type[R], **query: Any) -> list[R]:
        self._write_all_of(kind)
        return super().rows(kind, **query)

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        self._write_all_of(kind)
        return super().count(kind, where=where)

    def bar_counts(self) -> dict[str, int]:
        self.write()
        return super().bar_counts()

    def newest_bar(self) -> datetime | None:
        self.write()
        return super().newest_bar()

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        self.write()
        return super().windows(lookback, symbols)

    def commands(self) -> list[Command]:
        found = super().commands()
        if found:  # the next commit is theirs
            self._waiting = MOST_ROWS
        return found

    def check_in_place(self) -> None:
        """It is checked where it is written."""

    def _write_all_of(self, kind: type) -> None:
        if kind in self._rows:
            self.write()
