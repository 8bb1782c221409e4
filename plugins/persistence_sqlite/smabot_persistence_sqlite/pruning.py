"""Pruning: deletes old bars, and old points of the equity curve."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from smabot.provider import MOST_BEHIND, TOLD_UNTIL
from smabot_persistence_sqlite.connection import connect_reader, translated_errors
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.newest_bars import NEVER, first_bars, older_bars
from smabot_persistence_sqlite.value_codec import encode_time

KEPT_BARS = 1000
"""Newest bars of each symbol that pruning never deletes: strategies warm up from them."""

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, and since when everything is still there."""

    before: datetime
    bars: int
    equity_points: int
    bytes: int


def prune_database(
    db: Path,
    records: Sequence[type] = (),
    *,
    before: date | None = None,
    keep_days: int | None = None,
    equity: bool = False,
    vacuum: bool = False,
) -> Pruned:
    """Delete bars before a date (UTC), or older than days before the newest bar.

    The newest 1,000 bars of each symbol stay. With ``equity`` points of the equity curve before
    that are deleted too, with ``vacuum`` the file shrinks. Raises LockHeld while a bot runs.
    """
    with translated_errors(db), closing(connect_reader(db)):
        pass
    with closing(SqliteJournal.open(db, records)) as journal, translated_errors(db):
        connection = journal.connection
        if before is None:
            (newest,) = connection.execute("SELECT MAX(ts) FROM bars").fetchone()
            latest = datetime.fromtimestamp(newest or 0, UTC)
            days = min(keep_days or 0, (latest - datetime(1970, 1, 1, tzinfo=UTC)).days)
            cutoff = latest - timedelta(days=days)
        else:
            cutoff = datetime.combine(before, time(), UTC)
        bars = _prune_bars(connection, int(cutoff.timestamp()))
        points = _prune_equity(connection, cutoff) if equity else 0
        _prune_steps(connection, cutoff)
        if vacuum:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Pruned(cutoff, bars, points, db.stat().st_size)


def _prune_bars(connection: sqlite3.Connection, cutoff: int) -> int:
    """Delete bars before the cutoff, an hour a transaction: a kill leaves whole hours."""
    first = first_bars(connection)
    recent = dict(
        connection.execute(
            "SELECT symbol, COUNT(*) FROM bars WHERE ts >= ? GROUP BY symbol", (cutoff,)
        )
    )
    missing = {s: KEPT_BARS - recent.get(s, 0) for s in first if recent.get(s, 0) < KEPT_BARS}
    floors = dict(
        older_bars(connection, missing, cutoff, first, visit=KEPT_BARS)
    )  # the last one is the oldest
    connection.execute("CREATE TEMP TABLE floors (symbol TEXT PRIMARY KEY, ts INTEGER)")
    connection.executemany("INSERT INTO floors VALUES (?, ?)", floors.items())
    deleted, start = 0, _first_minute(connection, -NEVER)
    while start is not None and start < cutoff:
        end = min(cutoff, start - start % _HOUR + _HOUR)
        deleted += connection.execute(
            "DELETE FROM bars WHERE ts >= ? AND ts < ? AND ts < "
            "IFNULL((SELECT floors.ts FROM floors WHERE floors.symbol = bars.symbol), ?)",
            (start, end, cutoff),
        ).rowcount
        start = _first_minute(connection, end)
    connection.execute(
        "UPDATE symbols SET first_bar = MAX(first_bar, "
        "IFNULL((SELECT floors.ts FROM floors WHERE floors.symbol = symbols.symbol), ?))",
        (cutoff,),
    )
    connection.execute("DROP TABLE floors")
    return deleted


def _prune_equity(connection: sqlite3.Connection, cutoff: datetime) -> int:
    """Delete points before the cutoff, but never the newest: a restart resumes from it."""
    return connection.execute(
        "DELETE FROM equity_curve WHERE time < ? AND time < (SELECT MAX(time) FROM equity_curve)",
        (encode_time(cutoff).removesuffix("Z"),),
    ).rowcount


def _prune_steps(connection: sqlite3.Connection, cutoff: datetime) -> None:
    """Delete committed steps before the cutoff, but those that plugins are still to be told of."""
    (newest,) = connection.execute("SELECT IFNULL(MAX(number), 0) FROM committed_steps").fetchone()
    places = connection.execute("SELECT value FROM bot_state WHERE key = ?", (TOLD_UNTIL,))
    least = min((int(place) for (place,) in places), default=0)
    told = min(
        max(least, newest - MOST_BEHIND), newest - 1
    )  # the newest has the number to go on from
    connection.execute(
        "DELETE FROM committed_steps WHERE number <= ? AND at < ?",
        (told, encode_time(cutoff).removesuffix("Z")),
    )


def _first_minute(connection: sqlite3.Connection, since: int) -> int | None:
    """Return the first minute from ``since`` on."""
    (ts,) = connection.execute("SELECT MIN(ts) FROM bars WHERE ts >= ?", (since,)).fetchone()
    return None if ts is None else int(ts)
