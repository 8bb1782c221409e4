"""The bars of a span of minutes, at a cost that grows with the span, not with the table."""

from __future__ import annotations

import math
import sqlite3
from datetime import UTC, datetime

from smabot.provider import Bar
from smabot_persistence_sqlite.stored_bars import check_values

_SPAN = """
SELECT ts, symbol, open, high, low, close, volume, trade_count, vwap FROM bars
WHERE ts BETWEEN ?1 AND ?2 AND (?3 IS NULL OR symbol = ?3) ORDER BY ts, symbol"""


def read_span(
    connection: sqlite3.Connection, since: datetime, until: datetime, symbol: str | None
) -> list[Bar]:
    """Return the bars of a span of minutes, oldest first, within a minute by symbol."""
    bounds = (math.ceil(since.timestamp()), math.floor(until.timestamp()))
    found = connection.execute(_SPAN, (*bounds, symbol)).fetchall()
    check_values(row[1:] for row in found)
    return [Bar(s, datetime.fromtimestamp(ts, UTC), *values) for ts, s, *values in found]
