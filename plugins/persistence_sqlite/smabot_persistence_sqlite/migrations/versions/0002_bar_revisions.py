"""Bars that came late or again with other values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bar_revisions",
        sa.Column("time", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("seen_at", sa.TEXT(), nullable=False),
        sa.Column("open", sa.REAL(), nullable=False),
        sa.Column("high", sa.REAL(), nullable=False),
        sa.Column("low", sa.REAL(), nullable=False),
        sa.Column("close", sa.REAL(), nullable=False),
        sa.Column("volume", sa.REAL(), nullable=False),
        sa.Column("trade_count", sa.INTEGER(), nullable=True),
        sa.Column("vwap", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("time", "symbol", "seen_at"),
        sqlite_with_rowid=False,
    )
