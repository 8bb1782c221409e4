"""Looking after a database: a backup, a check, and forgetting old bars."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from smabot.provider import Adjustment, ConfigError, Fill, JournalError, Order, Position, UsageError
from smabot_persistence_sqlite.backup import copy_together
from smabot_persistence_sqlite.connection import connect_reader, meaning, translated
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.newest_bars import NEVER, first_bars, older_bars
from smabot_persistence_sqlite.reading import SqliteRows
from smabot_persistence_sqlite.schema_version import LINEAGE, read_stamp
from smabot_persistence_sqlite.value_codec import encode_time

AccountFiles = Callable[[str], Sequence[Path]]

KEPT_BARS = 1000
"""Newest bars of each symbol that pruning never takes: strategies warm up from them."""

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Backup:
    """A checked copy: where it lies and its size in bytes."""

    path: str
    bytes: int


def back_up(
    db: Path, target: Path | None = None, account_files: AccountFiles = lambda account_id: ()
) -> list[Backup]:
    """Copy a database, also beside a running bot, and check the copy.

    Without a target it lies beside the database, named by the time. The files that hold its account
    on this machine, as `account_files` tells them, are copied as of the same moment, each beside it
    and named as it is named beside the database. Raises ConfigError when there is no database or the
    target can't be written, JournalError when the database is damaged.
    """
    with translated(db), closing(connect_reader(db)) as connection:
        if read_stamp(connection, db, LINEAGE).revision is None:
            raise ConfigError(f"no database at {db}: run `smabot run` first")
        accounts = connection.execute("SELECT account_id FROM account").fetchall()
    if target is None:
        target = db.with_name(f"{db.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{db.suffix}")
    elif target.is_dir():
        target /= f"{db.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{db.suffix}"
    pairs = [(db, target)]
    for (account_id,) in accounts:
        pairs += [(file, _named_beside(target, db, file)) for file in account_files(account_id)]
    for _, copy in pairs:
        if os.path.lexists(copy):
            raise UsageError(f"{copy} exists: name another file for the backup")
    copy_together(pairs)
    return [Backup(str(copy), copy.stat().st_size) for _, copy in pairs]


def _named_beside(target: Path, db: Path, file: Path) -> Path:
    """Return where a file's copy lies: beside the backup as the file, by its name, beside the database."""
    return target.with_name(f"{target.stem}.{file.name.removeprefix(f'{db.stem}.')}")


def check(db: Path, records: Sequence[type] = ()) -> list[str]:
    """Return what is wrong with a database, a line each: damage, and sums that do not agree.

    Safe beside a running bot. Raises ConfigError when there is no database.
    """
    if damage := _damage(db):
        return [f"{db} is damaged: restore a copy made by `smabot db backup`", *damage]
    with closing(SqliteRows.open(db, records)) as rows, rows.snapshot():
        try:
            return [*_positions(rows), *_fills(rows)]
        except JournalError as error:
            return [str(error)]


def _damage(db: Path) -> list[str]:
    try:
        with closing(connect_reader(db)) as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.OperationalError as error:
        raise JournalError(f"database {db}: {meaning(error, db)}") from error
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    except JournalError as error:
        found = [str(error)]
    return [] if found == ["ok"] else found


def _positions(rows: SqliteRows) -> Iterator[str]:
    """Compare each position with the trades and adjustments that made it."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in rows.rows(Fill):
        sums[fill.strategy, fill.symbol] += fill.qty * fill.side.sign
    for adjustment in rows.rows(Adjustment):
        sums[adjustment.strategy, adjustment.symbol] += adjustment.qty
    for position in rows.rows(Position):
        sums[position.strategy, position.symbol] -= position.qty
    for (strategy, symbol), difference in sorted(sums.items()):
        if difference:
            yield (
                f"positions_snapshot: {strategy} {symbol} differs from trades and adjustments "
                f"by {-difference:f} shares"
            )


def _fills(rows: SqliteRows) -> Iterator[str]:
    """Compare each order's filled quantity with its trades."""
    traded: dict[str, Decimal] = defaultdict(Decimal)
    for fill in rows.rows(Fill):
        traded[fill.client_order_id] += fill.qty
    for order in rows.rows(Order):
        qty = traded.pop(order.client_order_id, Decimal(0))
        if qty != order.filled_qty:
            yield (
                f"order_intents: {order.client_order_id} filled {order.filled_qty:f} shares, "
                f"its trades make {qty:f}"
            )
    for client_order_id in sorted(traded):
        yield f"trades: {client_order_id} has trades, but order_intents does not know it"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was forgotten, and from when on everything is still there."""

    before: datetime
    bars: int
    equity_points: int
    bytes: int


def prune(
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
    that go too, with ``vacuum`` the file shrinks. Raises LockHeld while a bot runs.
    """
    with translated(db), closing(connect_reader(db)):
        pass
    with closing(SqliteJournal.open(db, records)) as journal, translated(db):
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
    deleted, start = 0, _oldest(connection, -NEVER)
    while start is not None and start < cutoff:
        end = min(cutoff, start - start % _HOUR + _HOUR)
        deleted += connection.execute(
            "DELETE FROM bars WHERE ts >= ? AND ts < ? AND ts < "
            "IFNULL((SELECT floors.ts FROM floors WHERE floors.symbol = bars.symbol), ?)",
            (start, end, cutoff),
        ).rowcount
        start = _oldest(connection, end)
    connection.execute(
        "UPDATE symbols SET first_bar = MAX(first_bar, "
        "IFNULL((SELECT floors.ts FROM floors WHERE floors.symbol = symbols.symbol), ?))",
        (cutoff,),
    )
    connection.execute("DROP TABLE floors")
    return deleted


def _prune_equity(connection: sqlite3.Connection, cutoff: datetime) -> int:
    """Delete points before the cutoff, but never the newest: a restart goes on from it."""
    return connection.execute(
        "DELETE FROM equity_curve WHERE time < ? AND time < (SELECT MAX(time) FROM equity_curve)",
        (encode_time(cutoff).removesuffix("Z"),),
    ).rowcount


def _oldest(connection: sqlite3.Connection, since: int) -> int | None:
    """Return the first minute from ``since`` on."""
    (ts,) = connection.execute("SELECT MIN(ts) FROM bars WHERE ts >= ?", (since,)).fetchone()
    return None if ts is None else int(ts)
