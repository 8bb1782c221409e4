"""The first schema: bars, and the core's records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bars",
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("ts", sa.INTEGER(), nullable=False),
        sa.Column("open", sa.REAL(), nullable=False),
        sa.Column("high", sa.REAL(), nullable=False),
        sa.Column("low", sa.REAL(), nullable=False),
        sa.Column("close", sa.REAL(), nullable=False),
        sa.Column("volume", sa.REAL(), nullable=False),
        sa.Column("trade_count", sa.INTEGER(), nullable=True),
        sa.Column("vwap", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("ts", "symbol"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "symbols",
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("first_bar", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("symbol"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "declared_records",
        sa.Column("table_name", sa.TEXT(), nullable=False),
        sa.Column("declared_by", sa.TEXT(), nullable=False),
        sa.Column("definition", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("table_name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signals",
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("target", sa.INTEGER(), nullable=False),
        sa.Column("bar_time", sa.TEXT(), nullable=False),
        sa.Column("price", sa.REAL(), nullable=False),
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("missed", sa.INTEGER(), nullable=False),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.Column("label", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "symbol", "bar_time"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signal_state",
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("last_signal", sa.TEXT(), nullable=False),
        sa.Column("target", sa.INTEGER(), nullable=False),
        sa.Column("bar_time", sa.TEXT(), nullable=False),
        sa.Column("missed", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "symbol"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "order_intents",
        sa.Column("client_order_id", sa.TEXT(), nullable=False),
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("side", sa.TEXT(), nullable=False),
        sa.Column("qty", sa.TEXT(), nullable=False),
        sa.Column("type", sa.TEXT(), nullable=False),
        sa.Column("limit_price", sa.TEXT(), nullable=True),
        sa.Column("time_in_force", sa.TEXT(), nullable=False),
        sa.Column("bar_time", sa.TEXT(), nullable=False),
        sa.Column("attempt", sa.INTEGER(), nullable=False),
        sa.Column("reduces", sa.INTEGER(), nullable=False),
        sa.Column("created_at", sa.TEXT(), nullable=False),
        sa.Column("status", sa.TEXT(), nullable=False),
        sa.Column("broker_order_id", sa.TEXT(), nullable=True),
        sa.Column("filled_qty", sa.TEXT(), nullable=False),
        sa.Column("filled_avg_price", sa.TEXT(), nullable=True),
        sa.Column("realized_pnl", sa.TEXT(), nullable=False),
        sa.Column("submitted_at", sa.TEXT(), nullable=True),
        sa.Column("updated_at", sa.TEXT(), nullable=True),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("client_order_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trades",
        sa.Column("client_order_id", sa.TEXT(), nullable=False),
        sa.Column("cumulative_qty", sa.TEXT(), nullable=False),
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("side", sa.TEXT(), nullable=False),
        sa.Column("qty", sa.TEXT(), nullable=False),
        sa.Column("price", sa.TEXT(), nullable=False),
        sa.Column("realized_pnl", sa.TEXT(), nullable=False),
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("reduces", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("client_order_id", "cumulative_qty"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "positions_snapshot",
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("qty", sa.TEXT(), nullable=False),
        sa.Column("cost", sa.TEXT(), nullable=False),
        sa.Column("avg_price", sa.TEXT(), nullable=False),
        sa.Column("realized_pnl", sa.TEXT(), nullable=False),
        sa.Column("updated_at", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "symbol"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "equity_curve",
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("equity", sa.TEXT(), nullable=False),
        sa.Column("cash", sa.TEXT(), nullable=False),
        sa.Column("positions_value", sa.TEXT(), nullable=False),
        sa.Column("realized_pnl", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("time"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "account",
        sa.Column("account_id", sa.TEXT(), nullable=False),
        sa.Column("broker", sa.TEXT(), nullable=False),
        sa.Column("cash", sa.TEXT(), nullable=False),
        sa.Column("opening_cash", sa.TEXT(), nullable=False),
        sa.Column("bound_at", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bot_state",
        sa.Column("plugin", sa.TEXT(), nullable=False),
        sa.Column("key", sa.TEXT(), nullable=False),
        sa.Column("value", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("plugin", "key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "adjustments",
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("strategy", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("qty", sa.TEXT(), nullable=False),
        sa.Column("price", sa.TEXT(), nullable=False),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("time", "strategy", "symbol"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.TEXT(), nullable=False),
        sa.Column("verb", sa.TEXT(), nullable=False),
        sa.Column("argument", sa.TEXT(), nullable=False),
        sa.Column("created_at", sa.TEXT(), nullable=False),
        sa.Column("applied_at", sa.TEXT(), nullable=True),
        sa.Column("answer", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.TEXT(), nullable=False),
        sa.Column("pid", sa.INTEGER(), nullable=False),
        sa.Column("version", sa.TEXT(), nullable=False),
        sa.Column("plugins", sa.TEXT(), nullable=False),
        sa.Column("mode", sa.TEXT(), nullable=False),
        sa.Column("started_at", sa.TEXT(), nullable=False),
        sa.Column("ready_ms", sa.REAL(), nullable=True),
        sa.Column("steps", sa.TEXT(), nullable=False),
        sa.Column("ended_at", sa.TEXT(), nullable=True),
        sa.Column("exit_code", sa.INTEGER(), nullable=True),
        sa.Column("outcome", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("order_intents_by_status", "order_intents", ["status"])
    op.create_index(
        "order_intents_by_symbol", "order_intents", ["strategy", "symbol", "created_at"]
    )
    op.execute(
        "CREATE VIEW bars_utc AS SELECT symbol, strftime('%Y-%m-%dT%H:%M:%SZ', ts, 'unixepoch') AS time, "
        "open, high, low, close, volume, trade_count, vwap FROM bars"
    )
