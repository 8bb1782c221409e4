"""Where a simulated bot keeps its tables: in memory, or in a database of the plugin that real bots use."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from smabot.domain.bot_records import Command
from smabot.domain.records import CORE_RECORDS, Bar
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.ports import Journal
from smabot.settings.model import Config

ALL_TIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class Database(Protocol):
    """Outlives each process. From outside, rows can be read and commands be sent at any time."""

    def open(self, records: Sequence[type]) -> Journal:
        """Open it for a process with such records."""
        ...

    def row(self, kind: type[Any], *key: Any) -> Any: ...

    def rows(self, kind: type[Any], *, where: Mapping[str, Any] | None = None) -> list[Any]: ...

    def count(self, kind: type[Any], *, where: Mapping[str, Any] | None = None) -> int: ...

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]: ...

    def kinds(self) -> Sequence[type]: ...

    @property
    def bars(self) -> list[Bar]: ...

    def send(self, command: Command) -> None: ...


class MemoryDatabase(MemoryJournal):
    """Every process writes to this one journal, which keeps what was committed."""

    def open(self, records: Sequence[type]) -> Journal:
        return self


class FileDatabase:
    """A database file: each process opens it anew, and an onlooker reads beside it."""

    def __init__(self, plugin: Any, config: Config) -> None:
        """``plugin``: keeps the journal, and opens its rows; ``config``: with the file, ``db``."""
        self._plugin = plugin
        self._config = config
        self._records: tuple[type, ...] = CORE_RECORDS
        self._own = _Own()

    def know(self, records: Sequence[type]) -> None:
        """Note that there may be such records."""
        self._records = (*self._records, *(r for r in records if r not in self._records))

    def open(self, records: Sequence[type]) -> Journal:
        self.know(records)
        journal: Journal = self._plugin.open_journal(self._config, records)
        return journal

    def row(self, kind: type[Any], *key: Any) -> Any:
        return self._look().row(kind, *key) if self._config.db.exists() else None

    def rows(self, kind: type[Any], *, where: Mapping[str, Any] | None = None) -> list[Any]:
        if not self._config.db.exists():
            return []
        found: list[Any] = self._look().rows(kind, where=where)
        return found

    def count(self, kind: type[Any], *, where: Mapping[str, Any] | None = None) -> int:
        return len(self.rows(kind, where=where))

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        found: Iterator[list[Bar]] = self._look().windows(lookback, symbols)
        return found

    def kinds(self) -> Sequence[type]:
        return self._records

    @property
    def bars(self) -> list[Bar]:
        found: list[Bar] = self._look().bars_within(*ALL_TIME)
        return found

    def send(self, command: Command) -> None:
        self._look().send(command)

    def _look(self) -> Any:
        """Return what this thread, of this process, reads by: no other may use it."""
        own, now = self._own, (os.getpid(), self._records)
        if own.opened_for != now:
            own.rows, own.opened_for = self._plugin.open_rows(self._config, self._records), now
        return own.rows


class _Own(threading.local):
    """A thread's own rows, and for which process and records they were opened."""

    rows: Any = None
    opened_for: Any = None
