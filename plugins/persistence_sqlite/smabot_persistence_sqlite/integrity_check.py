"""The integrity check: is the file damaged, and do positions and orders agree with the fills?"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from smabot.provider import Adjustment, Fill, JournalError, Order, Position
from smabot_persistence_sqlite.connection import connect_reader, error_meaning
from smabot_persistence_sqlite.record_reader import SqliteRows


def check_database(db: Path, records: Sequence[type] = ()) -> list[str]:
    """Return what is wrong with a database, a line each: damage, and sums that do not agree.

    Safe while the bot is running. Raises ConfigError when there is no database.
    """
    if damage := _damage(db):
        return [f"{db} is damaged: restore a copy made by `smabot db backup`", *damage]
    with closing(SqliteRows.open(db, records)) as rows, rows.snapshot():
        try:
            return [*_position_problems(rows), *_fill_problems(rows)]
        except JournalError as error:
            return [str(error)]


def _damage(db: Path) -> list[str]:
    try:
        with closing(connect_reader(db)) as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check(20)")]
    except sqlite3.OperationalError as error:
        raise JournalError(f"database {db}: {error_meaning(error, db)}") from error
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    except JournalError as error:
        found = [str(error)]
    return [] if found == ["ok"] else found


def _position_problems(rows: SqliteRows) -> Iterator[str]:
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


def _fill_problems(rows: SqliteRows) -> Iterator[str]:
    """Compare each order's filled quantity, and the fees charged for it, with its trades."""
    traded: dict[str, Decimal] = defaultdict(Decimal)
    charged: dict[str, Decimal] = defaultdict(Decimal)
    for fill in rows.rows(Fill):
        traded[fill.client_order_id] += fill.qty
        charged[fill.client_order_id] += fill.fees
    for order in rows.rows(Order):
        qty = traded.pop(order.client_order_id, Decimal(0))
        if qty != order.filled_qty:
            yield (
                f"order_intents: {order.client_order_id} filled {order.filled_qty:f} shares, "
                f"its trades make {qty:f}"
            )
        if (fees := charged[order.client_order_id]) != order.fees:
            yield (
                f"order_intents: {order.client_order_id} was charged {order.fees:f} dollars, "
                f"its trades {fees:f}"
            )
    for client_order_id in sorted(traded):
        yield f"trades: {client_order_id} has trades, but order_intents does not know it"
