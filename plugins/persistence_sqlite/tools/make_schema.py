"""Writes the schema of a new database from the migrations: what `new_database` executes.

    python plugins/persistence_sqlite/tools/make_schema.py

Run it after a new migration. It lies beside the package, not in it: a wheel needs the result alone.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from smabot_persistence_sqlite.alembic_upgrade import upgraded
from smabot_persistence_sqlite.new_database import SCHEMA
from smabot_persistence_sqlite.schema_version import LINEAGE

HEAD = "-- Written by tools/make_schema.py from the migrations: change those, and run it again.\n\n"


def text() -> str:
    """Return the file's content."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db, upgraded(db, LINEAGE):
        made = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        statements = [sql for (sql,) in made]
        ((revision,),) = db.execute("SELECT version_num FROM alembic_version")
    statements.append(f"INSERT INTO alembic_version VALUES ('{revision}')")  # noqa: S608
    return HEAD + "".join(f"{statement};\n\n" for statement in statements).rstrip("\n") + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text())
