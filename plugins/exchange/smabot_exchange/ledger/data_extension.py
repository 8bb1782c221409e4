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

_INCOMING = """
CREATE TEMP TABLE incoming (
    ts INTEGER, symbol TEXT, open REAL, high REAL, low REAL, close REAL, volume REAL,
    trade_count INTEGER, vwap REAL, PRIMARY KEY (ts, symbol)
) WITHOUT ROWID
"""


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
        intake = DataImport(source.label, source.stored_label)
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO incoming VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", intake.rows(source.bars())
        )
        sessions = intake.finish()
        _check(path, db, source, meta)
        db.execute("INSERT INTO bars SELECT * FROM incoming WHERE ts > (SELECT max(ts) FROM bars)")
        db.executemany(
            "INSERT OR IGNORE INTO assets VALUES (?, ?)", sorted(intake.first_opens.items())
        )
        db.execute("DELETE FROM sessions")
        db.executemany(INSERT_SESSION, map(session_row, sessions))
        changed = {
            "fingerprint": source.fingerprint(),
            "signature": source.signature(),
            "label": source.stored_label,
            "minutes": str(intake.minutes_from(int(meta.get("start", "0")))),
            "bars": str(intake.bars),
            "notes": json.dumps(intake.notes()),
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


def _check(path: Path, db: sqlite3.Connection, source: DataSource, meta: Mapping[str, str]) -> None:
    """Raise ConfigError unless the incoming bars begin with those of the ledger."""
    differing = db.execute(
        "SELECT ts, symbol FROM (SELECT * FROM bars EXCEPT SELECT * FROM incoming) LIMIT 1"
    ).fetchone()
    if differing is not None:
        where = f"the first difference is {differing[1]} at {_shown_time(differing[0])}"
        raise _other_data(path, source, meta, where)
    last, stored = db.execute("SELECT max(ts), count(*) FROM bars").fetchone()
    # A halt has removed the bars that it withheld from the ledger.
    imported = int(meta.get("bars", stored))
    (before,) = db.execute("SELECT count(*) FROM incoming WHERE ts <= ?", (last,)).fetchone()
    if before != imported:
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
