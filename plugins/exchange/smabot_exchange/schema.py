"""The ledger's tables. Times are seconds since 1970 UTC, money and quantities decimal text."""

from __future__ import annotations

APPLICATION_ID = 0x534D4258
"""The bytes ``SMBX`` in the file's header: a ledger, and no other SQLite file."""

VERSION = 1

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
    now INTEGER NOT NULL, minutes_played INTEGER NOT NULL, cash TEXT NOT NULL
);
CREATE TABLE orders (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL UNIQUE,
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, type TEXT NOT NULL,
    limit_price TEXT, time_in_force TEXT NOT NULL, status TEXT NOT NULL,
    submitted_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, opens_at INTEGER NOT NULL,
    expires_at INTEGER, hold_price TEXT NOT NULL, filled_qty TEXT NOT NULL, filled_value TEXT NOT NULL,
    filled_at INTEGER
);
CREATE INDEX open_orders ON orders (seq) WHERE status IN ('accepted', 'new', 'partially_filled');
CREATE INDEX orders_by_time ON orders (submitted_at);
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL REFERENCES orders (id),
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL,
    cumulative_qty TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE INDEX fills_of_order ON fills (order_id);
CREATE TABLE positions (symbol TEXT PRIMARY KEY, qty TEXT NOT NULL, cost TEXT NOT NULL) WITHOUT ROWID;
"""
