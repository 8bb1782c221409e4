"""A whole, consistent copy of a database, taken while it is written to."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from smabot_persistence_sqlite.connection import connect


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into one file, check the copy, and only then give it its name.

    The file is on the disk when this returns. Raises sqlite3.Error, or OSError.
    """
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        with closing(connect(source, "ro")) as original, closing(connect(partial, "rwc")) as copy:
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(
                    f"the copy is damaged, and so is the original: {verdict}"
                )
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
