"""What the ledger says of bars and prices."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from smabot.provider import Bar
from smabot_exchange.ledger.ledger_file import LedgerFile
from smabot_exchange.ledger.rows import to_bar, to_minutes, to_stamp, to_time

_CHUNK = 2048
"""Rows that are read ahead."""


class BarQueries(LedgerFile):
    """Reads table ``bars``. Each method raises BrokerError when the file can't be read."""

    _chunk = _CHUNK

    def _read_chunk_size(self) -> None:
        """Read ahead a whole minute of all symbols at least."""
        self._chunk = max(_CHUNK, self._value("SELECT count(*) FROM assets") + 1)

    def minutes_from(self, time: datetime) -> list[tuple[datetime, list[Bar]]]:
        """Return some of the minutes that start at or after a time, one at least if there is one."""
        with self._errors_in_one_line():
            rows = self._db.execute(
                "SELECT * FROM bars WHERE ts >= ? ORDER BY ts, symbol LIMIT ?",
                (to_stamp(time), self._chunk),
            ).fetchall()
        if len(rows) == self._chunk:
            last = rows[-1][0]
            while rows[-1][0] == last:
                rows.pop()
        with self._errors_in_one_line():
            return list(to_minutes(rows))

    def newest_minutes_start(self, count: int, before: datetime) -> datetime | None:
        """Return the start of the ``count``-th last minute that starts before a time, or of the first."""
        with self._errors_in_one_line():
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
        with self._errors_in_one_line():
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
        with self._errors_in_one_line():
            row = self._db.execute(
                "SELECT * FROM bars WHERE ts < ? AND symbol = ? ORDER BY ts DESC LIMIT 1",
                (to_stamp(time), symbol),
            ).fetchone()
            return None if row is None else to_bar(row)

    def bars_at(self, minutes: Sequence[datetime], symbols: Collection[str]) -> list[Bar]:
        """Return the bars of some minutes, by time, then by symbol."""
        with self._errors_in_one_line():
            rows = self._db.execute(
                "SELECT bars.* FROM json_each(?) AS minute CROSS JOIN json_each(?) AS name "
                "CROSS JOIN bars ON bars.ts = minute.value AND bars.symbol = name.value",
                (
                    json.dumps([to_stamp(minute) for minute in sorted(minutes)]),
                    json.dumps(sorted(symbols)),
                ),
            )
            return [to_bar(row) for row in rows]
