"""The tables as SQLAlchemy knows them. Imported only when a schema is created, changed or checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from smabot_persistence_sqlite.record_mapping import Form

TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "TEXT": sa.TEXT,
    "INTEGER": sa.INTEGER,
    "REAL": sa.REAL,
}


def record_table(form: Form, metadata: sa.MetaData) -> sa.Table:
    """Return the table of a record class."""
    columns = [
        sa.Column(c.name, TYPES[form.codecs[c.name].sql](), nullable=c.optional)
        for c in form.table.columns
    ]
    key = sa.PrimaryKeyConstraint(*form.table.key)
    return sa.Table(form.table.name, metadata, *columns, key, sqlite_with_rowid=False)


def metadata_of(forms: Iterable[Form]) -> sa.MetaData:
    """Return all tables: the journal's own and one for each record class."""
    metadata = sa.MetaData()
    sa.Table(
        "bars",
        metadata,
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("ts", sa.INTEGER(), nullable=False),
        *(
            sa.Column(name, sa.REAL(), nullable=False)
            for name in ("open", "high", "low", "close", "volume")
        ),
        sa.Column("trade_count", sa.INTEGER(), nullable=True),
        sa.Column("vwap", sa.REAL(), nullable=True),
        sa.PrimaryKeyConstraint("ts", "symbol"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "symbols",
        metadata,
        sa.Column("symbol", sa.TEXT(), nullable=False),
        sa.Column("first_bar", sa.INTEGER(), nullable=False),
        sa.PrimaryKeyConstraint("symbol"),
        sqlite_with_rowid=False,
    )
    sa.Table(
        "declared_records",
        metadata,
        sa.Column("table_name", sa.TEXT(), nullable=False),
        sa.Column("declared_by", sa.TEXT(), nullable=False),
        sa.Column("definition", sa.TEXT(), nullable=False),
        sa.PrimaryKeyConstraint("table_name"),
        sqlite_with_rowid=False,
    )
    for form in forms:
        record_table(form, metadata)
    orders = metadata.tables["order_intents"].columns
    sa.Index("order_intents_by_status", orders.status)
    sa.Index("order_intents_by_time", orders.created_at)
    sa.Index("trades_by_time", metadata.tables["trades"].columns.time)
    sa.Index("order_intents_by_symbol", orders.strategy, orders.symbol, orders.created_at)
    return metadata
