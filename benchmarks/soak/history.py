"""Makes a database and its ledger look as after years: their own rows again and again, ever further back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

DAY = 86_400
_TEXT_TIMES = {
    "events": ("time",),
    "equity_curve": ("time",),
    "adjustments": ("time",),
    "signals": ("bar_time",),
    "order_intents": (
        "bar_time",
        "created_at",
        "updated_at",
        "submitted_at",
        "cancel_requested_at",
    ),
    "trades": ("time",),
    "commands": ("created_at", "applied_at", "expires_at"),
    "runs": ("started_at", "ended_at"),
    "bar_revisions": ("time", "seen_at"),
}
"""Columns of times by table of history, of the bot's database."""
_IDS = {"order_intents": "client_order_id", "trades": "client_order_id", "commands": "id"}
"""Columns that name a row, and that get another name."""


def lengthen(db: Path, ledger: Path, spans: int, days: int) -> None:
    """Copy all history ``spans`` times, each ``days`` days further back; what is now stays as it is."""
    with closing(sqlite3.connect(db)) as connection, connection:
        for table, times in _TEXT_TIMES.items():
            changed = {name: f"strftime('%Y-%m-%dT%H:%M:%SZ', {name}, ?1)" for name in times}
            if table in _IDS:
                changed[_IDS[table]] = f"{_IDS[table]} || ?2"
            if table == "runs":
                changed["run_id"] = (
                    "strftime('%Y%m%dT%H%M%S', started_at, ?1) || substr(run_id, 16)"
                )
            _copy(connection, table, changed, _by_days(spans, days))
        dates = {"trading_date": "date(trading_date, ?1)"}
        _copy(connection, "daily_limits", dates, _by_days(spans, days))
        _copy(connection, "bars", {"ts": "ts - ?1"}, _by_number(spans, days * DAY))
        connection.execute("UPDATE symbols SET first_bar = first_bar - ?", (spans * days * DAY,))
    with closing(sqlite3.connect(ledger)) as connection, connection:
        (orders,) = connection.execute("SELECT COALESCE(MAX(seq), 0) FROM orders").fetchone()
        (fills,) = connection.execute("SELECT COALESCE(MAX(number), 0) FROM fills").fetchone()
        changed = {
            "seq": f"seq - ?2 * {orders}", "id": "id || ?2", "client_order_id": "client_order_id || ?2",
            "submitted_at": "submitted_at - ?1", "updated_at": "updated_at - ?1",
        }  # fmt: skip
        ended = "status IN ('filled', 'canceled', 'rejected', 'expired')"
        _copy(connection, "orders", changed, _by_number(spans, days * DAY), ended)
        changed = {"number": f"number - ?2 * {fills}", "id": "id || ?2", "time": "time - ?1"}
        _copy(connection, "fills", changed, _by_number(spans, days * DAY))


def _copy(
    connection: sqlite3.Connection,
    table: str,
    changed: Mapping[str, str],
    parameters: Iterator[tuple[object, ...]],
    where: str = "true",
) -> None:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changed.get(name, f'"{name}"') for name in names)
    connection.execute(f"CREATE TEMP TABLE now_{table} AS SELECT * FROM {table} WHERE {where}")
    for each in parameters:
        connection.execute(
            f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {values} FROM now_{table} "
            "WHERE ?1 IS NOT NULL AND ?2 IS NOT NULL",
            each,
        )


def _by_days(spans: int, days: int) -> Iterator[tuple[object, ...]]:
    return ((f"-{span * days} days", f"-{span}") for span in range(1, spans + 1))


def _by_number(spans: int, seconds: int) -> Iterator[tuple[object, ...]]:
    return ((span * seconds, span) for span in range(1, spans + 1))
