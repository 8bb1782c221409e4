"""Blocks and events as tables, what an order's checks and cancels were, and commands that expire.

A halt and a tripped breaker of an older release become rows of ``blocks``. A command that still waits
for a bot of an older release has expired, but for a halt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_HALT = """
INSERT INTO blocks (plugin, scope, reason, since, until)
SELECT 'core', 'entries', value, COALESCE((SELECT MAX(time) FROM equity_curve), '1970-01-01T00:00:00Z'), NULL
FROM bot_state WHERE plugin = 'core' AND key = 'halted' AND value != ''
"""
_BREAKER = """
INSERT INTO blocks (plugin, scope, reason, since, until)
SELECT 'risk.circuit_breaker', 'entries', reason, COALESCE(tripped_at, '1970-01-01T00:00:00Z'), NULL
FROM circuit_breaker WHERE name = 'main' AND tripped = 1
"""
_EXPIRED = """
UPDATE commands SET expires_at = created_at WHERE applied_at IS NULL AND verb != 'halt'
"""


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("plugin", sa.TEXT(), nullable=False),
        sa.Column("scope", sa.TEXT(), nullable=False),
        sa.Column("reason", sa.TEXT(), nullable=False),
        sa.Column("since", sa.TEXT(), nullable=False),
        sa.Column("until", sa.TEXT(), nullable=True),
        sa.PrimaryKeyConstraint("plugin", "scope"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("subject", sa.TEXT(), nullable=False),
        sa.Column("text", sa.TEXT(), nullable=False),
        sa.Column("grave", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("time", "kind", "subject"),
        sqlite_with_rowid=False,
    )
    for column in (
        sa.Column("timeout_minutes", sa.INTEGER(), nullable=True),
        sa.Column("cancel_requested_at", sa.TEXT(), nullable=True),
        sa.Column("cancel_reason", sa.TEXT(), nullable=False, server_default=""),
        sa.Column("cause", sa.TEXT(), nullable=False, server_default=""),
        sa.Column("available", sa.TEXT(), nullable=True),
        sa.Column("collared", sa.INTEGER(), nullable=False, server_default=sa.text("0")),
        sa.Column("given_up_at", sa.TEXT(), nullable=True),
        sa.Column("checks", sa.TEXT(), nullable=False, server_default=""),
    ):
        op.add_column("order_intents", column)
    op.add_column("commands", sa.Column("expires_at", sa.TEXT(), nullable=True))
    op.execute(_EXPIRED)
    op.execute(_HALT)
    op.execute("DELETE FROM bot_state WHERE plugin = 'core' AND key = 'halted'")
    if sa.inspect(op.get_bind()).has_table("circuit_breaker"):
        op.execute(_BREAKER)
