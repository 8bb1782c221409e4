"""A ledger in memory: it is gone with its process, and as quick as it can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from smabot.provider import BrokerError, FileLock
from smabot_exchange.data.data_source import DataSource
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.data_import import build_ledger
from smabot_exchange.ledger.ledger import Ledger
from smabot_exchange.ledger.ledger_file import LedgerFile
from smabot_exchange.matching.account import RequestedTerms


class LedgerImage:
    """The bytes of a new ledger, from which any number of ledgers in memory begin."""

    def __init__(
        self,
        source: DataSource,
        asked: RequestedTerms,
        beginning: Beginning = Beginning(),  # noqa: B008
    ) -> None:
        """Raises ConfigError for bad data."""
        self.source = source = beginning.around(source)
        self.asked = asked
        with TemporaryDirectory(prefix="smabot-ledger-") as folder:
            path = Path(folder) / "ledger.db"
            lock = FileLock(path, "ledger", "")
            try:
                build_ledger(
                    path, source, asked.for_new_ledger(source.half_spread), lock, beginning
                )
            finally:
                lock.release()
            self.content = path.read_bytes()


class MemoryLedger(Ledger):
    """A `Ledger` that nobody else can reach: no lock, nothing to watch."""

    def __init__(self, image: LedgerImage) -> None:
        LedgerFile.__init__(self, Path(":memory:"))
        self.imported = True
        self._watch = _Nothing()
        self._level = ""
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._db.deserialize(image.content)
        self._check(image.source, image.asked)
        self._sessions = self._read_sessions()
        self._read_chunk_size()
        self._error = BrokerError

    def close(self) -> None:
        self._db.close()


class _Nothing:
    """Stands where a file's watch does."""

    def trouble(self) -> str:
        return ""

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        return
