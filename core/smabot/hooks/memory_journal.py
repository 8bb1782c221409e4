"""A journal that keeps everything in memory: for backtests, tests, and runs without persistence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from smabot.domain.bot_records import Command
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Bar
from smabot.domain.tables import KEYS

R = TypeVar("R")


class MemoryJournal:
    """Implements `smabot.hooks.ports.Journal`; all is gone at the process's end."""

    location = "memory"

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self._tables: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._commands: dict[str, Command] = {}

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        tables = self._tables
        for row in rows:
            kind = type(row)
            if kind not in tables:
                tables[kind] = {}
            tables[kind][KEYS[kind](row)] = row
        self.bars += bars

    def row(self, kind: type[R], *key: Any) -> R | None:
        return self._tables.get(kind, {}).get(key)

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
        found = list(self._tables.get(kind, {}).items())
        for column, value in (where or {}).items():
            members = value if isinstance(value, (tuple, list)) else (value,)
            found = [pair for pair in found if getattr(pair[1], column) in members]
        if since is not None:
            found = [pair for pair in found if getattr(pair[1], since[0]) >= since[1]]
        if until is not None:
            found = [pair for pair in found if getattr(pair[1], until[0]) <= until[1]]
        if newest_by is None:
            return [row for _, row in sorted(found, key=_by_key)[:limit]]

        def by_age(pair: tuple[tuple[Any, ...], Any]) -> tuple[Any, tuple[Any, ...]]:
            return getattr(pair[1], newest_by), pair[0]

        if limit == 1:
            return [max(found, key=by_age)[1]] if found else []
        found.sort(key=by_age)
        return [row for _, row in (found if limit is None else found[-limit:])]

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        return len(self.rows(kind, where=where))

    def bar_counts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for bar in self.bars:
            counts[bar.symbol] = counts.get(bar.symbol, 0) + 1
        return counts

    def newest_bar(self) -> datetime | None:
        return max((bar.time for bar in self.bars), default=None)

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        missing = dict.fromkeys(symbols, lookback) if lookback else {}
        kept: list[Bar] = []
        for bar in reversed(self.bars):
            if not missing:
                break
            if bar.symbol in missing:
                kept.append(bar)
                missing[bar.symbol] -= 1
                if not missing[bar.symbol]:
                    del missing[bar.symbol]
        kept.sort(key=lambda bar: (bar.time, bar.symbol))
        for _, minute in groupby(kept, key=lambda bar: bar.time):
            yield list(minute)

    def in_use(self) -> bool:
        return True

    def send(self, command: Command) -> None:
        """Queue an operator's command for the next step."""
        self._commands[command.id] = command

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        """End a command that still waits; False when it was taken already."""
        command = self._commands.pop(command_id, None)
        if command is None:
            return False
        self.commit([replace(command, applied_at=at, answer=answer)])
        return True

    def commands(self) -> list[Command]:
        if not self._commands:
            return []
        found = sorted(self._commands.values(), key=lambda each: (each.created_at, each.id))
        self._commands.clear()
        return found

    def check_in_place(self) -> None:
        """Nobody can take it away."""

    def close(self) -> None:
        return


def _by_key(pair: tuple[tuple[Any, ...], Any]) -> tuple[Any, ...]:
    return pair[0]
