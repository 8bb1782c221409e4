"""Where a simulated bot keeps its tables: in memory, or in a database of the plugin that real bots use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
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

    def rows(self, kind: type[Any]) -> list[Any]: ...

    def kinds(self) -> Sequence[type]: ...

    @property
    def bars(self) -> list[Bar]: ...

    def send(self, command: Command) -> None: ...


class MemoryDatabase(MemoryJournal):
    """Every process writes to this one journal, which keeps what was committed."""

    def open(self, records: Sequence[type]) -> Journal:
        return self


class FileDatabase:
    """A database file: each process opens it anew, and an onlooker for each look."""

    def __init__(self, plugin: Any, config: Config) -> None:
        """``plugin``: keeps the journal, and opens its rows; ``config``: with the file, ``db``."""
        self._plugin = plugin
        self._config = config
        self._records: tuple[type, ...] = CORE_RECORDS

    def know(self, records: Sequence[type]) -> None:
        """Note that there may be such records."""
        self._records = (*self._records, *(r for r in records if r not in self._records))

    def open(self, records: Sequence[type]) -> Journal:
        self.know(records)
        journal: Journal = self._plugin.open_journal(self._config, records)
        return journal

    def row(self, kind: type[Any], *key: Any) -> Any:
        with closing(self._look()) as look:
            return look.row(kind, *key)

    def rows(self, kind: type[Any]) -> list[Any]:
        with closing(self._look()) as look:
            found: list[Any] = look.rows(kind)
            return found

    def kinds(self) -> Sequence[type]:
        return self._records

    @property
    def bars(self) -> list[Bar]:
        with closing(self._look()) as look:
            found: list[Bar] = look.bars_within(*ALL_TIME)
            return found

    def send(self, command: Command) -> None:
        with closing(self._look()) as look:
            look.send(command)

    def _look(self) -> Any:
        return self._plugin.open_rows(self._config, self._records)
