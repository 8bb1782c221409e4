"""Commissions and fees of orders and fills: none in what an older release kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("order_intents", "trades"):
        op.add_column(table, sa.Column("fees", sa.TEXT(), nullable=False, server_default="0"))
