"""The exchange's durable file: bars, sessions, the account, and the clock's cursor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from smabot.provider import BrokerError, ConfigError, FileLock, Session
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.data.data_source import DataSource, shown_label
from smabot_exchange.ledger.bar_queries import BarQueries
from smabot_exchange.ledger.beginning import Beginning
from smabot_exchange.ledger.changes import LedgerChange
from smabot_exchange.ledger.data_extension import extend
from smabot_exchange.ledger.data_import import build_ledger
from smabot_exchange.ledger.order_queries import OrderQueries
from smabot_exchange.ledger.rows import (
    INSERT_EXECUTION,
    INSERT_ORDER,
    PUT_ACTION,
    UPDATE_ORDER,
    action_row,
    activity_columns,
    change_row,
    execution_row,
    order_row,
    to_decimal,
    to_stamp,
    to_time,
)
from smabot_exchange.matching.account import AccountTerms, ExchangePosition, LastDay, RequestedTerms
from smabot_exchange.matching.costs import COST_NAMES, Costs
from smabot_exchange.matching.orders import (
    plain,
)


class Ledger(BarQueries, OrderQueries):
    """One ledger, locked for this process.

    A clock that only moves on is committed so that it survives a killed process; anything with an
    order so that it survives a power cut too. Once open, every method raises BrokerError when the
    file can't be read or written.
    """

    def __init__(
        self,
        path: Path,
        source: DataSource,
        asked: RequestedTerms,
        beginning: Beginning = Beginning(),  # noqa: B008
    ) -> None:
        """Open a ledger; write it from the source first when there is none.

        Raises ConfigError when it is not this source's, LockHeld when another process has it.
        """
        super().__init__(path)
        self.imported = False
        self._listed = source.actions()
        self._lock = FileLock(path, f"ledger {path}", "give another --ledger or --db")
        try:
            if not self._exists():
                terms = asked.for_new_ledger(source.half_spread)
                build_ledger(path, source, terms, self._lock, beginning)
                self.imported = True
            self._open()
            try:
                with self._errors_in_one_line():
                    self._check(source, asked)
                    if not self.imported:
                        beginning.check(path, self._meta)
                    self._migrate()
                    self._check_actions()
                    self._sessions = self._read_sessions()
                    self._read_chunk_size()
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
        names = ("opening_cash", "participation", "multiplier", "half_spread")
        kept = {"half_spread": "0"} | self._meta
        costs = {name: to_decimal(kept[name]) for name in COST_NAMES if name in kept}
        cash, share, multiplier, half_spread = (to_decimal(kept[name]) for name in names)
        return AccountTerms(cash, share, multiplier, half_spread, Costs(**costs))

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

    @property
    def start(self) -> datetime:
        """When the clock of the new ledger started; older ledgers start with their data."""
        with self._errors_in_one_line():
            known = self._meta.get("start")
            return self._sessions[0][0].open if known is None else to_time(int(known))

    def actions(self) -> list[ListedAction]:
        """Return the corporate actions that the data list, with what was done of them."""
        done = {each.action.action_id: each for each in self.carried_out()}
        return [
            replace(
                done.get(each.action.action_id, each),
                minutes_late=each.minutes_late,
                announced=each.announced,
                orders=each.orders,
            )
            for each in self._listed
        ]

    def notes(self) -> tuple[str, ...]:
        """Return what an operator should know of the data and how far they are replayed, a line each."""
        with self._errors_in_one_line():
            first, *others = map(str, json.loads(self._meta["notes"]))
        first = shown_label(first)
        if self.imported:
            return (f"{first}, imported in {self._meta['import_seconds']} s", *others)
        if self.now() >= self.last_session.close:
            left = f"nothing left to replay: give --data {self._longer} for more"
            return (first, *others, left)
        return (f"{first}, resumes at {self.now():%Y-%m-%d %H:%MZ}", *others)

    def symbols(self) -> tuple[str, ...]:
        with self._errors_in_one_line():
            return tuple(
                symbol
                for (symbol,) in self._db.execute("SELECT symbol FROM assets ORDER BY symbol")
            )

    # What happens

    def now(self) -> datetime:
        with self._errors_in_one_line():
            return to_time(self._value("SELECT now FROM state"))

    def minutes_played(self) -> int:
        with self._errors_in_one_line():
            return int(self._value("SELECT minutes_played FROM state"))

    def cash(self) -> Decimal:
        with self._errors_in_one_line():
            return to_decimal(self._value("SELECT cash FROM state"))

    def last_day(self) -> LastDay | None:
        """Return the account of the session before; None in a ledger that doesn't know it yet."""
        with self._errors_in_one_line():
            query = "SELECT last_equity, last_maintenance_margin FROM state"
            equity, margin = self._db.execute(query).fetchone()
            return None if equity is None else LastDay(to_decimal(equity), to_decimal(margin))

    def positions(self) -> list[ExchangePosition]:
        with self._errors_in_one_line():
            rows = self._db.execute("SELECT symbol, qty, cost FROM positions ORDER BY symbol")
            return [
                ExchangePosition(symbol, to_decimal(qty), to_decimal(cost))
                for symbol, qty, cost in rows
            ]

    def flags(self) -> dict[str, datetime | None]:
        """Return the account's flags that are set, and until when; None: until they are lifted."""
        with self._errors_in_one_line():
            kept = json.loads(self._value("SELECT value FROM meta WHERE key = 'flags'") or "{}")
            return {str(flag): None if at is None else to_time(at) for flag, at in kept.items()}

    def save_flags(self, flags: Mapping[str, datetime | None]) -> None:
        """Commit the account's flags."""
        kept = {flag: None if at is None else to_stamp(at) for flag, at in flags.items()}
        with self._errors_in_one_line(), self._transaction("FULL") as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('flags', ?)", (json.dumps(kept),))

    def move_clock(self, now: datetime, minutes_played: int) -> None:
        """Commit a minute in which nothing but bars happened."""
        self._check_in_place()
        with self._errors_in_one_line(), self._watch.writing():
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
        with self._errors_in_one_line(), self._transaction("FULL" if durable else "NORMAL") as db:
            db.execute(
                "UPDATE state SET now = ?, minutes_played = ?, cash = ?, last_equity = ?, "
                "last_maintenance_margin = ?",
                state,
            )
            db.executemany(INSERT_ORDER, [order_row(order) for order in change.orders.added])
            db.executemany(UPDATE_ORDER, [change_row(order) for order in change.orders.changed])
            db.executemany(INSERT_EXECUTION, [execution_row(e) for e in change.executions])
            db.executemany(PUT_ACTION, [action_row(each) for each in change.actions])
            db.executemany(
                "DELETE FROM bars WHERE ts = ? AND symbol = ?",
                [(to_stamp(bar.time), bar.symbol) for bar in change.withheld],
            )
            for symbol, held in (change.positions or {}).items():
                db.execute("DELETE FROM positions WHERE symbol = ?", (symbol,))
                if held is not None:
                    db.execute(
                        "INSERT INTO positions VALUES (?, ?, ?)",
                        (symbol, plain(held.qty), plain(held.cost)),
                    )
            if (given := change.adjustment) is not None:
                db.execute(
                    "INSERT INTO adjustments (time, symbol, qty, price, cash, kind, of_symbol, "
                    "description, shown_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        to_stamp(change.now), given.symbol, plain(given.qty), plain(given.price),
                        plain(given.cash), *activity_columns(given.activity),
                    ),
                )  # fmt: skip

    # Opening

    def _check(self, source: DataSource, asked: RequestedTerms) -> None:
        """Raise ConfigError unless the ledger is of this source and the terms that are requested."""
        self._meta: dict[str, str] = dict(self._db.execute("SELECT key, value FROM meta"))
        kept = self.terms
        for name, value, own in (
            ("cash", asked.cash, kept.cash),
            ("max_volume_share", asked.max_volume_share, kept.max_volume_share),
            ("multiplier", asked.multiplier, kept.multiplier),
            ("half_spread", asked.half_spread, kept.half_spread),
            *((name, value, getattr(kept.costs, name)) for name, value in asked.costs.items()),
        ):
            if value is not None and value != own:
                raise ConfigError(
                    f"ledger {self.path}: was opened with {name} {own}, the settings say "
                    f"{value}; set it back or give another --ledger or --db"
                )
        source = source.continuing(self._meta["signature"])
        self._listed = source.actions()
        signature = source.signature()
        if signature != self._meta["signature"]:
            if source.fingerprint() == self._meta["fingerprint"]:
                self._db.execute("UPDATE meta SET value = ? WHERE key = 'signature'", (signature,))
            else:
                extend(self.path, self._db, source, self._meta)
                self._meta = dict(self._db.execute("SELECT key, value FROM meta"))
        self._longer = source.longer()

    def _check_actions(self) -> None:
        """Raise ConfigError unless the data list what was carried out, as it was."""
        listed = {each.action.action_id: each.action for each in self._listed}
        for each in self.carried_out():
            action = each.action
            if (now := listed.get(action.action_id)) != action:
                found = "list none" if now is None else f"list {now.text}"
                raise ConfigError(
                    f"ledger {self.path}: has carried out a {action.text}, the data {found}: list it as it was, or "
                    "give another --ledger or --db"
                )

    def _read_sessions(self) -> list[tuple[Session, bool]]:
        rows = self._db.execute("SELECT date, open, close, played FROM sessions ORDER BY date")
        sessions = [
            (Session(date.fromisoformat(day), to_time(opens), to_time(closes)), bool(played))
            for day, opens, closes, played in rows
        ]
        if not any(played for _, played in sessions):
            raise ValueError("none of its sessions has data")
        return sessions
