"""Cash movements: none of before, as adjustments keep what was adopted without its activity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cash_movements",
        sa.Column("activity_id", sa.TEXT(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("amount", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("booked_on", sa.TEXT(), nullable=False),
        sa.Column("description", sa.TEXT(), nullable=False),
        sa.Column("seen_at", sa.TEXT(), nullable=False),
        sa.Column("counted", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("activity_id"),
        sqlite_with_rowid=False,
    )
