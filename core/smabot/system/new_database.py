"""A database that a command makes for itself, and removes again where it did nothing with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from smabot.errors import LockHeld, SmabotError
from smabot.system.lock import FileLock

FILES = ("", "-wal", "-shm", ".health", ".health.new", ".lock")
"""What SQLite, a run's health and the lock put beside a database, and at last what keeps others out."""


def database_files(database: Path) -> list[Path]:
    """Return the files that a database has, or may have, with itself."""
    return [database.with_name(database.name + suffix) for suffix in FILES]


def health_file(database: Path) -> Path:
    """Return the file in which a running bot states its health; `smabot health` reads it."""
    database = database.resolve()
    return database.with_name(database.name + ".health")


@contextmanager
def removed_unless_kept(database: Path) -> Iterator[Callable[[], None]]:
    """Remove what the body made of a database, and of its folders, where it fails.

    Yields what the body calls once there is something to keep. Nothing is removed that was there before, or
    that another process uses.
    """
    # As who opens it does: a missing folder before ``..`` is never made.
    database = database.resolve()
    made = [file for file in database_files(database) if not os.path.lexists(file)]
    folders = [folder for folder in database.parents if not folder.exists()]
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    except LockHeld:
        raise  # they are another's
    except BaseException:
        if not kept:
            with suppress(OSError, SmabotError):
                _remove(database, made)
                for folder in folders:
                    folder.rmdir()
        raise


def _remove(database: Path, files: Sequence[Path]) -> None:
    """Remove files of a database that nobody else has. Raises LockHeld."""
    if not any(map(os.path.lexists, files)):
        return
    lock = FileLock(database, f"database {database}", "use another --db")
    try:
        for file in files:
            file.unlink(missing_ok=True)
    finally:
        lock.release()
