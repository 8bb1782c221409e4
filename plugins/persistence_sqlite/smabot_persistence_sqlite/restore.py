"""Restoring a backup: checked before anything changes, put in place with its account's files, nothing lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smabot.provider import (
    MINUTE,
    Account,
    Config,
    ConfigError,
    JournalError,
    Order,
    Position,
    Status,
    UsageError,
    file_exists,
)
from smabot_persistence_sqlite.backup import copy_database, copy_together, named_beside
from smabot_persistence_sqlite.connection import connect_reader, translated_errors
from smabot_persistence_sqlite.integrity_check import check_database
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows
from smabot_persistence_sqlite.replacement import (
    Replacement,
    finish_restore,
    free_name,
    locked_places,
    replace_all,
)
from smabot_persistence_sqlite.schema_version import LINEAGE, read_stamp

AccountFiles = Callable[[Config, str], Sequence[Path]]
"""The hook `account_files`: the files that hold an account, by the settings."""
MAGIC = b"SQLite format 3\0"
OPEN = tuple(status for status in Status if not status.terminal)


@dataclass(frozen=True, slots=True)
class Content:
    """What a backup holds: the end of its newest minute (UTC), what is open and what is held."""

    schema: str
    accounts: tuple[str, ...]
    newest: datetime | None
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, each with what it was copied from, and under which names the old is kept."""

    content: Content
    files: tuple[tuple[Path, Path], ...]
    kept: tuple[Path, ...]

    @property
    def upgraded_by_next_start(self) -> bool:
        return self.content.schema != LINEAGE.head


def restore_backup(config: Config, backup: Path, account_files: AccountFiles) -> Restored:
    """Put a backup in the database's place, and the account's files that lie beside it in theirs.

    What was there is kept under another name. Killed at any moment, the next start finds all old files or
    all new ones. Raises ConfigError when the backup is none, JournalError when it is damaged, LockHeld
    while a bot runs; then nothing has changed.
    """
    _require_file(backup)
    if backup.resolve() == config.db.resolve():
        raise UsageError(f"{backup} is the database itself: give a backup")
    _refuse_other_file(config.db)
    content = read_content(backup)
    pairs = [(backup, config.db)]
    for account in content.accounts:
        pairs += _files_beside(config, backup, account, account_files)
    places = [place for _, place in pairs]
    finish_restore(config.db)
    with locked_places(config.db, places[1:]), ExitStack() as staged:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        kept = config.db.resolve()
        kept = free_name(kept.with_name(f"{kept.stem}-{stamp}-replaced{kept.suffix}"))
        replacements = [
            Replacement(place.resolve(), _kept_name(place, config.db, kept)) for place in places
        ]
        for each in replacements:
            each.staged.unlink(missing_ok=True)  # what a killed restore has left
            staged.callback(_discard, each.staged)
        copy_together(
            [(file, each.staged) for (file, _), each in zip(pairs, replacements, strict=True)]
        )
        replaced = [
            place.with_name(each.kept.name)
            for place, each in zip(places, replacements, strict=True)
            if os.path.lexists(each.place)
        ]
        replace_all(config.db, replacements)
    return Restored(content, tuple(pairs), tuple(replaced))


def read_content(backup: Path) -> Content:
    """Read a backup whole and check it. Raises as `restore_backup` does."""
    try:
        with translated_errors(backup), closing(connect_reader(backup)) as connection:
            stamp = read_stamp(connection, backup, LINEAGE, "restore another backup")
        if stamp.revision is None:
            raise ConfigError(f"{backup} is empty: give a file made by `smabot db backup`")
        with _at_todays_schema(backup, stamp.revision) as path:
            if problems := check_database(path):
                more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
                raise JournalError(f"{problems[0]}{more}")
            return _content(path, stamp.revision)
    except JournalError as error:
        raise JournalError(
            f"backup {backup} is not intact, and nothing was changed: restore another one ({error})"
        ) from error


def _content(path: Path, revision: str) -> Content:
    with closing(SqliteRows.open(path)) as rows:
        start = rows.newest_bar()
        return Content(
            revision,
            tuple(each.account_id for each in rows.rows(Account)),
            None if start is None else start + MINUTE,
            tuple(rows.rows(Order, where={"status": OPEN})),
            tuple(each for each in rows.rows(Position) if each.qty),
        )


def _require_file(backup: Path) -> None:
    if not file_exists(backup, f"backup {backup}"):
        raise ConfigError(f"no backup at {backup}: give a file made by `smabot db backup`")
    if _first_bytes(backup) != MAGIC:
        raise ConfigError(
            f"{backup} is no database, or its header is damaged: give a file made by `smabot db backup`"
        )


def _refuse_other_file(db: Path) -> None:
    """Raise ConfigError for something else than a database in the place: it may be anything."""
    if file_exists(db, f"database {db}") and _first_bytes(db) not in (b"", MAGIC):
        raise ConfigError(
            f"{db} is no database, or its header is damaged, so it is not replaced: move it away with "
            f"all files that begin with its name (`mv {db}* …`), then restore again"
        )


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}: check its rights") from error


@contextmanager
def _at_todays_schema(backup: Path, revision: str) -> Iterator[Path]:
    """Yield a backup as it can be read: of an older release, an upgraded copy, which is removed."""
    if revision == LINEAGE.head:
        yield backup
        return
    with tempfile.TemporaryDirectory(prefix="smabot-") as folder:
        copy = Path(folder) / backup.name
        copy_database(backup, copy)
        SqliteJournal.open(copy).close()
        yield copy


def _files_beside(
    config: Config, backup: Path, account: str, account_files: AccountFiles
) -> Iterator[tuple[Path, Path]]:
    """Yield the files beside a backup that hold its account, each with its place beside the database."""
    ledger = named_beside(backup, config.db, config.ledger_path)
    there = config.model_copy(update={"db": backup, "ledger": ledger})
    found = list(account_files(there, account))
    if ledger not in found and os.path.lexists(ledger):
        raise ConfigError(
            f"{ledger} lies beside the backup, but is no ledger of its account {account}: move it away, or "
            "put the right one there"
        )
    for file in found:
        yield file, config.ledger_path if file == ledger else named_beside(config.db, backup, file)


def _kept_name(place: Path, db: Path, kept: Path) -> Path:
    """Return the name under which a file is kept: beside its place, as it would be named beside ``kept``."""
    if place == db:
        return kept
    place = place.resolve()
    return free_name(place.with_name(named_beside(kept, db, place).name))


def _discard(staged: Path) -> None:
    with suppress(OSError):
        staged.unlink(missing_ok=True)
