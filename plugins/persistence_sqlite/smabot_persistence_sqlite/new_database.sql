-- Written by tools/make_schema.py from the migrations: change those, and run it again.

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

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

CREATE TABLE symbols (
	symbol TEXT NOT NULL, 
	first_bar INTEGER NOT NULL, 
	PRIMARY KEY (symbol)
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
	reason TEXT NOT NULL, timeout_minutes INTEGER, cancel_requested_at TEXT, cancel_reason TEXT DEFAULT '' NOT NULL, cause TEXT DEFAULT '' NOT NULL, available TEXT, collared INTEGER DEFAULT 0 NOT NULL, given_up_at TEXT, checks TEXT DEFAULT '' NOT NULL, fees TEXT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (client_order_id)
)
 WITHOUT ROWID

;

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
	reduces INTEGER NOT NULL, fees TEXT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (client_order_id, cumulative_qty)
)
 WITHOUT ROWID

;

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

CREATE TABLE bot_state (
	plugin TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (plugin, "key")
)
 WITHOUT ROWID

;

CREATE TABLE adjustments (
	time TEXT NOT NULL, 
	strategy TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	price TEXT NOT NULL, 
	reason TEXT NOT NULL, cash TEXT DEFAULT '0' NOT NULL, realized_pnl TEXT DEFAULT '0' NOT NULL, client_order_id TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (time, strategy, symbol)
)
 WITHOUT ROWID

;

CREATE TABLE commands (
	id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	argument TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	applied_at TEXT, 
	answer TEXT NOT NULL, expires_at TEXT, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;

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
	outcome TEXT NOT NULL, ignored_blocks TEXT DEFAULT '' NOT NULL, settings TEXT, 
	PRIMARY KEY (run_id)
)
 WITHOUT ROWID

;

CREATE INDEX order_intents_by_status ON order_intents (status);

CREATE INDEX order_intents_by_symbol ON order_intents (strategy, symbol, created_at);

CREATE VIEW bars_utc AS SELECT symbol, strftime('%Y-%m-%dT%H:%M:%SZ', ts, 'unixepoch') AS time, open, high, low, close, volume, trade_count, vwap FROM bars;

CREATE TABLE bar_revisions (
	time TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	seen_at TEXT NOT NULL, 
	open REAL NOT NULL, 
	high REAL NOT NULL, 
	low REAL NOT NULL, 
	close REAL NOT NULL, 
	volume REAL NOT NULL, 
	trade_count INTEGER, 
	vwap REAL, 
	PRIMARY KEY (time, symbol, seen_at)
)
 WITHOUT ROWID

;

CREATE TABLE blocks (
	plugin TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	since TEXT NOT NULL, 
	until TEXT, 
	PRIMARY KEY (plugin, scope)
)
 WITHOUT ROWID

;

CREATE TABLE events (
	time TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	text TEXT NOT NULL, 
	grave INTEGER NOT NULL, 
	PRIMARY KEY (time, kind, subject)
)
 WITHOUT ROWID

;

CREATE TABLE marks (
	symbol TEXT NOT NULL, 
	price TEXT NOT NULL, 
	time TEXT NOT NULL, 
	source TEXT NOT NULL, 
	PRIMARY KEY (symbol)
)
 WITHOUT ROWID

;

CREATE INDEX order_intents_by_time ON order_intents (created_at);

CREATE INDEX trades_by_time ON trades (time);

CREATE TABLE committed_steps (
	number INTEGER NOT NULL, 
	at TEXT NOT NULL, 
	content TEXT NOT NULL, 
	PRIMARY KEY (number)
)
 WITHOUT ROWID

;

CREATE TABLE cash_movements (
	activity_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	amount TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	booked_on TEXT NOT NULL, 
	description TEXT NOT NULL, 
	seen_at TEXT NOT NULL, 
	counted INTEGER NOT NULL, 
	PRIMARY KEY (activity_id)
)
 WITHOUT ROWID

;

CREATE TABLE corporate_actions (
	action_id TEXT NOT NULL, 
	symbol TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	ex_date TEXT NOT NULL, 
	new_shares TEXT NOT NULL, 
	old_shares TEXT NOT NULL, 
	new_symbol TEXT NOT NULL, 
	seen_at TEXT, 
	applied_at TEXT, 
	confirmed_at TEXT, 
	PRIMARY KEY (action_id)
)
 WITHOUT ROWID

;

INSERT INTO alembic_version VALUES ('0010');
