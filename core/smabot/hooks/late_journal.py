"""A journal that is written in large parts: of a backtest that was killed nobody goes on, it begins anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from smabot.domain.bot_records import Command
from smabot.domain.records import Bar
from smabot.domain.tables import KEYS
from smabot.hooks.ports import Journal

R = TypeVar("R")
MOST_ROWS = 20_000
"""So many rows and bars wait at most."""


class LateJournal:
    """Implements `smabot.hooks.ports.Journal` by another one, which gets many commits as one.

    What is read is as if each had been written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._bars: list[Bar] = []
        self._waiting = 0

    @property
    def location(self) -> str:
        return self._journal.location

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
            self._journal.commit(rows, self._bars)
            self._rows, self._bars, self._waiting = {}, [], 0

    def row(self, kind: type[R], *key: Any) -> R | None:
        waiting: R | None = self._rows.get(kind, {}).get(key)
        return self._journal.row(kind, *key) if waiting is None else waiting

    def rows(
        self,
        kind: type[R],
        *,
        where: Mapping[str, Any] | None = None,
        since: tuple[str, Any] | None = None,
        newest_by: str | None = None,
        limit: int | None = None,
        until: tuple[str, Any] | None = None,
    ) -> list[R]:
        self._write_all_of(kind)
        return self._journal.rows(
            kind, where=where, since=since, newest_by=newest_by, limit=limit, until=until
        )

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        self._write_all_of(kind)
        return self._journal.count(kind, where=where)

    def bar_counts(self) -> dict[str, int]:
        self.write()
        return self._journal.bar_counts()

    def newest_bar(self) -> datetime | None:
        self.write()
        return self._journal.newest_bar()

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        self.write()
        return self._journal.windows(lookback, symbols)

    def in_use(self) -> bool:
        return self._journal.in_use()

    def send(self, command: Command) -> None:
        self._journal.send(command)

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        return self._journal.withdraw(command_id, at, answer)

    def commands(self) -> list[Command]:
        found = self._journal.commands()
        if found:  # the next commit is theirs
            self._waiting = MOST_ROWS
        return found

    def check_in_place(self) -> None:
        """It is checked where it is written."""

    def close(self) -> None:
        """Close the journal. What is not written by then is lost."""
        self._journal.close()

    def _write_all_of(self, kind: type) -> None:
        if kind in self._rows:
            self.write()
