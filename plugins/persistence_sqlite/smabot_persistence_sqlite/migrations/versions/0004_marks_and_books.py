"""Prices that were asked for because no bar came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


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
