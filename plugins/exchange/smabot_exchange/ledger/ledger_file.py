"""The ledger's file: opened, migrated to this version, and its errors in one line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from smabot.provider import ConfigError, SmabotError, file_exists, is_disk_full
from smabot_exchange.ledger.schema import APPLICATION_ID, VERSION, migration


class Watch(Protocol):
    """Looks after the files: `smabot.provider.DatabaseWatch`."""

    def trouble(self) -> str: ...

    def writing(self) -> AbstractContextManager[None]: ...

    def close(self) -> None: ...


class LedgerFile:
    """An open ledger. Trouble with it is a ConfigError, once it is ready another error."""

    _watch: Watch

    def __init__(self, path: Path) -> None:
        self.path = path
        self._error: type[SmabotError] = ConfigError

    def _exists(self) -> bool:
        """Tell whether there is a ledger, or one is still to be made.

        Raises ConfigError for an empty file, or a log alone: a new ledger gets its name when it is whole.
        """
        there = file_exists(self.path, f"ledger {self.path}")
        if there and self.path.stat().st_size:
            return True
        path = self.path.resolve()
        log = path.with_name(path.name + "-wal")
        if file_exists(log, f"ledger {self.path}: its log {log.name}") and log.stat().st_size:
            raise ConfigError(
                f"ledger {self.path}: is missing or empty, but its write-ahead log {log.name} is there; "
                "put the ledger back, or give another --ledger and --db"
            )
        if there:
            raise ConfigError(
                f"ledger {self.path}: is empty, it was truncated; restore it from a copy, or remove it "
                "to start with a new account and another --db"
            )
        return False

    def _check_in_place(self) -> None:
        """Raise the error of the moment when the files are not those that were opened any more."""
        if trouble := self._watch.trouble():
            raise self._error(
                f"ledger {self.path}{trouble} while it was in use, and nothing is written any more: put "
                "the original back, or restore it from a copy, then start again"
            )

    def _open(self) -> None:
        self._db = self._connect()
        self._level = ""

    def _migrate(self) -> None:
        """Give a ledger of an older version what it lacks, all or nothing."""
        version = self._value("PRAGMA user_version")
        if version < VERSION:
            try:
                self._db.executescript(migration(version))
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        effective = os.access in os.supports_effective_ids
        if not os.access(self.path, os.R_OK | os.W_OK, effective_ids=effective):
            raise ConfigError(
                f"ledger {self.path}: is read-only; make it writable or give another --ledger or --db"
            )
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise ConfigError(
                    f"ledger {self.path}: is another program's database, not an exchange ledger; "
                    "give another --ledger"
                )
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise ConfigError(
                    f"ledger {self.path}: was written by a newer smabot-exchange (schema {version}, "
                    f"this one knows {VERSION}); upgrade it or give another --ledger"
                )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            db.close()
            raise self._unusable(error) from error
        except ConfigError:
            db.close()
            raise
        return db

    def _value(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _synchronous(self, level: str) -> None:
        if self._level != level:
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._level = level

    @contextmanager
    def _transaction(self, synchronous: str) -> Iterator[sqlite3.Connection]:
        self._synchronous(synchronous)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            with self._watch.writing():
                self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors_in_one_line(self) -> Iterator[None]:
        """Turn trouble with the file into one clear line."""
        try:
            yield
        except (sqlite3.Error, LookupError, ArithmeticError, TypeError, ValueError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SmabotError:
        if isinstance(error, sqlite3.OperationalError):
            if is_disk_full(self.path.parent):
                return self._error(
                    f"ledger {self.path}: the disk is full ({error}); free some space, then try again"
                )
            return self._error(
                f"ledger {self.path}: can't be used: {error}; free or repair its disk"
            )
        return self._error(
            f"ledger {self.path}: is damaged ({error}); restore it from a copy, "
            "or give another --ledger and --db"
        )
