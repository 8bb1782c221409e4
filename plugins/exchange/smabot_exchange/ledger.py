"""The exchange's durable file: the tape, the sessions, the account, and the clock's cursor."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from smabot.calendar import Session
from smabot.errors import BrokerError, ConfigError, SmabotError
from smabot.lock import FileLock
from smabot.records import Bar
from smabot_exchange.account import Holding, Terms
from smabot_exchange.intake import Source, build_ledger
from smabot_exchange.orders import (
    ExchangeOrder,
    Execution,
    OrderEvent,
    plain,
)
from smabot_exchange.rows import (
    EXECUTION_COLUMNS,
    INSERT_EXECUTION,
    ORDER_COLUMNS,
    UPSERT_ORDER,
    execution_row,
    order_row,
    to_execution,
    to_minutes,
    to_order,
    to_stamp,
    to_time,
)
from smabot_exchange.schema import APPLICATION_ID, VERSION

_CHUNK = 2048
_OPEN = "status IN ('accepted', 'new', 'partially_filled')"


class Ledger:
    """One ledger, locked for this process.

    A clock that only moves on is committed so that it survives a killed process; anything with an
    order so that it survives a power cut too. Once open, every method raises BrokerError when the
    file can't be read or written.
    """

    def __init__(self, path: Path, source: Source, terms: Terms) -> None:
        """Open a ledger; write it from the source first when there is none.

        Raises ConfigError when it is not this source's, LockHeld when another process has it.
        """
        self.path = path
        self.imported = False
        self._error: type[SmabotError] = ConfigError
        self._lock = FileLock(path, f"ledger {path}", "give another --ledger or --db")
        try:
            if not path.exists() or path.stat().st_size == 0:
                build_ledger(path, source, terms)
                self.imported = True
            self._db = self._connect()
            try:
                with self._told():
                    self._check(source, terms)
                    self._sessions = self._read_sessions()
                    self._chunk = max(_CHUNK, self._value("SELECT count(*) FROM assets") + 1)
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            self._lock.release()
            raise
        self._error = BrokerError

    def close(self) -> None:
        """Close the file and let go of the lock."""
        self._db.close()
        self._lock.release()

    # What was imported

    @property
    def account_id(self) -> str:
        return self._meta["account_id"]

    @property
    def minutes(self) -> int:
        """Minutes with a bar, in all."""
        return int(self._meta["minutes"])

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The tape's sessions, and a few after its end."""
        return tuple(session for session, _ in self._sessions)

    @property
    def last_session(self) -> Session:
        """The last session on the tape."""
        return [session for session, played in self._sessions if played][-1]

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know of the tape and of where it stands, a line each."""
        first, *others = json.loads(self._meta["notes"])
        if self.imported:
            return (f"{first}, imported in {self._meta['import_seconds']} s", *others)
        return (f"{first}, goes on at {self.now():%Y-%m-%d %H:%MZ}", *others)

    def symbols(self) -> tuple[str, ...]:
        with self._told():
            return tuple(
                symbol
                for (symbol,) in self._db.execute("SELECT symbol FROM assets ORDER BY symbol")
            )

    def minutes_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        """Return some of the minutes that start at or after a time, one at least if there is one."""
        with self._told():
            rows = self._db.execute(
                "SELECT * FROM bars WHERE ts >= ? ORDER BY ts, symbol LIMIT ?",
                (to_stamp(time), self._chunk),
            ).fetchall()
        if len(rows) == self._chunk:
            last = rows[-1][0]
            while rows[-1][0] == last:
                rows.pop()
        return list(to_minutes(rows))

    def newest_minutes_start(self, count: int, before: datetime) -> datetime | None:
        """Return the start of the ``count``-th last minute that starts before a time, or of the first."""
        with self._told():
            stamp = self._value(
                "WITH RECURSIVE newest(ts) AS (SELECT (SELECT max(ts) FROM bars WHERE ts < ?) "
                "UNION ALL SELECT (SELECT max(ts) FROM bars WHERE ts < newest.ts) FROM newest "
                "WHERE newest.ts IS NOT NULL LIMIT ?) SELECT min(ts) FROM newest",
                to_stamp(before),
                count,
            )
        return None if stamp is None else to_time(stamp)

    def price_before(self, symbol: str, time: datetime) -> float | None:
        """Return a symbol's last close before a time, else its first open; None: no such symbol."""
        with self._told():
            first_open = self._value("SELECT first_open FROM assets WHERE symbol = ?", symbol)
            if first_open is None:
                return None
            close = self._value(
                "SELECT close FROM bars WHERE ts < ? AND symbol = ? ORDER BY ts DESC LIMIT 1",
                to_stamp(time),
                symbol,
            )
            return float(first_open if close is None else close)

    # What happens

    def now(self) -> datetime:
        with self._told():
            return to_time(self._value("SELECT now FROM state"))

    def minutes_played(self) -> int:
        with self._told():
            return int(self._value("SELECT minutes_played FROM state"))

    def cash(self) -> Decimal:
        with self._told():
            return Decimal(self._value("SELECT cash FROM state"))

    def last_seq(self) -> int:
        with self._told():
            return self._value("SELECT max(seq) FROM orders") or 0

    def holdings(self) -> list[Holding]:
        with self._told():
            rows = self._db.execute("SELECT symbol, qty, cost FROM positions ORDER BY symbol")
            return [Holding(symbol, Decimal(qty), Decimal(cost)) for symbol, qty, cost in rows]

    def order(self, order_id: UUID) -> ExchangeOrder | None:
        found = self._orders("WHERE id = ?", str(order_id))
        return found[0] if found else None

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder | None:
        found = self._orders("WHERE client_order_id = ?", client_order_id)
        return found[0] if found else None

    def open_orders(self) -> list[ExchangeOrder]:
        return self._orders(f"WHERE {_OPEN} ORDER BY seq")

    def orders_since(self, time: datetime | None) -> list[ExchangeOrder]:
        """Return the orders submitted at or after a time, or all, in the order they came in."""
        if time is None:
            return self._orders("ORDER BY seq")
        return self._orders("WHERE submitted_at >= ? ORDER BY seq", to_stamp(time, up=True))

    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills at or after a time, or all, in the order they happened."""
        with self._told():
            rows = self._db.execute(
                f"SELECT {EXECUTION_COLUMNS} FROM fills WHERE time >= ? ORDER BY number",  # noqa: S608
                (0 if since is None else to_stamp(since, up=True),),
            )
            return [to_execution(row) for row in rows]

    def move_clock(self, now: datetime, minutes_played: int) -> None:
        """Commit a minute in which nothing but bars happened."""
        with self._told():
            self._synchronous("NORMAL")
            self._db.execute(
                "UPDATE state SET now = ?, minutes_played = ?", (to_stamp(now), minutes_played)
            )

    def record(
        self,
        now: datetime,
        minutes_played: int,
        events: Sequence[OrderEvent],
        cash: Decimal,
        holdings: Mapping[str, Holding],
    ) -> None:
        """Commit order events and what follows of them, at once and durably."""
        orders = {event.order.id: event.order for event in events}
        executions = [event.execution for event in events if event.execution is not None]
        with self._told(), self._transaction() as db:
            db.execute(
                "UPDATE state SET now = ?, minutes_played = ?, cash = ?",
                (to_stamp(now), minutes_played, plain(cash)),
            )
            db.executemany(UPSERT_ORDER, [order_row(order) for order in orders.values()])
            db.executemany(INSERT_EXECUTION, [execution_row(e) for e in executions])
            for symbol in {execution.symbol for execution in executions}:
                db.execute("DELETE FROM positions WHERE symbol = ?", (symbol,))
                if held := holdings.get(symbol):
                    db.execute(
                        "INSERT INTO positions VALUES (?, ?, ?)",
                        (symbol, plain(held.qty), plain(held.cost)),
                    )

    # Opening

    def _connect(self) -> sqlite3.Connection:
        effective = os.access in os.supports_effective_ids
        if not os.access(self.path, os.R_OK | os.W_OK, effective_ids=effective):
            raise ConfigError(
                f"ledger {self.path}: is read-only; make it writable or give another --ledger or --db"
            )
        if self.path.is_dir():
            raise ConfigError(f"ledger {self.path}: is a folder; give a file name in it")
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise ConfigError(
                    f"ledger {self.path}: is another program's database, not an exchange ledger; "
                    "give another --ledger"
                )
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise ConfigError(
                    f"ledger {self.path}: was written by a newer smabot-exchange (schema {version}, "
                    f"this one knows {VERSION}); upgrade it or give another --ledger"
                )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            db.close()
            raise self._unusable(error) from error
        except ConfigError:
            db.close()
            raise
        self._level = ""
        return db

    def _check(self, source: Source, terms: Terms) -> None:
        """Raise ConfigError unless the ledger is of this source and these terms."""
        self._meta: dict[str, str] = dict(self._db.execute("SELECT key, value FROM meta"))
        given = {
            "cash": ("opening_cash", terms.cash),
            "participation": ("participation", terms.participation),
            "multiplier": ("multiplier", terms.multiplier),
        }
        for name, (key, value) in given.items():
            if Decimal(self._meta[key]) != value:
                raise ConfigError(
                    f"ledger {self.path}: was opened with {name} {self._meta[key]}, the settings say "
                    f"{value}; set it back or give another --ledger or --db"
                )
        signature = source.signature()
        if signature == self._meta["signature"]:
            return
        if source.fingerprint() != self._meta["fingerprint"]:
            was, now = self._meta["label"], source.label
            if was == now and signature.startswith("made"):
                was, now = self._meta["signature"], signature
            raise ConfigError(
                f"ledger {self.path}: plays another tape ({was}) than {now}, "
                "or the tape was changed since; give the tape it began with, "
                "or another --ledger or --db"
            )
        self._db.execute("UPDATE meta SET value = ? WHERE key = 'signature'", (signature,))

    def _read_sessions(self) -> list[tuple[Session, bool]]:
        rows = self._db.execute("SELECT date, open, close, played FROM sessions ORDER BY date")
        return [
            (Session(date.fromisoformat(day), to_time(opens), to_time(closes)), bool(played))
            for day, opens, closes, played in rows
        ]

    # Plumbing

    def _orders(self, where: str, *values: object) -> list[ExchangeOrder]:
        with self._told():
            rows = self._db.execute(f"SELECT {ORDER_COLUMNS} FROM orders {where}", values)  # noqa: S608
            return [to_order(row) for row in rows]

    def _value(self, query: str, *values: object) -> Any:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _synchronous(self, level: str) -> None:
        if self._level != level:
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._level = level

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._synchronous("FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn trouble with the file into one clear line."""
        try:
            yield
        except (sqlite3.Error, LookupError, ArithmeticError, TypeError, ValueError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SmabotError:
        if isinstance(error, sqlite3.OperationalError):
            return self._error(
                f"ledger {self.path}: can't be used: {error}; free or repair its disk"
            )
        return self._error(
            f"ledger {self.path}: is damaged ({error}); restore it from a copy, "
            "or give another --ledger and --db"
        )
