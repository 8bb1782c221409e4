"""A journal around another one, which changes some of what it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from smabot.domain.bot_records import Command
from smabot.domain.records import Bar
from smabot.hooks.ports import Journal

R = TypeVar("R")


class JournalAround:
    """Implements `smabot.hooks.ports.Journal` by another one."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def location(self) -> str:
        return self._journal.location

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        self._journal.commit(rows, bars)

    def row(self, kind: type[R], *key: Any) -> R | None:
        return self._journal.row(kind, *key)

    def rows(self, kind: type[R], **query: Any) -> list[R]:
        return self._journal.rows(kind, **query)

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        return self._journal.count(kind, where=where)

    def bar_counts(self) -> dict[str, int]:
        return self._journal.bar_counts()

    def newest_bar(self) -> datetime | None:
        return self._journal.newest_bar()

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        return self._journal.windows(lookback, symbols)

    def in_use(self) -> bool:
        return self._journal.in_use()

    def send(self, command: Command) -> None:
        self._journal.send(command)

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        return self._journal.withdraw(command_id, at, answer)

    def commands(self) -> list[Command]:
        return self._journal.commands()

    def check_in_place(self) -> None:
        self._journal.check_in_place()

    def close(self) -> None:
        self._journal.close()
