"""A new database, from the stored schema: what the migrations make, without the libraries they need."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from smabot.provider import ConfigError, FileLock, sync_to_disk
from smabot_persistence_sqlite.connection import connect, make_durable
from smabot_persistence_sqlite.declared_tables import create_tables, stamp_records
from smabot_persistence_sqlite.record_mapping import Form

SCHEMA = Path(__file__).with_name("new_database.sql")
"""Written by ``tools/make_schema.py`` from the migrations."""


def create(path: Path, shown: Path, forms: Collection[Form], lock: FileLock) -> None:
    """Make a new database, and lock it, before it gets its name: one that is there is whole.

    Raises ConfigError when it can't be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        _remove(unfinished)
        unfinished.touch()
        _fill(unfinished, shown, forms)
        sync_to_disk(unfinished)
        lock.hold(unfinished)
        unfinished.replace(path)
        sync_to_disk(path.parent)
    except OSError as error:
        raise ConfigError(f"database {shown} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            _remove(unfinished)


def _fill(path: Path, shown: Path, forms: Collection[Form]) -> None:
    with closing(connect(path, "rw")) as connection:
        make_durable(connection, shown)
        connection.executescript(f"BEGIN IMMEDIATE;\n{SCHEMA.read_text()}")
        create_tables(connection, forms, {}, shown)
        stamp_records(connection, forms, shown)
        connection.execute("COMMIT")


def _remove(path: Path) -> None:
    """Remove a database with its logs, as far as they are there; the logs first, or SQLite would read them
    into the next one of that name."""
    for suffix in ("-journal", "-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
