"""A whole, consistent copy of a database, taken while it is written to."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from smabot.errors import ConfigError
from smabot.paths import is_full
from smabot_persistence_sqlite.connection import connect, connect_reader


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into one file, check the copy, and only then give it its name.

    The file is on the disk when this returns. Raises ConfigError when it can't be written there,
    sqlite3.Error when the original can't be read.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        partial.write_bytes(b"")
        with closing(connect_reader(source)) as original, closing(connect(partial, "rwc")) as copy:
            _copy(original, copy, target)
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    except OSError as error:
        raise ConfigError(f"a copy at {target} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _copy(original: sqlite3.Connection, copy: sqlite3.Connection, target: Path) -> None:
    try:
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorname.startswith("SQLITE_FULL") or is_full(target.parent)
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise
    (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"the copy is damaged, and so is the original: {verdict}")


def sync(path: Path) -> None:
    """Have a file, or a folder's names, on the disk. Not for a file that SQLite has open here."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
