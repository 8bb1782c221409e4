"""More bars for a ledger: data that begin with those that it has and go on after them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from smabot.provider import ConfigError
from smabot_exchange.data.data_source import DataSource, shown_label
from smabot_exchange.data.sessions import OutsideCalendar
from smabot_exchange.ledger.data_import import INSERT_SESSION, DataImport, session_row
from smabot_exchange.ledger.order_queries import OPEN

_INCOMING = """
CREATE TEMP TABLE incoming (
    ts INTEGER, symbol TEXT, open REAL, high REAL, low REAL, close REAL, volume REAL,
    trade_count INTEGER, vwap REAL, PRIMARY KEY (ts, symbol)
) WITHOUT ROWID
"""

_RESCHEDULE = f"""
UPDATE orders SET (opens_at, expires_at) = (
    SELECT max(orders.opens_at, sessions.open),
        CASE WHEN time_in_force IN ('day', 'cls') THEN sessions.close ELSE expires_at END
    FROM sessions WHERE sessions.close > orders.opens_at ORDER BY sessions.close LIMIT 1
)
WHERE {OPEN} AND opens_at > (SELECT now FROM state)
    AND opens_at < (SELECT max(close) FROM sessions)
"""  # noqa: S608
"""Orders wait for the next session, which may be later than it was before: the data may leave one out."""


def extend(path: Path, db: sqlite3.Connection, source: DataSource, meta: Mapping[str, str]) -> None:
    """Add the source's later bars to a ledger, all or nothing; its account, orders and clock stay.

    Raises ConfigError where the source lacks a bar that the ledger has or has another in its place, has
    one more before the ledger's last, or goes on at a time that has passed on the ledger's clock.
    """
    if reason := source.cannot_extend(meta["signature"]):
        raise _other_data(path, source, meta, reason)
    began = time.perf_counter()
    db.execute(_INCOMING)
    try:
        intake = DataImport(source.label, source.stored_label, source.actions())
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", intake.rows(source.bars())
        )
        sessions = intake.finish()
        last = _check(path, db, source, meta)
        db.execute("INSERT INTO bars SELECT * FROM incoming WHERE ts > ?", (last,))
        db.executemany(
            "INSERT OR IGNORE INTO assets VALUES (?, ?)", sorted(intake.first_opens.items())
        )
        db.execute("DELETE FROM sessions")
        db.executemany(INSERT_SESSION, map(session_row, sessions))
        db.execute(_RESCHEDULE)
        changed = {
            "fingerprint": source.fingerprint(),
            "signature": source.signature(),
            "label": source.stored_label,
            "minutes": str(intake.minutes_from(int(meta.get("start", "0")))),
            "bars": str(intake.bars),
            "last_bar": str(intake.last_bar),
            "notes": json.dumps(intake.notes(int(meta.get("history", "0")))),
            "import_seconds": f"{time.perf_counter() - began:.1f}",
        }
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", changed.items())
        db.execute("COMMIT")
    except OutsideCalendar as error:
        raise ConfigError(f"{source.label}: {error}") from None
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("DROP TABLE IF EXISTS temp.incoming")


def _check(path: Path, db: sqlite3.Connection, source: DataSource, meta: Mapping[str, str]) -> int:
    """Return when the last bar of the data so far starts.

    Raises ConfigError unless the incoming bars begin with those data.
    """
    differing = db.execute(
        "SELECT ts, symbol FROM (SELECT * FROM bars EXCEPT SELECT * FROM incoming) LIMIT 1"
    ).fetchone()
    if differing is not None:
        where = f"the first difference is {differing[1]} at {_shown_time(differing[0])}"
        raise _other_data(path, source, meta, where)
    (stored,) = db.execute("SELECT count(*) FROM bars").fetchone()
    imported = int(meta.get("bars", stored))
    last = _last_bar(db, meta, imported, stored)
    (before,) = db.execute("SELECT count(*) FROM incoming WHERE ts <= ?", (last,)).fetchone()
    if before != imported:
        where = f"up to {_shown_time(last)} it has {before} bars, not {imported}"
        if stored == imported:
            stamp, symbol = db.execute(
                "SELECT ts, symbol FROM incoming WHERE ts <= ? "
                "EXCEPT SELECT ts, symbol FROM bars LIMIT 1",
                (last,),
            ).fetchone()
            where = f"{symbol} has a bar at {_shown_time(stamp)} that the ledger does not have"
        raise _other_data(path, source, meta, where)
    (first,) = db.execute("SELECT min(ts) FROM incoming WHERE ts > ?", (last,)).fetchone()
    (now,) = db.execute("SELECT now FROM state").fetchone()
    if first is not None and first < now:
        raise ConfigError(
            f"ledger {path}: its clock is at {_shown_time(now)}, and {source.label} has new bars from "
            f"{_shown_time(first)} on: data can only go on after that; give the data without these "
            "bars, or another --ledger or --db"
        )
    return last


def _last_bar(db: sqlite3.Connection, meta: Mapping[str, str], imported: int, stored: int) -> int:
    """Return when the last imported bar starts. A halt has removed the bars that it withheld.

    An older ledger does not say; after a halt in it as many incoming bars as were imported do.
    """
    if "last_bar" in meta:
        return int(meta["last_bar"])
    if stored == imported:
        found = db.execute("SELECT max(ts) FROM bars")
    else:
        first = "SELECT ts FROM incoming ORDER BY ts LIMIT ?"
        found = db.execute(f"SELECT max(ts) FROM ({first})", (imported,))  # noqa: S608
    return int(found.fetchone()[0])


def _other_data(
    path: Path, source: DataSource, meta: Mapping[str, str], reason: str
) -> ConfigError:
    was, now = shown_label(meta["label"]), source.label
    others = "" if was == now else f" ({was}) than {now}"
    return ConfigError(
        f"ledger {path}: was created with other data{others}: "
        f"{reason}; give the data it was created with, the same with more after their end, or "
        "another --ledger or --db"
    )


def _shown_time(stamp: int) -> str:
    return f"{datetime.fromtimestamp(stamp, UTC):%Y-%m-%dT%H:%MZ}"
