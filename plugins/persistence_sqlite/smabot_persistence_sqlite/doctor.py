"""What `smabot doctor` is told of the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from smabot.provider import Finding, SmabotError, is_displaced, is_locked, lock_holder
from smabot_persistence_sqlite.connection import connect_reader, exists, size_of, translated
from smabot_persistence_sqlite.schema_version import LINEAGE, read_stamp

NAME = "database"
LARGEST_CHECK = 1_000_000_000
"""Bytes up to which the file is read whole: about a second on a fast disk."""


def diagnose(db: Path) -> list[Finding]:
    """Look at a database without changing it, also beside a running bot."""
    try:
        with translated(db):
            if not exists(db) and not is_locked(db):
                return [Finding.ok(NAME, f"{db} is made by the first run")]
            with closing(connect_reader(db)) as connection:
                found = _sound(connection, db, size_of(db))
    except SmabotError as error:
        return [Finding.failure(NAME, str(error))]
    if is_displaced(db):
        words = f"{db} is not what the running bot (pid {lock_holder(db)}) has: it was replaced beneath it"
        found.append(Finding.failure("lock", f"{words}: stop the bot, and restore a backup"))
    elif is_locked(db):
        found.append(
            Finding.ok("lock", f"{db} is in use by a running smabot, pid {lock_holder(db)}")
        )
    else:
        found.append(Finding.ok("lock", f"{db} is free"))
    return found


def _sound(connection: sqlite3.Connection, db: Path, size: int) -> list[Finding]:
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
        words += ", sound"
    if stamp.revision != LINEAGE.head:
        return [Finding.warning(NAME, f"{words}; the next run brings it up to {LINEAGE.head}")]
    return [Finding.ok(NAME, words)]
