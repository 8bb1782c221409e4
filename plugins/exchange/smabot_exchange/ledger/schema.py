"""The ledger's tables. Times are seconds since 1970 UTC, money and quantities decimal text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

APPLICATION_ID = 0x534D4258
"""The bytes ``SMBX`` in the file's header: a ledger, and no other SQLite file."""

VERSION = 6

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE assets (symbol TEXT PRIMARY KEY, first_open REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (
    date TEXT PRIMARY KEY, open INTEGER NOT NULL, close INTEGER NOT NULL, played INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE bars (
    ts INTEGER NOT NULL, symbol TEXT NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
    volume REAL NOT NULL, trade_count INTEGER, vwap REAL,
    PRIMARY KEY (ts, symbol)
) WITHOUT ROWID;
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    now INTEGER NOT NULL, minutes_played INTEGER NOT NULL, cash TEXT NOT NULL,
    last_equity TEXT, last_maintenance_margin TEXT
);
CREATE TABLE orders (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL UNIQUE,
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, type TEXT NOT NULL,
    limit_price TEXT, time_in_force TEXT NOT NULL, status TEXT NOT NULL,
    submitted_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, opens_at INTEGER NOT NULL,
    expires_at INTEGER, hold_price TEXT NOT NULL, filled_qty TEXT NOT NULL, filled_value TEXT NOT NULL,
    filled_at INTEGER,
    notional TEXT, stop_price TEXT, trail_price TEXT, trail_percent TEXT, hwm TEXT,
    triggered_at INTEGER, extended_hours INTEGER NOT NULL DEFAULT 0,
    order_class TEXT NOT NULL DEFAULT 'simple', position_intent TEXT NOT NULL DEFAULT 'buy_to_open',
    parent_id TEXT, replaces TEXT, replaced_by TEXT, stall TEXT, stalled_until INTEGER,
    fees TEXT NOT NULL DEFAULT '0'
);
CREATE INDEX orders_by_time ON orders (submitted_at);
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL REFERENCES orders (id),
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL,
    cumulative_qty TEXT NOT NULL, time INTEGER NOT NULL, fees TEXT NOT NULL DEFAULT '0'
);
CREATE INDEX fills_of_order ON fills (order_id);
CREATE TABLE positions (symbol TEXT PRIMARY KEY, qty TEXT NOT NULL, cost TEXT NOT NULL) WITHOUT ROWID;
"""

_ADDED_2 = """
CREATE INDEX legs ON orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE adjustments (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, symbol TEXT, qty TEXT NOT NULL,
    price TEXT NOT NULL, cash TEXT NOT NULL, kind TEXT NOT NULL DEFAULT '',
    of_symbol TEXT NOT NULL DEFAULT '', description TEXT NOT NULL DEFAULT '', shown_after INTEGER DEFAULT 0
);
"""
"""What came with version 2 beside the columns: also at the end of a new ledger's schema."""

_OPEN_ORDERS = """
CREATE INDEX open_orders ON orders (seq) WHERE status IN (
    'pending_new', 'accepted', 'held', 'new', 'partially_filled', 'pending_cancel', 'done_for_day',
    'calculated', 'stopped', 'suspended'
);
"""

_ADDED_5 = """
CREATE TABLE corporate_actions (
    id TEXT PRIMARY KEY, symbol TEXT NOT NULL, kind TEXT NOT NULL, ex_date TEXT NOT NULL,
    new_shares TEXT NOT NULL, old_shares TEXT NOT NULL, new_symbol TEXT NOT NULL,
    turned_at INTEGER NOT NULL, followed_at INTEGER, qty_before TEXT NOT NULL, qty_after TEXT NOT NULL
) WITHOUT ROWID;
"""
"""Those that were carried out, in part at least: `data.corporate_actions.ListedAction`."""

SCHEMA += _ADDED_2 + _OPEN_ORDERS + _ADDED_5

_COLUMNS_2 = {
    "state": ("last_equity TEXT", "last_maintenance_margin TEXT"),
    "orders": (
        "notional TEXT", "stop_price TEXT", "trail_price TEXT", "trail_percent TEXT", "hwm TEXT",
        "triggered_at INTEGER", "extended_hours INTEGER NOT NULL DEFAULT 0",
        "order_class TEXT NOT NULL DEFAULT 'simple'",
        "position_intent TEXT NOT NULL DEFAULT 'buy_to_open'",
        "parent_id TEXT", "replaces TEXT", "replaced_by TEXT",
    ),
}  # fmt: skip
_COLUMNS_3 = {"orders": ("stall TEXT", "stalled_until INTEGER")}
_FEES = ("fees TEXT NOT NULL DEFAULT '0'",)
_COLUMNS_4 = {"orders": _FEES, "fills": _FEES}
_COLUMNS_6 = {
    "adjustments": (
        "kind TEXT NOT NULL DEFAULT ''", "of_symbol TEXT NOT NULL DEFAULT ''",
        "description TEXT NOT NULL DEFAULT ''", "shown_after INTEGER DEFAULT 0",
    ),
}  # fmt: skip


def migration(version: int) -> str:
    """Return the script that makes a ledger of an older version one of this version, all or nothing."""
    steps = ["BEGIN IMMEDIATE;"]
    if version < 2:
        steps += _columns(_COLUMNS_2)
        steps.append("UPDATE orders SET position_intent = 'sell_to_close' WHERE side = 'sell';")
        steps.append(_ADDED_2)
    if version < 3:
        steps += _columns(_COLUMNS_3)
        steps += ["DROP INDEX open_orders;", _OPEN_ORDERS]
    if version < 4:
        steps += _columns(_COLUMNS_4)
    if version < 5:
        steps.append(_ADDED_5)
    if version >= 2:  # before, the table of adjustments was made above
        steps += _columns(_COLUMNS_6)
    return "\n".join([*steps, f"PRAGMA user_version = {VERSION};", "COMMIT;"])


def _columns(added: Mapping[str, Sequence[str]]) -> list[str]:
    return [
        f"ALTER TABLE {table} ADD COLUMN {column};"
        for table, columns in added.items()
        for column in columns
    ]
