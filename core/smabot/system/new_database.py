"""A database that a command makes for itself, and removes again where it did nothing with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from smabot.errors import LockHeld, SmabotError
from smabot.system.lock import FileLock

FILES = ("", "-wal", "-shm", ".lock")
"""What SQLite and the lock put beside a database, and at last what keeps others out."""


@contextmanager
def removed_unless_kept(databases: Sequence[Path]) -> Iterator[Callable[[], None]]:
    """Remove what the body made of databases, and of their folders, where it fails.

    Yields what the body calls once there is something to keep. Nothing is removed that was there before, or
    that another process uses.
    """
    made = {
        path: [file for file in _files(path) if not os.path.lexists(file)] for path in databases
    }
    folders = {folder for path in databases for folder in path.parents if not folder.exists()}
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
            for path, files in made.items():
                with suppress(OSError, SmabotError):
                    _remove(path, files)
            for folder in sorted(folders, reverse=True):
                with suppress(OSError):
                    folder.rmdir()
        raise


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in FILES]


def _remove(path: Path, files: Sequence[Path]) -> None:
    """Remove files of a database that nobody else has. Raises LockHeld."""
    if not any(map(os.path.lexists, files)):
        return
    lock = FileLock(path, f"database {path}", "use another --db")
    try:
        for file in files:
            file.unlink(missing_ok=True)
    finally:
        lock.release()
