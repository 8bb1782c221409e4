"""The exchange's durable file: bars, sessions, the account, and the clock's cursor."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from smabot.provider import Bar, BrokerError, ConfigError, FileLock, Session
from smabot_exchange.data.data_source import DataSource, shown_label
from smabot_exchange.ledger.changes import AccountMovement, LedgerChange
from smabot_exchange.ledger.data_import import build_ledger
from smabot_exchange.ledger.ledger_file import LedgerFile
from smabot_exchange.ledger.rows import (
    EXECUTION_COLUMNS,
    INSERT_EXECUTION,
    INSERT_ORDER,
    ORDER_COLUMNS,
    UPDATE_ORDER,
    change_row,
    execution_row,
    order_row,
    to_bar,
    to_execution,
    to_minutes,
    to_order,
    to_stamp,
    to_time,
)
from smabot_exchange.matching.account import AccountTerms, ExchangePosition, LastDay, RequestedTerms
from smabot_exchange.matching.orders import (
    OPEN_STATUSES,
    ExchangeOrder,
    Execution,
    OrderFilter,
    StallReason,
    plain,
)

_CHUNK = 2048
_OPEN = "status IN ('" + "', '".join(OPEN_STATUSES) + "')"


class Ledger(LedgerFile):
    """One ledger, locked for this process.

    A clock that only moves on is committed so that it survives a killed process; anything with an
    order so that it survives a power cut too. Once open, every method raises BrokerError when the
    file can't be read or written.
    """

    def __init__(self, path: Path, source: DataSource, asked: RequestedTerms) -> None:
        """Open a ledger; write it from the source first when there is none.

        Raises ConfigError when it is not this source's, LockHeld when another process has it.
        """
        super().__init__(path)
        self.imported = False
        self._lock = FileLock(path, f"ledger {path}", "give another --ledger or --db")
        try:
            if not self._exists():
                build_ledger(path, source, asked.for_new_ledger(), self._lock)
                self.imported = True
            self._open()
            try:
                with self._told():
                    self._check(source, asked)
                    self._bring_up()
                    self._sessions = self._read_sessions()
                    self._chunk = max(_CHUNK, self._value("SELECT count(*) FROM assets") + 1)
                    self._watch = self._lock.watch()
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
        self._watch.close()
        self._lock.release()

    # What was imported

    @property
    def account_id(self) -> str:
        return self._meta["account_id"]

    @property
    def terms(self) -> AccountTerms:
        """The account's terms, as the ledger was opened with them."""
        names = ("opening_cash", "participation", "multiplier")
        return AccountTerms(*(Decimal(self._meta[name]) for name in names))

    @property
    def minutes(self) -> int:
        """Minutes with a bar, in all."""
        return int(self._meta["minutes"])

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The data's sessions, and a few after its end."""
        return tuple(session for session, _ in self._sessions)

    @property
    def last_session(self) -> Session:
        """The last session of the data."""
        return [session for session, played in self._sessions if played][-1]

    def notes(self) -> tuple[str, ...]:
        """Return what an operator should know of the data and how far they are replayed, a line each."""
        first, *others = json.loads(self._meta["notes"])
        first = shown_label(first)
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

    def bar_before(self, symbol: str, time: datetime) -> Bar | None:
        """Return a symbol's last bar that starts before a time."""
        with self._told():
            row = self._db.execute(
                "SELECT * FROM bars WHERE ts < ? AND symbol = ? ORDER BY ts DESC LIMIT 1",
                (to_stamp(time), symbol),
            ).fetchone()
            return None if row is None else to_bar(row)

    def bars_at(self, minutes: Sequence[datetime], symbols: Collection[str]) -> list[Bar]:
        """Return the bars of some minutes, by time, then by symbol."""
        with self._told():
            rows = self._db.execute(
                "SELECT bars.* FROM json_each(?) AS minute CROSS JOIN json_each(?) AS name "
                "CROSS JOIN bars ON bars.ts = minute.value AND bars.symbol = name.value",
                (
                    json.dumps([to_stamp(minute) for minute in sorted(minutes)]),
                    json.dumps(sorted(symbols)),
                ),
            )
            return [to_bar(row) for row in rows]

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

    def last_day(self) -> LastDay | None:
        """Return the account of the session before; None in a ledger that doesn't know it yet."""
        with self._told():
            query = "SELECT last_equity, last_maintenance_margin FROM state"
            equity, margin = self._db.execute(query).fetchone()
            return None if equity is None else LastDay(Decimal(equity), Decimal(margin))

    def last_execution(self) -> int:
        with self._told():
            return self._value("SELECT max(number) FROM fills") or 0

    def last_seq(self) -> int:
        with self._told():
            return self._value("SELECT max(seq) FROM orders") or 0

    def holdings(self) -> list[ExchangePosition]:
        with self._told():
            rows = self._db.execute("SELECT symbol, qty, cost FROM positions ORDER BY symbol")
            return [
                ExchangePosition(symbol, Decimal(qty), Decimal(cost)) for symbol, qty, cost in rows
            ]

    def order(self, order_id: UUID) -> ExchangeOrder | None:
        found = self._orders("WHERE id = ?", str(order_id))
        return found[0] if found else None

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder | None:
        found = self._orders("WHERE client_order_id = ?", client_order_id)
        return found[0] if found else None

    def taken_ids(self, client_order_ids: Collection[str]) -> set[str]:
        """Return those of some ids that orders have, in any state."""
        with self._told():
            rows = self._db.execute(
                "SELECT client_order_id FROM json_each(?) CROSS JOIN orders "
                "ON client_order_id = value",
                (json.dumps(list(client_order_ids)),),
            )
            return {client_order_id for (client_order_id,) in rows}

    def open_orders(self) -> list[ExchangeOrder]:
        return self._orders(f"WHERE {_OPEN} ORDER BY seq")

    def orders_since(self, time: datetime | None) -> list[ExchangeOrder]:
        """Return the orders submitted at or after a time, or all, in the order they came in."""
        if time is None:
            return self._orders("ORDER BY seq")
        return self._orders("WHERE submitted_at >= ? ORDER BY seq", to_stamp(time, up=True))

    def find_orders(self, wanted: OrderFilter) -> list[ExchangeOrder]:
        """Return the orders that a filter lets through, without hidden ones."""
        tests: list[tuple[str, object]] = []
        if wanted.after is not None:
            tests.append(("submitted_at > ?", to_stamp(wanted.after)))
        if wanted.until is not None:
            tests.append(("submitted_at < ?", to_stamp(wanted.until, up=True)))
        if wanted.after_seq is not None:
            tests.append(("seq > ?", wanted.after_seq))
        if wanted.before_seq is not None:
            tests.append(("seq < ?", wanted.before_seq))
        if wanted.side is not None:
            tests.append(("side = ?", wanted.side.value))
        if wanted.symbols is not None:
            symbols = json.dumps(sorted(wanted.symbols))
            tests.append(("symbol IN (SELECT value FROM json_each(?))", symbols))
        clauses = [clause for clause, _ in tests]
        clauses.append(f"stall IS NOT '{StallReason.LOST}'")
        if wanted.status != "all":
            clauses.append(_OPEN if wanted.status == "open" else f"NOT {_OPEN}")
        if wanted.parents_only:
            clauses.append("parent_id IS NULL")
        return self._orders(
            f"WHERE {' AND '.join(clauses)} ORDER BY seq {'DESC' if wanted.newest_first else 'ASC'} LIMIT ?",
            *(value for _, value in tests),
            -1 if wanted.limit is None else wanted.limit,
        )

    def legs(self, parent: UUID) -> list[ExchangeOrder]:
        """Return an order's legs, without replaced ones."""
        return self._orders(
            "WHERE parent_id = ? AND status <> 'replaced' ORDER BY seq", str(parent)
        )

    def executions(self, since: datetime | None = None) -> list[Execution]:
        """Return the fills at or after a time, or all, in the order they happened."""
        with self._told():
            rows = self._db.execute(
                f"SELECT {EXECUTION_COLUMNS} FROM fills WHERE time >= ? ORDER BY number",  # noqa: S608
                (0 if since is None else to_stamp(since, up=True),),
            )
            return [to_execution(row) for row in rows]

    def activities(
        self,
        limit: int | None,
        after_number: int | None,
        oldest_first: bool,
        since: datetime | None,
        until: datetime | None,
    ) -> list[Execution]:
        """Return a page of fills; see `Exchange.activities`."""
        clauses, values = ["true"], list[object]()
        if after_number is not None:
            clauses.append("number > ?" if oldest_first else "number < ?")
            values.append(after_number)
        if since is not None:
            clauses.append("time > ?")
            values.append(to_stamp(since))
        if until is not None:
            clauses.append("time < ?")
            values.append(to_stamp(until, up=True))
        with self._told():
            rows = self._db.execute(
                f"SELECT {EXECUTION_COLUMNS} FROM fills WHERE {' AND '.join(clauses)} "  # noqa: S608
                f"ORDER BY number {'ASC' if oldest_first else 'DESC'} LIMIT ?",
                (*values, -1 if limit is None else limit),
            )
            return [to_execution(row) for row in rows]

    def movements(self) -> list[AccountMovement]:
        """Return all that ever moved shares or cash, fills and what came from outside, by time."""
        with self._told():
            given = self._db.execute("SELECT time, symbol, qty, cash FROM adjustments")
            outside = [
                AccountMovement(
                    to_time(time), symbol, Decimal(qty), Decimal(cash), from_outside=True
                )
                for time, symbol, qty, cash in given
            ]
        fills = [
            AccountMovement(
                fill.time, fill.symbol, fill.qty * fill.side.sign,
                -fill.qty * fill.price * fill.side.sign, from_outside=False,
            )
            for fill in self.executions()
        ]  # fmt: skip
        return sorted(fills + outside, key=lambda movement: movement.time)

    def flags(self) -> dict[str, datetime | None]:
        """Return the account's flags that are set, and until when; None: until they are lifted."""
        with self._told():
            kept = json.loads(self._value("SELECT value FROM meta WHERE key = 'flags'") or "{}")
            return {str(flag): None if at is None else to_time(at) for flag, at in kept.items()}

    def keep_flags(self, flags: Mapping[str, datetime | None]) -> None:
        """Commit the account's flags."""
        kept = {flag: None if at is None else to_stamp(at) for flag, at in flags.items()}
        with self._told(), self._transaction("FULL") as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('flags', ?)", (json.dumps(kept),))

    def move_clock(self, now: datetime, minutes_played: int) -> None:
        """Commit a minute in which nothing but bars happened."""
        self._check_in_place()
        with self._told(), self._watch.writing():
            self._synchronous("NORMAL")
            self._db.execute(
                "UPDATE state SET now = ?, minutes_played = ?", (to_stamp(now), minutes_played)
            )

    def record(self, change: LedgerChange, *, durable: bool = True) -> None:
        """Commit a change. Not ``durable``: as `move_clock` does."""
        state = (
            to_stamp(change.now), change.minutes_played, plain(change.cash),
            plain(change.last_day.equity), plain(change.last_day.maintenance_margin),
        )  # fmt: skip
        self._check_in_place()
        with self._told(), self._transaction("FULL" if durable else "NORMAL") as db:
            db.execute(
                "UPDATE state SET now = ?, minutes_played = ?, cash = ?, last_equity = ?, "
                "last_maintenance_margin = ?",
                state,
            )
            db.executemany(INSERT_ORDER, [order_row(order) for order in change.orders.added])
            db.executemany(UPDATE_ORDER, [change_row(order) for order in change.orders.changed])
            db.executemany(INSERT_EXECUTION, [execution_row(e) for e in change.executions])
            db.executemany(
                "DELETE FROM bars WHERE ts = ? AND symbol = ?",
                [(to_stamp(bar.time), bar.symbol) for bar in change.withheld],
            )
            for symbol, held in (change.holdings or {}).items():
                db.execute("DELETE FROM positions WHERE symbol = ?", (symbol,))
                if held is not None:
                    db.execute(
                        "INSERT INTO positions VALUES (?, ?, ?)",
                        (symbol, plain(held.qty), plain(held.cost)),
                    )
            if (given := change.adjustment) is not None:
                db.execute(
                    "INSERT INTO adjustments (time, symbol, qty, price, cash) "
                    "VALUES (?, ?, ?, ?, ?)",
                    (
                        to_stamp(change.now), given.symbol, plain(given.qty), plain(given.price),
                        plain(given.cash),
                    ),
                )  # fmt: skip

    # Opening

    def _check(self, source: DataSource, asked: RequestedTerms) -> None:
        """Raise ConfigError unless the ledger is of this source and the terms that are asked for."""
        self._meta: dict[str, str] = dict(self._db.execute("SELECT key, value FROM meta"))
        kept = self.terms
        for name, value, own in (
            ("cash", asked.cash, kept.cash),
            ("max_volume_share", asked.max_volume_share, kept.max_volume_share),
            ("multiplier", asked.multiplier, kept.multiplier),
        ):
            if value is not None and value != own:
                raise ConfigError(
                    f"ledger {self.path}: was opened with {name} {own}, the settings say "
                    f"{value}; set it back or give another --ledger or --db"
                )
        signature = source.signature()
        if signature == self._meta["signature"]:
            return
        if source.fingerprint() != self._meta["fingerprint"]:
            was, now = shown_label(self._meta["label"]), source.label
            if was == now and signature.startswith("made"):
                was, now = _shown(self._meta["signature"]), _shown(signature)
            raise ConfigError(
                f"ledger {self.path}: was begun with other data ({was}) than {now}, "
                "or the data were changed since; give the data it was begun with, "
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


def _shown(signature: str) -> str:
    """Return a simulated market's signature as screens show it."""
    return signature.replace("made ", "simulated ", 1)
