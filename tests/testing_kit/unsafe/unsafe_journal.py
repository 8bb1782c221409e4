"""A journal that breaks the promise which its setting names; without one it is SQLite's."""

from collections.abc import Sequence
from typing import Any

from smabot.provider import Config, Settings, hookimpl
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows


class JournalSettings(Settings):
    breaks: str = ""


class UnsafeJournal:
    def __init__(self, settings: JournalSettings) -> None:
        self.breaks = settings.breaks

    @hookimpl
    def open_journal(self, config: Config, records: Sequence[type]) -> Any:
        db = config.db
        if self.breaks == "one-writer":
            TIMES[db] = TIMES.get(db, 0) + 1
            db = db.with_name(f"{TIMES[db]}.db")
        return Broken(SqliteJournal.open(db, records), self.breaks)

    @hookimpl
    def open_rows(self, config: Config, records: Sequence[type]) -> Any:
        return Broken(SqliteRows.open(config.db, records), self.breaks)


TIMES: dict[Any, int] = {}


class Broken:
    def __init__(self, inner: Any, breaks: str) -> None:
        self.inner = inner
        self.breaks = breaks
        self.kept: list[Any] = []
        self.seen = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def commit(self, rows: Sequence[Any], bars: Sequence[Any] = ()) -> None:
        if self.breaks == "atomic":
            for row in rows:
                self.inner.commit([row])
            self.inner.commit([], bars)
        elif self.breaks == "durable":
            self.kept.append((rows, bars))
        elif self.breaks == "the newest commits":
            self.kept.append((rows, bars))
            if len(self.kept) > 2:
                self.inner.commit(*self.kept.pop(0))
        elif self.breaks == "idempotent":
            self.inner.commit([row for row in rows if not hasattr(row, "checks")], bars)
            for row in rows:
                if hasattr(row, "checks"):
                    kept = self.inner.row(type(row), row.client_order_id)
                    times = len(kept.reason) + 1 if kept else 1
                    from dataclasses import replace

                    self.inner.commit([replace(row, reason="x" * times)])
        else:
            self.inner.commit(rows, bars)

    def rows(self, kind: type, **how: Any) -> list[Any]:
        found = self.inner.rows(kind, **how)
        if self.breaks == "loads-as-kept":
            return found[::-1]
        if self.breaks == "read-beside" and type(self.inner) is SqliteRows:
            self.seen = self.seen or found
            return self.seen
        return found

    def commands(self) -> list[Any]:
        found = self.inner.commands()
        return found[::-1] if self.breaks == "commands" else found
