"""Opening the file, and what its failures mean to a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smabot.errors import ConfigError, JournalError, SmabotError

BUSY_SECONDS = 5.0
"""How long a connection waits for another program's write to end."""

_MAGIC = b"SQLite format 3\0"
_MEANINGS = {
    "SQLITE_FULL": "the disk is full: free some space and start again",
    "SQLITE_READONLY": "it can't be written: check the rights of the file and its folder",
    "SQLITE_PERM": "it can't be opened: check the rights of the file and its folder",
    "SQLITE_CANTOPEN": "it can't be opened: check the rights of the file and its folder",
    "SQLITE_BUSY": "another program is writing to it: close that one and try again",
    "SQLITE_LOCKED": "another program is writing to it: close that one and try again",
    "SQLITE_IOERR": "the disk failed: check it, then run `smabot db check`",
    "SQLITE_CORRUPT": "it is damaged: run `smabot db check`, and restore a copy made by `smabot db backup`",
    "SQLITE_NOTADB": "it is damaged: run `smabot db check`, and restore a copy made by `smabot db backup`",
}


def meaning(error: sqlite3.Error) -> str:
    """Return what a SQLite error means and what to do, in a few words."""
    name = getattr(error, "sqlite_errorname", "") or ""
    words = next((text for code, text in _MEANINGS.items() if name.startswith(code)), None)
    return f"{words} ({error})" if words else str(error)


@contextmanager
def translated(shown: Path, as_error: type[SmabotError] = JournalError) -> Iterator[None]:
    """Turn any SQLite error into one clear line about the database."""
    try:
        yield
    except sqlite3.Error as error:
        raise as_error(f"database {shown}: {meaning(error)}") from error


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a resolved path with SQLite's ``mode``: ``ro``, ``rw`` or ``rwc``; transactions are explicit."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=256,
    )


def connect_writer(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Open for durable writing: every commit is on the disk when it returns."""
    connection = connect(path, mode)
    try:
        (journal_mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")  # tells now whether it can be written
        connection.execute("ROLLBACK")
        if journal_mode != "wal":
            raise ConfigError(f"{path}: this file system has no write-ahead log: use a local disk")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, shown: Path) -> sqlite3.Connection:
    """Open for reading beside a writer.

    Raises ConfigError when there is no database. It never creates one.
    """
    if not examine(path, shown):
        raise ConfigError(f"no database at {shown}: run `smabot run` first")
    connection = connect(path, "ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        unread_log = path.with_name(path.name + "-wal").exists()
        if unread_log or error.sqlite_errorname not in ("SQLITE_CANTOPEN", "SQLITE_READONLY"):
            raise
        # In a folder that can't be written SQLite can't make its index of the write-ahead log;
        # there is no log, so the file alone is the database.
        connection = connect(path, "ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def examine(path: Path, shown: Path) -> bool:
    """Look at the file itself: true when it holds a database, false when it is still to be made.

    Raises ConfigError when it is something else, JournalError when a part of it is missing.
    """
    log = path.with_name(path.name + "-wal")
    try:
        log_size = log.stat().st_size if log.exists() else 0
        size = path.stat().st_size if path.exists() else 0
        if path.is_dir():
            raise ConfigError(f"{shown} is a folder: give --db a file")
        if size == 0:
            if log_size:
                raise JournalError(
                    f"{shown} is missing or empty, but its write-ahead log {log.name} is there: put "
                    "the database back, or restore a backup and remove the log"
                )
            return False
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise ConfigError(f"database {shown} can't be read: {error.strerror}") from error
    if not header.startswith(_MAGIC):
        raise ConfigError(
            f"{shown} is not a database, or its head is damaged: restore a copy made by "
            "`smabot db backup`, or use another --db"
        )
    if len(header) < 100 or (not log_size and _pages(header) * _page_size(header) > size):
        raise JournalError(
            f"database {shown}: it is cut off, a part is missing: run `smabot db check`, and "
            "restore a copy made by `smabot db backup`"
        )
    return True


def _page_size(header: bytes) -> int:
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def _pages(header: bytes) -> int:
    """Return the number of pages that the header promises, 0 where it is not kept."""
    counted = header[24:28] == header[92:96]
    return int.from_bytes(header[28:32], "big") if counted else 0
