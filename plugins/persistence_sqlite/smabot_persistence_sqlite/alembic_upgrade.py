"""The migrations, run by alembic. Imported only when a database of an older release is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from smabot_persistence_sqlite.schema_version import Lineage


@contextmanager
def upgraded(connection: sqlite3.Connection, lineage: Lineage) -> Iterator[None]:
    """Begin a transaction, run the migrations in it, and leave it open: the caller commits inside."""
    engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
    with engine.connect() as on_engine:
        on_engine.exec_driver_sql("BEGIN IMMEDIATE")
        config = Config()
        config.set_main_option("script_location", lineage.location)
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = on_engine
        try:
            command.upgrade(config, "head")
        except sa.exc.DBAPIError as error:
            raise error.orig or error from error
        yield
