"""The plugin: keeps smabot's journal in a SQLite database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smabot.provider import Config, Finding, Provider, Recovery, RecoveryStep, hookimpl
from smabot_persistence_sqlite.journal import SqliteJournal
from smabot_persistence_sqlite.record_reader import SqliteRows

if TYPE_CHECKING:
    import click


class PersistenceSqlite(Provider):
    """Keeps the journal in one SQLite file, ``db`` of the settings. It has no settings of its own."""

    @hookimpl
    def open_journal(self, config: Config, records: Sequence[type]) -> SqliteJournal:
        """Lock, open and if need be create or migrate the database."""
        return SqliteJournal.open(config.db, records)

    @hookimpl
    def open_rows(self, config: Config, records: Sequence[type]) -> SqliteRows:
        """Open the database read-only, also while the bot is running."""
        return SqliteRows.open(config.db, records)

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep | None:
        """Report what opening the database did to it."""
        journal = recovery.journal
        if isinstance(journal, SqliteJournal) and journal.opening_notes:
            return RecoveryStep("; ".join(journal.opening_notes))
        return None

    @hookimpl
    def diagnose(self, config: Config) -> list[Finding]:
        """Check the database: its schema, its integrity, who uses it."""
        from smabot_persistence_sqlite.doctor import diagnose_database

        return diagnose_database(config.db)

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        """Add `smabot db`."""
        from smabot_persistence_sqlite.commands import db

        cli.add_command(db)
