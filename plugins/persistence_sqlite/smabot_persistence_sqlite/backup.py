"""A whole, consistent copy of a database, taken while it is written to."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from smabot.provider import ConfigError, is_disk_full, is_locked
from smabot_persistence_sqlite.connection import connect, connect_reader, translated


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into one file, check the copy, and only then give it its name.

    The file is on the disk when this returns. Raises ConfigError when it can't be written there,
    JournalError when the original can't be read.
    """
    copy_together([(source, target)])


def copy_together(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Copy databases as `copy_database` does, all as of one moment, and name all copies at the end."""
    with ExitStack() as opened:
        originals = _one_moment([source for source, _ in pairs], opened)
        partials = [target.with_name(target.name + ".partial") for _, target in pairs]
        for original, partial, (source, target) in zip(originals, partials, pairs, strict=True):
            opened.callback(_remove, partial)
            with _told(target):
                partial.write_bytes(b"")
                with translated(source), closing(connect(partial.absolute(), "rwc")) as copy:
                    _copy(original, copy, target)
                sync(partial)
        for partial, (_, target) in zip(partials, pairs, strict=True):
            with _told(target):
                partial.replace(target)
                sync(target.parent)


def _one_moment(sources: Sequence[Path], opened: ExitStack) -> list[sqlite3.Connection]:
    """Return readers that see their databases as of one moment: none of the others can be written to
    while the first one's transaction begins."""
    with ExitStack() as holding:
        for other in sources[1:]:
            with translated(other):
                if not is_locked(other):
                    continue
                writer = holding.enter_context(closing(connect(other.resolve(), "rw")))
                writer.execute("BEGIN IMMEDIATE")
        readers = []
        for source in sources:
            with translated(source):
                reader = opened.enter_context(closing(connect_reader(source)))
                reader.execute("BEGIN")
                reader.execute("SELECT 1 FROM sqlite_master").fetchone()
                readers.append(reader)
        return readers


@contextmanager
def _told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"a copy at {target} can't be written: {error.strerror}") from error


def _remove(partial: Path) -> None:
    with suppress(OSError):
        partial.unlink(missing_ok=True)


def _copy(original: sqlite3.Connection, copy: sqlite3.Connection, target: Path) -> None:
    try:
        original.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        full = error.sqlite_errorname.startswith("SQLITE_FULL") or is_disk_full(target.parent)
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
