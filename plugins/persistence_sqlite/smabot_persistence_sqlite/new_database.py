"""A new database, from the stored schema: what the migrations make, without the libraries they need."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from smabot.provider import ConfigError, FileLock
from smabot_persistence_sqlite.backup import sync
from smabot_persistence_sqlite.connection import connect, make_durable
from smabot_persistence_sqlite.declared_tables import create_tables, stamp_records
from smabot_persistence_sqlite.record_mapping import Form

SCHEMA = Path(__file__).with_name("new_database.sql")
"""Written by ``tools/make_schema.py`` from the migrations."""


def create(path: Path, shown: Path, forms: Collection[Form], lock: FileLock) -> None:
    """Make a new database, and lock it, before it gets its name: one that is there is whole.

    Raises ConfigError when it can't be written.
    """
    prepare(path, shown, forms, lock)
    put_in_place(path, shown)


def prepare(path: Path, shown: Path, forms: Collection[Form], lock: FileLock) -> None:
    """Make and lock a new database that has no name yet. Raises ConfigError when it can't be written."""
    unfinished = _unfinished(path)
    try:
        _remove(unfinished)
        unfinished.touch()
        _fill(unfinished, shown, forms)
        sync(unfinished)
        lock.hold(unfinished)
    except OSError as error:
        discard(path)
        raise ConfigError(f"database {shown} can't be written: {error.strerror}") from error
    except BaseException:
        discard(path)
        raise


def put_in_place(path: Path, shown: Path) -> None:
    """Give a prepared database its name. Raises ConfigError where there is another one by now."""
    try:
        if path.exists():
            raise ConfigError(f"database {shown} was put there during this start: start again")
        _unfinished(path).replace(path)
        sync(path.parent)
    except OSError as error:
        raise ConfigError(f"database {shown} can't be written: {error.strerror}") from error
    finally:
        discard(path)


def discard(path: Path) -> None:
    """Remove what was prepared and has no name yet, if anything."""
    with suppress(OSError):
        _remove(_unfinished(path))


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _fill(path: Path, shown: Path, forms: Collection[Form]) -> None:
    with closing(connect(path, "rw")) as connection:
        make_durable(connection, shown)
        connection.executescript(f"BEGIN IMMEDIATE;\n{SCHEMA.read_text()}")
        create_tables(connection, forms, {}, shown)
        stamp_records(connection, forms, shown)
        connection.execute("COMMIT")


def _remove(path: Path) -> None:
    """Remove a database with its log, as far as they are there."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
