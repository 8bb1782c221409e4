"""The plugin's page tells the truth about the tables."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from smabot_persistence_sqlite.journal import SqliteJournal

PAGE = Path(__file__).parents[2] / "plugins" / "persistence_sqlite" / "README.md"


def test_the_page_lists_every_table_with_its_key_and_columns(db: Path) -> None:
    told = {
        name: (set(key.split(", ")), set(filter(None, rest.split(", "))))
        for name, key, rest in re.findall(
            r"^\| `(\w+)` \|[^|]*\| \*\*([\w, ]+)\*\*(?:, )?([\w, ]*) \|$", PAGE.read_text(), re.M
        )
    }
    SqliteJournal.open(db).close()
    with closing(sqlite3.connect(db)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        made = {}
        for (name,) in tables:
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            key = {c[1] for c in columns if c[5]}
            made[name] = (key, {c[1] for c in columns} - key)
    assert told == made


def test_the_queries_of_the_page_work_as_typed(db: Path) -> None:
    (queries,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.S)
    SqliteJournal.open(db).close()
    with closing(sqlite3.connect(db)) as person:
        person.execute("CREATE TABLE circuit_breaker (failure_count INTEGER)")  # of smabot-risk
        for query in queries.split(";\n"):
            assert person.execute(query).fetchall() == []
