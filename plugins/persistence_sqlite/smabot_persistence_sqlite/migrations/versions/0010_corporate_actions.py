"""Corporate actions that the bot knows and follows: none of before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corporate_actions",
        sa.Column("action_id", sa.TEXT(), nullable=False),
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("kind", sa.TEXT(), nullable=False),
        sa.Column("ex_date", sa.TEXT(), nullable=False),
        sa.Column("new_shares", sa.TEXT(), nullable=False),
        sa.Column("old_shares", sa.TEXT(), nullable=False),
        sa.Column("new_symbol", sa.TEXT(), nullable=False),
        sa.Column("seen_at", sa.TEXT(), nullable=True),
        sa.Column("applied_at", sa.TEXT(), nullable=True),
        sa.Column("confirmed_at", sa.TEXT(), nullable=True),
        sa.PrimaryKeyConstraint("action_id"),
        sqlite_with_rowid=False,
    )
