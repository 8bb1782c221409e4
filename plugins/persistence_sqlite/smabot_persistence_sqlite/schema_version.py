"""The cheap look at a database's schema: is it the one this release works with?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from smabot.provider import ConfigError
from smabot_persistence_sqlite.record_mapping import Form


@dataclass(frozen=True, slots=True)
class Lineage:
    """The migrations: where they lie, and their revisions, oldest first."""

    location: str
    revisions: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.revisions[-1]


LINEAGE = Lineage(
    "smabot_persistence_sqlite:migrations",
    ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0010"),
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a database says of itself: its revision (None: new and empty), and the shape of each table."""

    revision: str | None
    definitions: dict[str, str]

    def fits(self, forms: Iterable[Form], lineage: Lineage) -> bool:
        """Tell whether nothing has to be created or changed."""
        return self.revision == lineage.head and all(self.holds(form) for form in forms)

    def holds(self, form: Form) -> bool:
        """Tell whether the record's table is there in its present shape."""
        return self.definitions.get(form.table.name) == form.definition


def read_stamp(
    connection: sqlite3.Connection,
    shown: Path,
    lineage: Lineage,
    otherwise: str = "use another --db",
) -> Stamp:
    """Read a database's stamp. Raises ConfigError when it is not smabot's, or of a newer smabot.

    ``otherwise`` is the way out, for the message.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not names:
        return Stamp(None, {})
    if not {"alembic_version", "declared_records"} <= names:
        raise ConfigError(f"{shown} is a database, but not smabot's: {otherwise}")
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision = found[0] if found else ""
    if revision not in lineage.revisions:
        raise ConfigError(
            f"{shown} was made by a newer smabot (schema {revision or 'unknown'}): upgrade smabot, or "
            f"{otherwise}"
        )
    stored = connection.execute("SELECT table_name, definition FROM declared_records")
    return Stamp(revision, {name: text for name, text in stored if name in names})
