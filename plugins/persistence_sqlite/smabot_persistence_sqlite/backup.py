"""Backups: whole, consistent, checked copies of databases, taken while they are written to."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smabot.provider import ConfigError, UsageError, is_disk_full, is_locked, sync_to_disk
from smabot_persistence_sqlite.connection import connect, connect_reader, translated_errors
from smabot_persistence_sqlite.schema_version import LINEAGE, read_stamp

AccountFiles = Callable[[str], Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Backup:
    """A checked copy: where it lies and its size in bytes."""

    path: str
    bytes: int


def back_up(
    db: Path, target: Path | None = None, account_files: AccountFiles = lambda account_id: ()
) -> list[Backup]:
    """Copy a database, also while the bot is running, and check the copy.

    Without a target it lies beside the database, named by the time. The files that hold its account
    on this machine, given by `account_files`, are copied as of the same moment, each beside it
    and named as it is named beside the database. Raises ConfigError when there is no database or the
    target can't be written, JournalError when the database is damaged.
    """
    with translated_errors(db), closing(connect_reader(db)) as connection:
        if read_stamp(connection, db, LINEAGE).revision is None:
            raise ConfigError(f"no database at {db}: run `smabot run` first")
        accounts = connection.execute("SELECT account_id FROM account").fetchall()
    if target is None:
        target = db.with_name(f"{db.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{db.suffix}")
    elif target.is_dir():
        target /= f"{db.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{db.suffix}"
    pairs = [(db, target)]
    for (account_id,) in accounts:
        pairs += [(file, named_beside(target, db, file)) for file in account_files(account_id)]
    for _, copy in pairs:
        if os.path.lexists(copy):
            raise UsageError(f"{copy} exists: name another file for the backup")
    copy_together(pairs)
    return [Backup(str(copy), copy.stat().st_size) for _, copy in pairs]


def named_beside(target: Path, db: Path, file: Path) -> Path:
    """Return where a file's copy lies: named beside ``target`` as the file is beside the database."""
    return target.with_name(f"{target.stem}.{file.name.removeprefix(f'{db.stem}.')}")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into one file, check the copy, and only then give it its name.

    The file is on the disk when this returns. Raises ConfigError when it can't be written there,
    JournalError when the original can't be read.
    """
    copy_together([(source, target)])


def copy_together(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Copy databases as `copy_database` does, all as of one moment, and name all copies at the end."""
    with ExitStack() as opened:
        originals = _readers_of_one_moment([source for source, _ in pairs], opened)
        partials = [target.with_name(target.name + ".partial") for _, target in pairs]
        for original, partial, (source, target) in zip(originals, partials, pairs, strict=True):
            opened.callback(_remove, partial)
            with _write_errors_translated(target):
                partial.write_bytes(b"")
                with translated_errors(source), closing(connect(partial.absolute(), "rwc")) as copy:
                    _copy(original, copy, target)
                sync_to_disk(partial)
        for partial, (_, target) in zip(partials, pairs, strict=True):
            with _write_errors_translated(target):
                partial.replace(target)
                sync_to_disk(target.parent)


def _readers_of_one_moment(sources: Sequence[Path], opened: ExitStack) -> list[sqlite3.Connection]:
    """Return readers that see their databases as of one moment: none of the others can be written to
    while the first one's transaction begins."""
    with ExitStack() as holding:
        for other in sources[1:]:
            with translated_errors(other):
                if not is_locked(other):
                    continue
                writer = holding.enter_context(closing(connect(other.resolve(), "rw")))
                writer.execute("BEGIN IMMEDIATE")
        readers = []
        for source in sources:
            with translated_errors(source):
                reader = opened.enter_context(closing(connect_reader(source)))
                reader.execute("BEGIN")
                reader.execute("SELECT 1 FROM sqlite_master").fetchone()
                readers.append(reader)
        return readers


@contextmanager
def _write_errors_translated(target: Path) -> Iterator[None]:
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
