"""Reads records: by the bot itself, or while the bot is running."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from smabot.provider import (
    Bar,
    Command,
    ConfigError,
    FileHandle,
    JournalError,
    inode_of,
    is_displaced,
    is_locked,
    key_of,
    lock_holder,
)
from smabot_persistence_sqlite.bar_span import read_span
from smabot_persistence_sqlite.connection import (
    connect,
    connect_reader,
    open_file_handle,
    translated_errors,
)
from smabot_persistence_sqlite.newest_bars import newest_bars
from smabot_persistence_sqlite.record_mapping import Form, about, forms_of, quoted
from smabot_persistence_sqlite.schema_version import LINEAGE, Lineage, Stamp, read_stamp
from smabot_persistence_sqlite.stored_bars import named_damage

R = TypeVar("R")

_WITHDRAW = "UPDATE commands SET applied_at = ?, answer = ? WHERE id = ? AND applied_at IS NULL"


class SqliteRows:
    """Implements `smabot.hooks.ports.Rows` on one connection."""

    def __init__(
        self,
        db: Path,
        file: FileHandle,
        connection: sqlite3.Connection,
        forms: dict[type, Form],
        stamp: Stamp,
    ) -> None:
        self.db = db
        self.connection = connection
        self._path = db.resolve()
        self._file = file
        self._forms = forms
        self._stamp = stamp

    @classmethod
    def open(cls, db: Path, records: Sequence[type] = (), lineage: Lineage = LINEAGE) -> SqliteRows:
        """Open a database read-only.

        Raises ConfigError when there is none, or not one of this release; JournalError when it is
        damaged.
        """
        forms = forms_of(records)
        with ExitStack() as opened, translated_errors(db):
            file = opened.enter_context(closing(open_file_handle(db)))
            connection = opened.enter_context(closing(connect_reader(db)))
            stamp = read_stamp(connection, db, lineage)
            if stamp.revision is None:
                raise ConfigError(f"no database at {db}: run `smabot run` first")
            if stamp.revision != lineage.head:
                raise ConfigError(
                    f"{db} was made by an older smabot: `smabot run` brings it up to date"
                )
            opened.pop_all()
        return cls(db, file, connection, forms, stamp)

    @property
    def location(self) -> str:
        """The file, as it was named."""
        return str(self.db)

    def row(self, kind: type[R], *key: Any) -> R | None:
        """Return the record with that primary key, or None."""
        form = self._form(kind)
        if form is None:
            return None
        encoded = [form.value(k, v) for k, v in zip(form.table.key, key, strict=True)]
        with translated_errors(self.db):
            found = self.connection.execute(form.by_key, encoded).fetchone()
        return None if found is None else form.decode(found)

    def rows(
        self,
        kind: type[R],
        *,
        where: Mapping[str, Any] | None = None,
        since: tuple[str, Any] | None = None,
        newest_by: str | None = None,
        limit: int | None = None,
        until: tuple[str, Any] | None = None,
    ) -> list[R]:
        """Return records, as `smabot.hooks.ports.Rows` describes.

        Text that holds a Decimal does not sort as the number, and a time only to the second: there
        SQL narrows, and the values decide.
        """
        form = self._form(kind)
        if form is None or limit == 0:
            return []
        clauses, parameters = _matching(form, where or {})
        if since is not None:
            _narrow(form, since, clauses, parameters)
        if until is not None:
            _narrow_end(form, until, clauses, parameters)
        order = form.table.key if newest_by is None else (newest_by, *form.table.key)
        direction = "" if newest_by is None else " DESC"
        sql = form.select
        if clauses:
            sql += " WHERE " + " AND ".join(clauses)
        ordered = [quoted(name) + direction for name in order]
        if newest_by is None and since is not None and since[0] != order[0]:
            ordered[0] = (
                f"+{ordered[0]}"  # or SQLite reads the whole table by key, not by ``since``
            )
        sql += f" ORDER BY {', '.join(ordered)}"
        with closing(self._decoded(form, sql, parameters)) as records:
            kept: Iterator[Any] = records
            if since is not None and not form.codecs[since[0]].sorts:
                kept = (r for r in kept if _at_least(r, *since))
            if until is not None and not form.codecs[until[0]].sorts:
                kept = (r for r in kept if _at_most(r, *until))
            if newest_by is not None:
                return _newest(kept, newest_by, limit)
            if all(form.codecs[name].sorts for name in order):
                return list(islice(kept, limit))
            return sorted(kept, key=key_of)[:limit]

    def count(self, kind: type, *, where: Mapping[str, Any] | None = None) -> int:
        """Return how many records `rows` would give."""
        form = self._form(kind)
        if form is None:
            return 0
        clauses, parameters = _matching(form, where or {})
        sql = f"SELECT COUNT(*) FROM {quoted(form.table.name)}"  # noqa: S608
        if clauses:
            sql += " WHERE " + " AND ".join(clauses)
        with translated_errors(self.db):
            return int(self.connection.execute(sql, parameters).fetchone()[0])

    def bar_counts(self) -> dict[str, int]:
        """Return the number of bars kept of each symbol. Reads the whole table."""
        with translated_errors(self.db):
            return dict(
                self.connection.execute(
                    "SELECT symbol, COUNT(*) FROM bars GROUP BY symbol ORDER BY symbol"
                )
            )

    def newest_bar(self) -> datetime | None:
        """Return the start of the newest minute that has a bar, or None."""
        with translated_errors(self.db), named_damage(self.db):
            (ts,) = self.connection.execute("SELECT MAX(ts) FROM bars").fetchone()
            return None if ts is None else datetime.fromtimestamp(ts, UTC)

    def bars_within(self, since: datetime, until: datetime, symbol: str | None = None) -> list[Bar]:
        """Return the bars that start from ``since`` to ``until``, both included, oldest first."""
        with translated_errors(self.db), named_damage(self.db):
            return read_span(self.connection, since, until, symbol)

    def windows(self, lookback: int, symbols: Collection[str]) -> Iterator[list[Bar]]:
        """Yield the newest ``lookback`` bars of each symbol, a minute at a time, oldest first."""
        with translated_errors(self.db), named_damage(self.db):
            yield from newest_bars(self.connection, lookback, symbols)

    def in_use(self) -> bool:
        """Tell whether a bot runs on the database.

        Raises JournalError when the database has been taken away, from this or from the bot.
        """
        try:
            here = inode_of(self.db.stat()) == self._file.inode
        except OSError:
            here = False
        if not here:
            raise JournalError(
                f"database {self.db} was removed, moved or replaced just now: nothing was carried out"
            )
        if is_displaced(self.db):
            raise JournalError(
                f"database {self.db} is not the one that the running bot (pid {lock_holder(self.db)}) has: "
                "it, or a file of it, was removed or replaced while the bot was running, so that no "
                "command reaches the bot; stop the bot, restore a backup, and start again"
            )
        return is_locked(self.db)

    def send(self, command: Command) -> None:
        """Leave a command for the bot, running or not, through a short connection of its own.

        Raises JournalError when it can't be written.
        """
        form = self._forms[Command]
        with (
            translated_errors(self.db),
            closing(connect(self._path, "rw")) as connection,
        ):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(form.upsert, form.encode(command))

    def withdraw(self, command_id: str, at: datetime, answer: str) -> bool:
        """End a command that still waits, at a wall time, UTC; False when a bot has taken it.

        While a bot carries commands out, this waits for its commit. Raises JournalError when it can't
        be written, or the bot does not end its step within `BUSY_SECONDS`.
        """
        form = self._forms[Command]
        with (
            translated_errors(self.db),
            closing(connect(self._path, "rw")) as connection,
        ):
            connection.execute("PRAGMA synchronous = FULL")
            done = connection.execute(
                _WITHDRAW, (form.value("applied_at", at), form.value("answer", answer), command_id)
            )
            return done.rowcount == 1

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it all reads see one state, whatever a running bot commits meanwhile."""
        with translated_errors(self.db):
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            with translated_errors(self.db):
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self.connection.close()
        self._file.close()

    def _known(self, kind: type) -> Form:
        try:
            return self._forms[kind]
        except KeyError:
            raise JournalError(
                f"{kind.__module__}.{kind.__qualname__} has no table: name it in the plugin's "
                "`records` hook"
            ) from None

    def _form(self, kind: type) -> Form | None:
        """Return a record's form; None when its table is still to be made by a run."""
        form = self._known(kind)
        if self._stamp.holds(form):
            return form
        if form.table.name in self._stamp.definitions:
            raise about(
                kind,
                ConfigError(
                    f"table {form.table.name} in {self.db} is of another version of "
                    f"{form.declared_by}: `smabot run` brings it up to date"
                ),
            )
        return None

    def _decoded(
        self, form: Form, sql: str, parameters: Sequence[Any]
    ) -> Generator[Any, None, None]:
        with (
            translated_errors(self.db),
            closing(self.connection.execute(sql, parameters)) as cursor,
        ):
            yield from map(form.decode, cursor)


def _matching(form: Form, where: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    clauses: list[str] = []
    parameters: list[Any] = []
    for name, wanted in where.items():
        members = wanted if isinstance(wanted, (tuple, list, set, frozenset)) else (wanted,)
        encoded = [form.value(name, member) for member in members]
        values = [value for value in encoded if value is not None]
        clause = f"{quoted(name)} IN ({', '.join('?' * len(values))})"
        if len(values) < len(encoded):
            clause = f"({clause} OR {quoted(name)} IS NULL)"
        clauses.append(clause)
        parameters += values
    return clauses, parameters


def _narrow(form: Form, since: tuple[str, Any], clauses: list[str], parameters: list[Any]) -> None:
    """Add what SQL can say of ``column >= value``: for a time, from the start of its second."""
    name, value = since
    bound = form.value(name, value)
    if isinstance(value, datetime):
        bound = form.value(name, value.replace(microsecond=0)).removesuffix("Z")
    if isinstance(value, Decimal):
        clauses.append(f"{quoted(name)} IS NOT NULL")
    else:
        clauses.append(f"{quoted(name)} >= ?")
        parameters.append(bound)


def _narrow_end(
    form: Form, until: tuple[str, Any], clauses: list[str], parameters: list[Any]
) -> None:
    """Add what SQL can say of ``column <= value``: for a time, to the end of its second."""
    name, value = until
    bound = form.value(name, value)
    if isinstance(value, Decimal):
        clauses.append(f"{quoted(name)} IS NOT NULL")
        return
    if isinstance(value, datetime):
        following = value.replace(microsecond=0) + timedelta(seconds=1)
        bound = form.value(name, following).removesuffix("Z")
    clauses.append(f"{quoted(name)} <= ?")
    parameters.append(bound)


def _at_least(record: Any, column: str, value: Any) -> bool:
    return bool(getattr(record, column) >= value)


def _at_most(record: Any, column: str, value: Any) -> bool:
    return bool(getattr(record, column) <= value)


def _newest(records: Iterator[Any], column: str, limit: int | None) -> list[Any]:
    """Return the newest of records that come newest first, in ascending order.

    Those that share the last one's second are all read before the cut.
    """
    found: list[Any] = []
    for record in records:
        if limit is not None and len(found) >= limit:
            here, last = getattr(record, column), getattr(found[-1], column)
            if not isinstance(here, Decimal) and _second(here) != _second(last):
                break
        found.append(record)
    found.reverse()
    found.sort(key=_by(column))
    return found if limit is None else found[-limit:]


def _second(value: Any) -> Any:
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


def _by(column: str) -> Callable[[Any], tuple[bool, Any]]:
    """Return a sorting key by a column, with None first."""

    def key(record: Any) -> tuple[bool, Any]:
        value = getattr(record, column)
        return (value is not None, value)

    return key
