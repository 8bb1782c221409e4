"""Opens the database file, and says in one line what an error of SQLite means."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smabot.provider import (
    ConfigError,
    FileHandle,
    JournalError,
    file_exists,
    is_disk_full,
    is_locked,
    is_locked_by_name,
    lock_holder,
    refuse_hard_links,
)
from smabot_persistence_sqlite.replacement import plan_of

BUSY_SECONDS = 5.0
"""How long a connection waits for another program's write to end."""

FULL = "the disk is full: free some space, then try again"
_MEANINGS = {
    "SQLITE_FULL": FULL,
    "SQLITE_READONLY": "it can't be written: check the rights of the file and its folder",
    "SQLITE_PERM": "it can't be opened: check the rights of the file and its folder",
    "SQLITE_CANTOPEN": "it can't be opened: check the rights of the file and its folder",
    "SQLITE_LOCKED": "another program is writing to it: close that one and try again",
    "SQLITE_IOERR": "the disk failed, or a quota or limit is reached: check both, then run `smabot "
    "db check`",
    "SQLITE_CORRUPT": "it is damaged: run `smabot db check`, and restore a copy made by `smabot db backup`",
    "SQLITE_NOTADB": "it is not a database, or its header is damaged: restore a copy made by "
    "`smabot db backup`, or use another --db",
}

_NO_ROOM = ("SQLITE_IOERR", "SQLITE_CANTOPEN")
_NOT_OURS = ("SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY")


def error_meaning(error: Exception, db: Path) -> str:
    """Return what an error of SQLite means and what to do, in a few words.

    A full disk often shows as one that failed: SQLite finds no room for its files beside the database.
    """
    name = getattr(error, "sqlite_errorname", "") or ""
    words = next((text for code, text in _MEANINGS.items() if name.startswith(code)), None)
    if name.startswith(_NO_ROOM) and is_disk_full(db.parent):
        words = FULL
    if name.startswith("SQLITE_BUSY"):
        words = _whose_write_lasts(db)
    return f"{words} ({error})" if words else str(error)


def _whose_write_lasts(db: Path) -> str:
    """Say who keeps others from writing to a database: a bot that hangs in its commit, or another program."""
    holder = lock_holder(db) if is_locked(db) else ""
    if holder in ("", f"{os.getpid()}"):
        return _MEANINGS["SQLITE_LOCKED"]
    return (
        f"the bot (pid {holder}) is writing to it and does not come to an end: see `smabot health`; "
        "if it hangs, kill it and try again"
    )


@contextmanager
def translated_errors(shown: Path) -> Iterator[None]:
    """Turn any SQLite error into one clear line about the database.

    It is a JournalError, or a ConfigError where the file is something else or may not be opened.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        kind = ConfigError if name.startswith(_NOT_OURS) else JournalError
        raise kind(f"database {shown}: {error_meaning(error, shown)}") from error
    except UnicodeDecodeError as error:  # SQLite's own words quote damaged text of the file
        raise JournalError(f"database {shown}: {_MEANINGS['SQLITE_CORRUPT']}") from error


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a resolved path with SQLite's ``mode``: ``ro``, ``rw`` or ``rwc``; transactions are explicit."""
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        cached_statements=256,
    )


def make_durable(connection: sqlite3.Connection, shown: Path) -> None:
    """Set a connection so that every commit is on the disk when it returns."""
    (journal_mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal_mode != "wal":
        raise ConfigError(f"{shown}: this file system has no write-ahead log: use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def existing_path(db: Path) -> Path:
    """Return the resolved path of a database to read.

    Raises ConfigError when there is none, or its name is ambiguous; JournalError when it was removed under
    a running bot, or while its restore is not finished.
    """
    if os.path.lexists(plan_of(db)):
        raise JournalError(
            f"database {db}: its restore was not finished: start the bot, or restore again, which finishes it"
        )
    if not file_exists(db, f"database {db}") and is_locked(db):
        raise JournalError(
            f"no database at {db}, though a bot (pid {lock_holder(db)}) runs on it: the bot is just "
            "starting, or the file was removed or moved; then put it back and start again"
        )
    if not database_exists(db):
        raise ConfigError(f"no database at {db}: run `smabot run` first")
    if not is_locked_by_name(db):
        refuse_hard_links(db, f"database {db}")
    return db.resolve()


def open_file_handle(db: Path) -> FileHandle:
    """Open the handle that has to be open from before SQLite opens an existing database until after.

    Raises as `existing_path` does.
    """
    try:
        return FileHandle(existing_path(db))
    except OSError as error:
        raise ConfigError(
            f"database {db}: it can't be opened: check the rights of the file and its folder "
            f"({error.strerror})"
        ) from error


def connect_reader(db: Path) -> sqlite3.Connection:
    """Open for reading while another process writes. Raises as `existing_path` does; it never creates a database."""
    path = existing_path(db)
    connection = connect(path, "ro")
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if not _lacks_index(error, path):
            raise
        # Nobody runs on it and its log is empty: the file alone is the database.
        connection = connect(path, "ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def _lacks_index(error: sqlite3.OperationalError, path: Path) -> bool:
    """Whether SQLite only lacks its index of an empty write-ahead log.

    It can't create it in a folder that can't be written, nor on a full disk.
    """
    name = error.sqlite_errorname
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")):
        barred = not is_writable(path.parent) or is_disk_full(path.parent)
    else:
        barred = name.startswith("SQLITE_IOERR") and is_disk_full(path.parent)
    return barred and not file_size(path.with_name(path.name + "-wal")) and not is_locked(path)


def database_exists(db: Path) -> bool:
    """Whether there is a database, or one is still to be created.

    Raises ConfigError for a name that leads to no regular file, JournalError when the file is empty
    or only its write-ahead log is left: a new one gets its name when it is whole.
    """
    there = file_exists(db, f"database {db}")
    path = db.resolve()
    if there and file_size(path):
        return True
    log = path.with_name(path.name + "-wal")
    if file_size(log):
        raise JournalError(
            f"database {db} is missing or empty, but its write-ahead log {log.name} is there: put the "
            "database back, or restore a backup and remove the log"
        )
    if there:
        raise JournalError(
            f"database {db} is empty, it was truncated: restore a copy made by `smabot db backup`, or "
            "remove the file to start over"
        )
    return False


def is_writable(path: Path) -> bool:
    """Whether this process may write to a file or folder."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def file_size(path: Path) -> int:
    """Return a file's size in bytes, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
