"""The newest bars of each symbol, at a cost that grows with their number, not with the table's.

Bars are keyed by (minute, symbol). The newest minutes give most symbols their whole window. For
those that were quiet in some of them older minutes are visited, newest first, until they have
enough or their first bar is reached.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from smabot.provider import Bar
from smabot_persistence_sqlite.stored_bars import check_values

NEVER = 2**62
"""A minute after all others."""

_MINUTES = """
WITH RECURSIVE minute(ts) AS (
    SELECT MAX(ts) FROM bars WHERE ts < ?
    UNION ALL
    SELECT (SELECT MAX(ts) FROM bars WHERE ts < minute.ts) FROM minute WHERE minute.ts IS NOT NULL
    LIMIT ?
) SELECT ts FROM minute WHERE ts IS NOT NULL"""
_MINUTE = """
SELECT symbol, open, high, low, close, volume, trade_count, vwap FROM bars
WHERE ts = ? ORDER BY symbol"""
_SOUGHT = """
SELECT symbol, open, high, low, close, volume, trade_count, vwap FROM bars
WHERE ts = ? AND symbol IN (SELECT value FROM json_each(?)) ORDER BY symbol"""
_VISITED = """
SELECT bars.symbol, bars.ts FROM json_each(?) AS minute CROSS JOIN bars
WHERE bars.ts = minute.value AND bars.symbol IN (SELECT value FROM json_each(?))"""


def newest_minutes(connection: sqlite3.Connection, before: int, count: int) -> list[int]:
    """Return up to ``count`` minutes that have bars, newest first, by seeks."""
    return [ts for (ts,) in connection.execute(_MINUTES, (before, count))]


def newest_bars(
    connection: sqlite3.Connection, lookback: int, symbols: Collection[str]
) -> Iterator[list[Bar]]:
    """Yield the newest ``lookback`` bars of each symbol, a minute at a time, oldest first."""
    if lookback < 1:
        return
    first = first_bars(connection)
    wanted = first.keys() & set(symbols)
    few = len(wanted) * 8 < len(first)
    minutes = [] if few else newest_minutes(connection, NEVER, lookback)
    start = minutes[-1] if minutes else NEVER
    missing: dict[str, int] = {}
    if _bars_since(connection, start) < lookback * len(first):
        counts = _counts(connection, start)
        missing = {s: lookback - counts.get(s, 0) for s in wanted if counts.get(s, 0) < lookback}
    older: dict[int, list[str]] = defaultdict(list)
    for symbol, ts in older_bars(connection, missing, start, first, visit=lookback):
        older[ts].append(symbol)
    for ts in sorted(older):
        yield _bars(ts, connection.execute(_SOUGHT, (ts, json.dumps(older[ts]))))
    for ts in reversed(minutes):
        rows: Iterable[tuple[Any, ...]] = connection.execute(_MINUTE, (ts,))
        if len(wanted) < len(first):
            rows = (row for row in rows if row[0] in wanted)
        if bars := _bars(ts, rows):
            yield bars


def first_bars(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the minute of each symbol's first bar, or an earlier one."""
    return dict(connection.execute("SELECT symbol, first_bar FROM symbols"))


def older_bars(
    connection: sqlite3.Connection,
    missing: dict[str, int],
    start: int,
    first: dict[str, int],
    visit: int,
) -> Iterator[tuple[str, int]]:
    """Yield (symbol, minute) of the newest ``missing[symbol]`` bars of each symbol before ``start``.

    Visits ``visit`` minutes, then twice as many each time, for the symbols that still lack some.
    """
    missing = {s: lacking for s, lacking in missing.items() if first[s] < start}
    while missing and (minutes := newest_minutes(connection, start, visit)):
        found = connection.execute(
            _VISITED,
            (json.dumps(minutes), json.dumps(list(missing))),
        ).fetchall()
        found.sort(key=itemgetter(1), reverse=True)
        for symbol, ts in found:
            if symbol in missing:
                yield symbol, ts
                missing[symbol] -= 1
                if not missing[symbol]:
                    del missing[symbol]
        start = minutes[-1]
        missing = {s: lacking for s, lacking in missing.items() if first[s] < start}
        visit *= 2


def _bars_since(connection: sqlite3.Connection, start: int) -> int:
    (count,) = connection.execute("SELECT COUNT(*) FROM bars WHERE ts >= ?", (start,)).fetchone()
    return int(count)


def _counts(connection: sqlite3.Connection, start: int) -> dict[str, int]:
    return dict(
        connection.execute(
            "SELECT symbol, COUNT(*) FROM bars WHERE ts >= ? GROUP BY symbol", (start,)
        )
    )


def _bars(ts: int, rows: Iterable[tuple[Any, ...]]) -> list[Bar]:
    time = datetime.fromtimestamp(ts, UTC)
    rows = list(rows)
    check_values(rows)
    make = tuple.__new__  # three times as fast as Bar(...)
    return [make(Bar, (s, time, o, h, lo, c, v, n, w)) for s, o, h, lo, c, v, n, w in rows]
