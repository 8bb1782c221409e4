"""The journal of a database that is not there yet: it gets its name when something is read or written.

A start that fails before that, because of its data file or its broker, leaves no database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from smabot.provider import Bar, Command, FileLock
from smabot_persistence_sqlite.connection import database_exists, translated_errors
from smabot_persistence_sqlite.journal import NEW, SqliteJournal, lock_database
from smabot_persistence_sqlite.new_database import discard, prepare, put_in_place
from smabot_persistence_sqlite.record_mapping import Form, forms_of
from smabot_persistence_sqlite.schema_version import LINEAGE

R = TypeVar("R")


def open_journal(db: Path, records: Sequence[type]) -> SqliteJournal | FirstJournal:
    """Lock and open a database, or prepare a new one beside its place. Raises as `SqliteJournal.open`."""
    forms = forms_of(records)
    with ExitStack() as opened, translated_errors(db):
        lock = lock_database(db)
        opened.callback(lock.release)
        journal: SqliteJournal | FirstJournal
        if database_exists(db):
            if lock.file is None:  # it came while its name was being locked
                lock.hold(db.resolve())
            journal = SqliteJournal.on_locked(db, forms, lock, LINEAGE, [])
        else:
            prepare(db.resolve(), db, forms.values(), lock)
            journal = FirstJournal(db, forms, lock)
        opened.pop_all()
    return journal


class FirstJournal:
    """Implements `smabot.hooks.ports.Journal`; all but `location` and `close` needs the database."""

    def __init__(self, db: Path, forms: dict[type, Form], lock: FileLock) -> None:
        self._db = db
        self._forms = forms
        self._lock = lock
        self._journal: SqliteJournal | None = None

    @property
    def location(self) -> str:
        return str(self._db)

    @property
    def opening_notes(self) -> tuple[str, ...]:
        """What opening the database did, for the operator."""
        return self._opened().opening_notes

    def row(self, kind: type[R], *key: Any) -> R | None:
        return self._opened().row(kind, *key)

    def rows(
        self,
        kind: type[R],
        *,
        where: Mapping[str, Any] | None = None,
        since: tuple[str, Any] | None = None,
        until: tuple[str, Any] | None = None,
        newest_by: str | None = None,
        limit: int | None = None,
    ) -> list[R]:
        return self._opened().rows(
            kind, where=where, since=since, until=until, newest_by=newest_by, limit=limit
        )

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        return self._opened().count(kind, where=where)

    def bar_counts(self) -> dict[str, int]:
        return self._opened().bar_counts()

    def newest_bar(self) -> datetime | None:
        return self._opened().newest_bar()

    def in_use(self) -> bool:
        return True

    def send(self, command: Command) -> None:
        self._opened().send(command)

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        return self._opened().withdraw(command_id, at, answer)

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        return self._opened().windows(lookback, symbols)

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        self._opened().commit(rows, bars)

    def commands(self) -> list[Command]:
        return self._opened().commands()

    def check_in_place(self) -> None:
        self._opened().check_in_place()

    def close(self) -> None:
        """Close the file and release its lock; a database that nobody used is discarded."""
        if self._journal is not None:
            self._journal.close()
            return
        discard(self._db.resolve())
        self._lock.release()

    def _opened(self) -> SqliteJournal:
        if self._journal is None:
            put_in_place(self._db.resolve(), self._db)
            self._journal = SqliteJournal.on_locked(
                self._db, self._forms, self._lock, LINEAGE, [NEW]
            )
        return self._journal
