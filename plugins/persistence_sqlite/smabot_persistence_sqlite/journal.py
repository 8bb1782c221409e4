"""The journal: one writer, one transaction a step."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from smabot.provider import Bar, Command, ConfigError, DatabaseWatch, FileLock, JournalError
from smabot_persistence_sqlite.connection import (
    connect,
    database_exists,
    error_meaning,
    file_size,
    is_writable,
    make_durable,
    translated_errors,
)
from smabot_persistence_sqlite.newest_bars import first_bars
from smabot_persistence_sqlite.record_mapping import Form, forms_of, quoted
from smabot_persistence_sqlite.record_reader import SqliteRows
from smabot_persistence_sqlite.replacement import finish_restore
from smabot_persistence_sqlite.schema_version import LINEAGE, Lineage, Stamp, read_stamp

INSERT_BAR = (
    "INSERT INTO bars (ts, symbol, open, high, low, close, volume, trade_count, vwap) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ts, symbol) DO NOTHING"
)
_INSERT_SYMBOL = (
    "INSERT INTO symbols (symbol, first_bar) VALUES (?, ?) ON CONFLICT (symbol) "
    "DO UPDATE SET first_bar = MIN(first_bar, excluded.first_bar)"
)


class SqliteJournal(SqliteRows):
    """Implements `smabot.hooks.ports.Journal` on a database that it alone writes."""

    def __init__(
        self,
        db: Path,
        connection: sqlite3.Connection,
        forms: dict[type, Form],
        stamp: Stamp,
        lock: FileLock,
        watch: DatabaseWatch,
        opening_notes: tuple[str, ...],
    ) -> None:
        super().__init__(db, watch.file, connection, forms, stamp)
        self.lock = lock
        self.opening_notes = opening_notes
        """What opening the database did, for the operator."""
        self._watch = watch
        self._lost = ""
        self._first_bars: dict[str, int] | None = None
        self._data_version: int | None = None
        self._commands_left = True

    @classmethod
    def open(
        cls, db: Path, records: Sequence[type] = (), lineage: Lineage = LINEAGE
    ) -> SqliteJournal:
        """Lock and open a database for writing; create it, or upgrade its schema.

        Raises LockHeld while another process has it, ConfigError when it is not usable, JournalError when
        it is damaged.
        """
        forms = forms_of(records)
        notes = finish_restore(db)
        with ExitStack() as opened, translated_errors(db):
            lock = FileLock(db, f"database {db}", "use another --db")
            opened.callback(lock.release)
            path = db.resolve()
            if not database_exists(db):
                from smabot_persistence_sqlite.new_database import create

                create(path, db, forms.values(), lock)
                notes.append("new database")
            if not is_writable(path):
                raise ConfigError(f"database {db} can't be written: check the file's rights")
            log_left = file_size(path.with_name(path.name + "-wal"))
            connection = opened.enter_context(closing(connect(path, "rw")))
            stamp = read_stamp(connection, db, lineage)
            make_durable(connection, db)
            if not stamp.fits(forms.values(), lineage):
                from smabot_persistence_sqlite.migrating import bring_up_to_date

                notes += bring_up_to_date(path, db, forms.values(), stamp, lineage)
                stamp = read_stamp(connection, db, lineage)
            _probe(connection, forms.values())
            if log_left and not _last_run_ended(connection):
                notes.append("the last run did not end by itself: its write-ahead log was read")
            watch = lock.watch()
            opened.pop_all()
        return cls(db, connection, forms, stamp, lock, watch, tuple(notes))

    def commit(self, rows: Sequence[Any], bars: Sequence[Bar] = ()) -> None:
        """Write all or nothing, durably. Raises JournalError; then nothing of it was written."""
        if not rows and not bars:
            return
        self.check_in_place()
        encoded = self._encoded(rows)
        timed = _timed(bars) if bars else []
        earlier = self._first_bars_of(timed)
        run = self.connection
        try:
            self._begin()
            if timed:
                run.executemany(INSERT_BAR, timed)
            if earlier:
                run.executemany(_INSERT_SYMBOL, earlier.items())
            for form, values in encoded.items():
                run.executemany(form.upsert, values)
            with self._watch.writing():
                run.execute("COMMIT")
        except (sqlite3.Error, ValueError, OverflowError) as error:
            self._roll_back()
            raise JournalError(
                f"database {self.db}: {error_meaning(error, self.db)}; nothing of this step was written"
            ) from error
        except BaseException:
            self._roll_back()
            raise
        if earlier and self._first_bars is not None:
            self._first_bars.update(earlier)

    def commands(self) -> list[Command]:
        """Return the commands not yet applied, in the order given: by ``created_at``, then id.

        Where there are some, the next commit's transaction begins here: nobody can withdraw a command that
        is being carried out. Reads the table only after another process wrote, or while the last read
        found some. Raises JournalError.
        """
        with translated_errors(self.db):
            (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        if version == self._data_version and not self._commands_left:
            return []
        found = self._pending_commands()
        if found:
            with translated_errors(self.db):
                self._begin()
            found = self._pending_commands()
            if not found:
                self._roll_back()
        self._data_version, self._commands_left = version, bool(found)
        return found

    def check_in_place(self) -> None:
        """Check that the files are still those that were opened, and hold what was written to them.

        Raises JournalError when they were removed, moved, replaced, truncated or overwritten, and then at
        every later commit.
        """
        if not self._lost and (trouble := self._watch.trouble()):
            self._lost = (
                f"database {self.db}{trouble} while the bot was running, and nothing is sent any "
                "more: put the original back, or restore a backup, then start again"
            )
        if self._lost:
            raise JournalError(self._lost)

    def in_use(self) -> bool:
        """Return True: the bot whose journal this is runs on the database."""
        return True

    def close(self) -> None:
        """Close the file and release its lock. Safe to call twice."""
        self.connection.close()
        self._watch.close()
        self.lock.release()

    def _pending_commands(self) -> list[Command]:
        found = self.rows(Command, where={"applied_at": None})
        return sorted(found, key=lambda each: (each.created_at, each.id))

    def _begin(self) -> None:
        """Begin a transaction, unless `commands` has."""
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")

    def _encoded(self, rows: Sequence[Any]) -> dict[Form, list[tuple[Any, ...]]]:
        encoded: dict[Form, list[tuple[Any, ...]]] = {}
        for row in rows:
            form = self._known(type(row))
            encoded.setdefault(form, []).append(form.encode(row))
        return encoded

    def _first_bars_of(self, timed: list[tuple[Any, ...]]) -> dict[str, int]:
        """Return the symbols whose first bar is among these, with its minute."""
        if not timed:
            return {}
        if self._first_bars is None:
            with translated_errors(self.db):
                self._first_bars = first_bars(self.connection)
        known, earlier = self._first_bars, {}
        for bar in timed:  # oldest first
            symbol = bar[1]
            if known.get(symbol, bar[0] + 1) > bar[0] and symbol not in earlier:
                earlier[symbol] = bar[0]
        return earlier

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            with translated_errors(self.db):
                self.connection.execute("ROLLBACK")


def _timed(bars: Sequence[Bar]) -> list[tuple[Any, ...]]:
    """Return bars as rows in the order of the table's key."""
    seconds: dict[datetime, int] = {time: _seconds(time) for time in {bar[1] for bar in bars}}
    rows = [(seconds[t], s, o, h, lo, c, v, n, w) for s, t, o, h, lo, c, v, n, w in bars]
    rows.sort(key=lambda row: row[:2])
    return rows


def _seconds(time: datetime) -> int:
    if time.tzinfo is None or time.microsecond:
        raise JournalError(f"a bar's time has to be a whole second with a time zone, not {time!r}")
    return int(time.timestamp())


def _last_run_ended(connection: sqlite3.Connection) -> bool:
    """Tell whether the last run ended by itself; a log may also be left by a reader or a command."""
    query = "SELECT ended_at IS NOT NULL FROM runs ORDER BY started_at DESC LIMIT 1"
    return bool((connection.execute(query).fetchone() or (False,))[0])


def _probe(connection: sqlite3.Connection, forms: Collection[Form]) -> None:
    """Seek the first and last row of every table: gross damage shows now, not in the middle of a session."""
    keys = {form.table.name: form.table.key for form in forms}
    for table, key in {**keys, "bars": ("ts", "symbol"), "symbols": ("symbol",)}.items():
        for direction in ("", " DESC"):
            order = ", ".join(quoted(name) + direction for name in key)
            connection.execute(
                f"SELECT * FROM {quoted(table)} ORDER BY {order} LIMIT 1"  # noqa: S608
            ).fetchone()
