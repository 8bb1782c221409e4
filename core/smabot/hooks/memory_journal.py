"""A journal that keeps everything in memory, as SQLite would: for backtests, tests, and runs without persistence."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from smabot.domain.bot_records import Command
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Bar
from smabot.domain.tables import KEYS, key_of

R = TypeVar("R")
_bar_time = attrgetter("time")


class MemoryJournal:
    """Implements `smabot.hooks.ports.Journal`; all is gone with the object."""

    location = "memory"

    def __init__(self) -> None:
        self._tables: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._bars: dict[str, list[Bar]] = {}
        """Each symbol's bars, by their time."""
        self._orders: dict[type, dict[str | None, list[Any]]] = {}
        """Rows of tables that were read, in the orders asked for, until they change."""
        self._waiting: dict[str, Command] = {}
        """Commands that no committed step has carried out yet."""
        self._taken: frozenset[str] = frozenset()
        """Those of them that a step is carrying out."""

    def copy(self) -> MemoryJournal:
        """Return a journal of its own that has the same rows, bars and waiting commands."""
        copy = MemoryJournal()
        copy._tables = {kind: dict(rows) for kind, rows in self._tables.items()}
        copy._bars = {symbol: list(bars) for symbol, bars in self._bars.items()}
        copy._waiting = dict(self._waiting)
        return copy

    def is_as(self, other: MemoryJournal) -> bool:
        """Whether both hold exactly the same."""
        return (self._tables, self._bars, self._waiting, self._taken) == (
            other._tables, other._bars, other._waiting, other._taken,
        )  # fmt: skip

    def kinds(self) -> list[type]:
        """Return the classes of the records that were committed."""
        return list(self._tables)

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        tables = self._tables
        for row in rows:
            kind = type(row)
            if kind not in tables:
                tables[kind] = {}
            tables[kind][KEYS[kind](row)] = row
            if kind in self._orders:
                del self._orders[kind]
            if kind is Command:
                self._waiting.pop(row.id, None)
        self._keep_bars(bars)
        self._taken = frozenset()

    def _keep_bars(self, bars: Sequence[Bar]) -> None:
        for bar in bars:
            self._keep(bar)

    def _keep(self, bar: Bar) -> None:
        """Keep a bar, unless its minute has one: that one's values were decided on."""
        kept = self._bars.setdefault(bar.symbol, [])
        if not kept or kept[-1].time < bar.time:
            kept.append(bar)
            return
        place = bisect_left(kept, bar.time, key=lambda each: each.time)
        if kept[place].time != bar.time:
            kept.insert(place, bar)

    @property
    def bars(self) -> list[Bar]:
        """All bars, by time and symbol."""
        found = (bar for bars in self._bars.values() for bar in bars)
        return sorted(found, key=lambda bar: (bar.time, bar.symbol))

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
        ordered = self._ordered(kind, newest_by)
        begin, end = _place(ordered, newest_by, since, until)
        others = [bound for bound in (since, until) if bound is not None and bound[0] != newest_by]
        if limit is not None and newest_by is not None and not (where or others):
            begin = max(begin, end - limit)
        found = ordered[begin:end]
        if since in others:
            found = [row for row in found if getattr(row, since[0]) >= since[1]]
        if until in others:
            found = [row for row in found if getattr(row, until[0]) <= until[1]]
        for column, value in (where or {}).items():
            members = value if isinstance(value, (tuple, list)) else (value,)
            found = [row for row in found if getattr(row, column) in members]
        if limit is None:
            return found
        return found[max(len(found) - limit, 0) :] if newest_by is not None else found[:limit]

    def _ordered(self, kind: type, column: str | None) -> list[Any]:
        """Return a table's rows by a column, then by their key; put in order once until it changes."""
        orders = self._orders.setdefault(kind, {})
        if column not in orders:
            rows = sorted(self._tables.get(kind, {}).values(), key=key_of)
            orders[column] = rows if column is None else sorted(rows, key=attrgetter(column))
        return orders[column]

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        return len(self.rows(kind, where=where))

    def bar_counts(self) -> dict[str, int]:
        return {symbol: len(bars) for symbol, bars in self._bars.items()}

    def newest_bar(self) -> datetime | None:
        return max((bars[-1].time for bars in self._bars.values()), default=None)

    def bars_within(self, since: datetime, until: datetime, symbol: str | None = None) -> list[Bar]:
        """Return the bars that start from ``since`` to ``until``, as `smabot.hooks.ports.BarRows`."""
        found = [
            bar
            for kept in ([self._bars.get(symbol, [])] if symbol else self._bars.values())
            for bar in kept[
                bisect_left(kept, since, key=_bar_time) : bisect_right(kept, until, key=_bar_time)
            ]
        ]
        return sorted(found, key=lambda bar: (bar.time, bar.symbol))

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        newest = (self._bars.get(symbol, [])[-lookback:] for symbol in symbols)
        kept = sorted((b for bars in newest for b in bars), key=lambda b: (b.time, b.symbol))
        for _, minute in groupby(kept, key=lambda bar: bar.time):
            yield list(minute)

    def in_use(self) -> bool:
        return True

    def send(self, command: Command) -> None:
        """Leave an operator's command: it waits until a committed step has carried it out."""
        self._tables.setdefault(Command, {})[key_of(command)] = command
        self._orders.pop(Command, None)
        self._waiting[command.id] = command

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        """End a command that still waits; False when it was carried out already."""
        command = self._waiting.get(command_id)
        if command is None or command_id in self._taken:
            return False
        withdrawn = replace(command, applied_at=at, answer=answer)
        self._tables[Command][key_of(withdrawn)] = withdrawn
        self._orders.pop(Command, None)
        del self._waiting[command_id]
        return True

    def commands(self) -> list[Command]:
        if not self._waiting:
            return []
        self._taken = frozenset(self._waiting)
        return sorted(self._waiting.values(), key=lambda each: (each.created_at, each.id))

    def check_in_place(self) -> None:
        """Nobody can take it away."""

    def close(self) -> None:
        return


def _place(
    rows: list[Any],
    ordered_by: str | None,
    since: tuple[str, Any] | None,
    until: tuple[str, Any] | None,
) -> tuple[int, int]:
    """Return where rows that their order tells from others begin and end."""
    begin, end = 0, len(rows)
    if ordered_by is not None:
        if since is not None and since[0] == ordered_by:
            begin = bisect_left(rows, since[1], key=attrgetter(ordered_by))
        if until is not None and until[0] == ordered_by:
            end = bisect_right(rows, until[1], key=attrgetter(ordered_by))
    return begin, end
