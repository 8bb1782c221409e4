"""Prices asked for, what adjustments moved in cash, blocks that an older release left to be derived.

A database that an older release kept while a risk plugin was off, or that a backup brought back, may
have a tripped breaker or a reached loss limit without its row in ``blocks``.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from alembic import op

from smabot.provider import end_of

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BREAKER = """
INSERT INTO blocks (plugin, scope, reason, since, until)
SELECT 'risk.circuit_breaker', 'entries', reason, COALESCE(tripped_at, '1970-01-01T00:00:00Z'), NULL
FROM circuit_breaker WHERE name = 'main' AND tripped = 1
AND NOT EXISTS (SELECT 1 FROM blocks WHERE plugin = 'risk.circuit_breaker')
"""
_DAY = "SELECT MAX(trading_date) FROM daily_limits"
_LOST = """
INSERT INTO blocks (plugin, scope, reason, since, until)
SELECT 'risk.daily_limits', 'entries', reason, created_at, :until FROM order_intents
WHERE status = 'blocked' AND reason LIKE '%max_loss%' AND reason LIKE '% on ' || :day || '%'
AND NOT EXISTS (SELECT 1 FROM blocks WHERE plugin = 'risk.daily_limits' AND until >= :until)
ORDER BY created_at LIMIT 1
ON CONFLICT (plugin, scope) DO UPDATE
SET reason = excluded.reason, since = excluded.since, until = excluded.until
"""


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("price", sa.TEXT(), nullable=False),
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("source", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("symbol"),
        sqlite_with_rowid=False,
    )
    for name, default in (("cash", "0"), ("realized_pnl", "0"), ("client_order_id", "")):
        op.add_column(
            "adjustments", sa.Column(name, sa.TEXT(), nullable=False, server_default=default)
        )
    op.add_column("runs", sa.Column("ignored_blocks", sa.TEXT(), nullable=False, server_default=""))
    op.create_index("order_intents_by_time", "order_intents", ["created_at"])
    op.create_index("trades_by_time", "trades", ["time"])
    _derive_blocks(op.get_bind())


def _derive_blocks(connection: sa.Connection) -> None:
    """Make the rows that a tripped breaker and a loss limit reached on the newest date should have."""
    tables = sa.inspect(connection)
    if tables.has_table("circuit_breaker"):
        connection.execute(sa.text(_BREAKER))
    if not tables.has_table("daily_limits"):
        return
    day = connection.execute(sa.text(_DAY)).scalar()
    if day is not None:
        until = f"{end_of(date.fromisoformat(day)):%Y-%m-%dT%H:%M:%SZ}"
        connection.execute(sa.text(_LOST), {"day": day, "until": until})
