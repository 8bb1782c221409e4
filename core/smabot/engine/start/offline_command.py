"""Carries out an operator's command while no bot runs."""

from __future__ import annotations

from smabot.domain.book import Book
from smabot.domain.bot_records import Command
from smabot.engine.operator_commands import CORE_VERBS, carry_out
from smabot.engine.start.book_restore import restore_book
from smabot.hooks.memory_journal import MemoryJournal
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.system.wall_clock import Wall, utc_now


def apply_command_offline(
    config: Config, plugins: Plugins, command: Command, wall: Wall = utc_now
) -> str:
    """Restore the book, apply a command, commit. Returns the answer.

    Commands that still wait for a bot were given before and come first; with one of core's own verbs
    only those of core's own verbs, which need no plugin but the journal's. One that a bot has carried
    out already is only answered. Raises PluginError when a plugin fails at this one, and LockHeld while
    a bot runs.
    """
    journal = plugins.open_journal(config) or MemoryJournal()
    try:
        book = Book()
        restore_book(book, journal, plugins)
        book.now = book.point.time if book.point is not None else wall()
        for minute in journal.windows(1, {p.symbol for p in book.positions.values()}):
            book.restore(minute)
        done = journal.row(Command, command.id)
        if done is not None and done.applied_at is not None:
            return done.answer
        own = command.verb in CORE_VERBS
        waiting = [
            each
            for each in journal.commands()
            if each.id != command.id and (each.verb in CORE_VERBS or not own)
        ]
        carried = carry_out([*waiting, command], plugins, book, wall)
        journal.commit(book.drain()[0])
        if command.id in carried.failures:
            raise carried.failures[command.id]
        return carried.answers[command.id]
    finally:
        journal.close()
