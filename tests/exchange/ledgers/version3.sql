PRAGMA application_id = 1397572184;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE adjustments (
    number INTEGER PRIMARY KEY, time INTEGER NOT NULL, symbol TEXT, qty TEXT NOT NULL,
    price TEXT NOT NULL, cash TEXT NOT NULL
);
CREATE TABLE assets (symbol TEXT PRIMARY KEY, first_open REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "assets" VALUES('SPY',10.0);
CREATE TABLE bars (
    ts INTEGER NOT NULL, symbol TEXT NOT NULL,
    open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
    volume REAL NOT NULL, trade_count INTEGER, vwap REAL,
    PRIMARY KEY (ts, symbol)
) WITHOUT ROWID;
INSERT INTO "bars" VALUES(1772461800,'SPY',10.0,10.0,10.0,10.0,100000.0,NULL,NULL);
INSERT INTO "bars" VALUES(1772461860,'SPY',11.0,11.0,11.0,11.0,100000.0,NULL,NULL);
INSERT INTO "bars" VALUES(1772461920,'SPY',12.0,12.0,12.0,12.0,100000.0,NULL,NULL);
INSERT INTO "bars" VALUES(1772461980,'SPY',13.0,13.0,13.0,13.0,100000.0,NULL,NULL);
INSERT INTO "bars" VALUES(1772462040,'SPY',14.0,14.0,14.0,14.0,100000.0,NULL,NULL);
INSERT INTO "bars" VALUES(1772462100,'SPY',15.0,15.0,15.0,15.0,100000.0,NULL,NULL);
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL REFERENCES orders (id),
    symbol TEXT NOT NULL, side TEXT NOT NULL, qty TEXT NOT NULL, price TEXT NOT NULL,
    cumulative_qty TEXT NOT NULL, time INTEGER NOT NULL
);
INSERT INTO "fills" VALUES(1,'e1c0b37f-1dcc-526b-8678-0c370a230e2c','74299c83-0a55-5ae8-9f4e-b80999d2ff63','SPY','buy','10','10','10',1772461800);
INSERT INTO "fills" VALUES(2,'d98b1926-767d-5348-9057-24632cc65c48','416d5d42-0d47-5e74-8054-9af967ca3f98','SPY','sell','4','11','4',1772461860);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('account_id','9624b951-572f-4ac0-86fb-d27046449a3b');
INSERT INTO "meta" VALUES('bars','6');
INSERT INTO "meta" VALUES('fingerprint','8d945253ada0677a020b6b348720ed2a9aead1f0a495f26f47a812ad88d84a2b');
INSERT INTO "meta" VALUES('half_spread','0');
INSERT INTO "meta" VALUES('history','0');
INSERT INTO "meta" VALUES('import_seconds','0.0');
INSERT INTO "meta" VALUES('label','tape tape.csv');
INSERT INTO "meta" VALUES('last_bar','1772462100');
INSERT INTO "meta" VALUES('minutes','6');
INSERT INTO "meta" VALUES('multiplier','1');
INSERT INTO "meta" VALUES('notes','["tape tape.csv, 1 symbol, 1 session, 6 bars", "SPY: 384 minutes without a bar in 1 session, the first 2026-03-02 09:36\u201315:59 New York"]');
INSERT INTO "meta" VALUES('opening_cash','100000');
INSERT INTO "meta" VALUES('participation','0.1');
INSERT INTO "meta" VALUES('signature','5439526:337:1795743612995340701:1795743612995340701');
INSERT INTO "meta" VALUES('since','');
INSERT INTO "meta" VALUES('start','1772461800');
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
    parent_id TEXT, replaces TEXT, replaced_by TEXT, stall TEXT, stalled_until INTEGER
);
INSERT INTO "orders" VALUES(1,'74299c83-0a55-5ae8-9f4e-b80999d2ff63','bought','SPY','buy','10','market',NULL,'day','filled',1772461800,1772461800,1772461800,1772485200,'10','10','100',1772461800,NULL,NULL,NULL,NULL,NULL,NULL,0,'simple','buy_to_open',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "orders" VALUES(2,'416d5d42-0d47-5e74-8054-9af967ca3f98','sold','SPY','sell','4','market',NULL,'day','filled',1772461860,1772461860,1772461860,1772485200,'10','4','44',1772461860,NULL,NULL,NULL,NULL,NULL,NULL,0,'simple','sell_to_close',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "orders" VALUES(3,'f5ef983c-696c-5b26-a5a5-856c2b6e5cab','resting-sale','SPY','sell','3','limit','20','gtc','new',1772461920,1772461920,1772461920,1780258500,'20','0','0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,'simple','sell_to_close',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE positions (symbol TEXT PRIMARY KEY, qty TEXT NOT NULL, cost TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "positions" VALUES('SPY','6','60');
CREATE TABLE sessions (
    date TEXT PRIMARY KEY, open INTEGER NOT NULL, close INTEGER NOT NULL, played INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('2026-03-02',1772461800,1772485200,1);
INSERT INTO "sessions" VALUES('2026-03-03',1772548200,1772571600,0);
INSERT INTO "sessions" VALUES('2026-03-04',1772634600,1772658000,0);
INSERT INTO "sessions" VALUES('2026-03-05',1772721000,1772744400,0);
INSERT INTO "sessions" VALUES('2026-03-06',1772807400,1772830800,0);
INSERT INTO "sessions" VALUES('2026-03-09',1773063000,1773086400,0);
INSERT INTO "sessions" VALUES('2026-03-10',1773149400,1773172800,0);
INSERT INTO "sessions" VALUES('2026-03-11',1773235800,1773259200,0);
INSERT INTO "sessions" VALUES('2026-03-12',1773322200,1773345600,0);
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    now INTEGER NOT NULL, minutes_played INTEGER NOT NULL, cash TEXT NOT NULL,
    last_equity TEXT, last_maintenance_margin TEXT
);
INSERT INTO "state" VALUES(1,1772461920,2,'99944','100000','0');
CREATE INDEX orders_by_time ON orders (submitted_at);
CREATE INDEX fills_of_order ON fills (order_id);
CREATE INDEX legs ON orders (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX open_orders ON orders (seq) WHERE status IN (
    'pending_new', 'accepted', 'held', 'new', 'partially_filled', 'pending_cancel', 'done_for_day',
    'calculated', 'stopped', 'suspended'
);
COMMIT;
