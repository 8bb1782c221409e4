"""The findings of `smabot doctor` about the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from smabot.provider import Finding, SmabotError, is_displaced, is_locked, lock_holder
from smabot_persistence_sqlite.connection import (
    connect_reader,
    database_exists,
    file_size,
    translated_errors,
)
from smabot_persistence_sqlite.schema_version import LINEAGE, read_stamp

NAME = "database"
LARGEST_CHECK = 1_000_000_000
"""Bytes up to which the file is read whole: about a second on a fast disk."""


def diagnose_database(db: Path) -> list[Finding]:
    """Check a database without changing it, also while the bot is running."""
    try:
        with translated_errors(db):
            if not database_exists(db) and not is_locked(db):
                return [Finding.ok(NAME, f"{db} is created by the first run")]
            with closing(connect_reader(db)) as connection:
                found = _integrity_findings(connection, db, file_size(db))
    except SmabotError as error:
        return [Finding.failure(NAME, str(error))]
    if is_displaced(db):
        words = f"{db} is not what the running bot (pid {lock_holder(db)}) has: it was replaced while the bot was running"
        found.append(Finding.failure("lock", f"{words}: stop the bot, and restore a backup"))
    elif is_locked(db):
        found.append(
            Finding.ok("lock", f"{db} is in use by a running smabot, pid {lock_holder(db)}")
        )
    else:
        found.append(Finding.ok("lock", f"{db} is free"))
    return found


def _integrity_findings(connection: sqlite3.Connection, db: Path, size: int) -> list[Finding]:
    stamp = read_stamp(connection, db, LINEAGE)
    words = f"{db}, {size / 1e6:,.1f} MB, schema {stamp.revision or 'empty'}"
    if size > LARGEST_CHECK:
        words += "; not read whole: `smabot db check` does"
    else:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if result != "ok":
            return [
                Finding.failure(
                    NAME, f"{db} is damaged ({result}): restore a copy made by `smabot db backup`"
                )
            ]
        words += ", intact"
    if stamp.revision != LINEAGE.head:
        return [Finding.warning(NAME, f"{words}; the next run upgrades it to {LINEAGE.head}")]
    return [Finding.ok(NAME, words)]
