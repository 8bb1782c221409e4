BEGIN TRANSACTION;
CREATE TABLE account (
	account_id TEXT NOT NULL, 
	broker TEXT NOT NULL, 
	cash TEXT NOT NULL, 
	opening_cash TEXT NOT NULL, 
	bound_at TEXT NOT NULL, 
	PRIMARY KEY (account_id)
)
 WITHOUT ROWID

;
CREATE TABLE adjustments (
	time TEXT NOT NULL, 
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	price TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (time, strategy, symbol)
)
 WITHOUT ROWID

;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE bars (
	symbol TEXT NOT NULL, 
	ts INTEGER NOT NULL, 
	open REAL NOT NULL, 
	high REAL NOT NULL, 
	low REAL NOT NULL, 
	close REAL NOT NULL, 
	volume REAL NOT NULL, 
	trade_count INTEGER, 
	vwap REAL, 
	PRIMARY KEY (ts, symbol)
)
 WITHOUT ROWID

;
INSERT INTO "bars" VALUES('IBM',1772461800,200.0,200.5,199.9,200.25,500.0,NULL,NULL);
INSERT INTO "bars" VALUES('SPY',1772461800,126.0,126.5,125.9,126.35,1000.0,7,126.2);
INSERT INTO "bars" VALUES('SPY',1772461860,126.35,126.6,126.3,126.5,900.0,6,126.4);
CREATE TABLE bot_state (
	plugin TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (plugin, "key")
)
 WITHOUT ROWID

;
INSERT INTO "bot_state" VALUES('core','answer','42');
CREATE TABLE commands (
	id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	argument TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	applied_at TEXT, 
	answer TEXT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
CREATE TABLE declared_records (
	table_name TEXT NOT NULL, 
	declared_by TEXT NOT NULL, 
	definition TEXT NOT NULL, 
	PRIMARY KEY (table_name)
)
 WITHOUT ROWID

;
INSERT INTO "declared_records" VALUES('account','smabot.records.Account','account_id text, bound_at time, broker text, cash decimal, opening_cash decimal; key account_id');
INSERT INTO "declared_records" VALUES('adjustments','smabot.records.Adjustment','price decimal, qty decimal, reason text, strategy text, symbol text, time time; key time, strategy, symbol');
INSERT INTO "declared_records" VALUES('bot_state','smabot.records.BotState','key text, plugin text, value text; key plugin, key');
INSERT INTO "declared_records" VALUES('commands','smabot.records.Command','answer text, applied_at time null, argument text, created_at time, id text, verb text; key id');
INSERT INTO "declared_records" VALUES('equity_curve','smabot.records.EquityPoint','cash decimal, equity decimal, positions_value decimal, realized_pnl decimal, time time; key time');
INSERT INTO "declared_records" VALUES('order_intents','smabot.records.Order','attempt integer, bar_time time, broker_order_id text null, client_order_id text, created_at time, filled_avg_price decimal null, filled_qty decimal, limit_price decimal null, qty decimal, realized_pnl decimal, reason text, reduces boolean, side text, status text, strategy text, submitted_at time null, symbol text, time_in_force text, type text, updated_at time null; key client_order_id');
INSERT INTO "declared_records" VALUES('positions_snapshot','smabot.records.Position','avg_price decimal, cost decimal, qty decimal, realized_pnl decimal, strategy text, symbol text, updated_at time; key strategy, symbol');
INSERT INTO "declared_records" VALUES('runs','smabot.records.Run','ended_at time null, exit_code integer null, mode text, outcome text, pid integer, plugins text, ready_ms real null, run_id text, started_at time, steps text, version text; key run_id');
INSERT INTO "declared_records" VALUES('signal_state','smabot.records.SignalState','bar_time time, last_signal text, missed boolean, strategy text, symbol text, target integer; key strategy, symbol');
INSERT INTO "declared_records" VALUES('signals','smabot.records.Signal','bar_time time, label text, missed boolean, price real, reason text, strategy text, symbol text, target integer; key strategy, symbol, bar_time');
INSERT INTO "declared_records" VALUES('trades','smabot.records.Fill','client_order_id text, cumulative_qty decimal, price decimal, qty decimal, realized_pnl decimal, reduces boolean, side text, strategy text, symbol text, time time; key client_order_id, cumulative_qty');
CREATE TABLE equity_curve (
	time TEXT NOT NULL, 
	equity TEXT NOT NULL, 
	cash TEXT NOT NULL, 
	positions_value TEXT NOT NULL, 
	realized_pnl TEXT NOT NULL, 
	PRIMARY KEY (time)
)
 WITHOUT ROWID

;
CREATE TABLE order_intents (
	client_order_id TEXT NOT NULL, 
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	side TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	type TEXT NOT NULL, 
	limit_price TEXT, 
	time_in_force TEXT NOT NULL, 
	bar_time TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	reduces INTEGER NOT NULL, 
	created_at TEXT NOT NULL, 
	status TEXT NOT NULL, 
	broker_order_id TEXT, 
	filled_qty TEXT NOT NULL, 
	filled_avg_price TEXT, 
	realized_pnl TEXT NOT NULL, 
	submitted_at TEXT, 
	updated_at TEXT, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (client_order_id)
)
 WITHOUT ROWID

;
INSERT INTO "order_intents" VALUES('bot-sma-SPY-1','sma','SPY','buy','10','market',NULL,'day','2026-03-02T14:30:00Z',1,0,'2026-03-02T14:30:00Z','filled','b1','10','126.35','0',NULL,NULL,'');
CREATE TABLE positions_snapshot (
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	cost TEXT NOT NULL, 
	avg_price TEXT NOT NULL, 
	realized_pnl TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (strategy, symbol)
)
 WITHOUT ROWID

;
INSERT INTO "positions_snapshot" VALUES('sma','SPY','10','1','1','0','2026-03-02T14:30:00Z');
CREATE TABLE runs (
	run_id TEXT NOT NULL, 
	pid INTEGER NOT NULL, 
	version TEXT NOT NULL, 
	plugins TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	started_at TEXT NOT NULL, 
	ready_ms REAL, 
	steps TEXT NOT NULL, 
	ended_at TEXT, 
	exit_code INTEGER, 
	outcome TEXT NOT NULL, 
	PRIMARY KEY (run_id)
)
 WITHOUT ROWID

;
CREATE TABLE signal_state (
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	last_signal TEXT NOT NULL, 
	target INTEGER NOT NULL, 
	bar_time TEXT NOT NULL, 
	missed INTEGER NOT NULL, 
	PRIMARY KEY (strategy, symbol)
)
 WITHOUT ROWID

;
CREATE TABLE signals (
	symbol TEXT NOT NULL, 
	target INTEGER NOT NULL, 
	bar_time TEXT NOT NULL, 
	price REAL NOT NULL, 
	strategy TEXT NOT NULL, 
	missed INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	label TEXT NOT NULL, 
	PRIMARY KEY (strategy, symbol, bar_time)
)
 WITHOUT ROWID

;
CREATE TABLE symbols (
	symbol TEXT NOT NULL, 
	first_bar INTEGER NOT NULL, 
	PRIMARY KEY (symbol)
)
 WITHOUT ROWID

;
INSERT INTO "symbols" VALUES('IBM',1772461800);
INSERT INTO "symbols" VALUES('SPY',1772461800);
CREATE TABLE trades (
	client_order_id TEXT NOT NULL, 
	cumulative_qty TEXT NOT NULL, 
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	side TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	price TEXT NOT NULL, 
	realized_pnl TEXT NOT NULL, 
	time TEXT NOT NULL, 
	reduces INTEGER NOT NULL, 
	PRIMARY KEY (client_order_id, cumulative_qty)
)
 WITHOUT ROWID

;
INSERT INTO "trades" VALUES('bot-sma-SPY-1','10','sma','SPY','buy','10','126.35','0','2026-03-02T14:30:00Z',0);
CREATE INDEX order_intents_by_status ON order_intents (status);
CREATE INDEX order_intents_by_symbol ON order_intents (strategy, symbol, created_at);
CREATE VIEW bars_utc AS SELECT symbol, strftime('%Y-%m-%dT%H:%M:%SZ', ts, 'unixepoch') AS time, open, high, low, close, volume, trade_count, vwap FROM bars;
COMMIT;
