"""What the operator said last, and that nothing is carried out that waited too long (rule 7)."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from smabot.domain.bot_records import Command
from smabot.testing.simulation.databases import Database

UNDONE = ("not carried out", "expired")
"""How the answer to a command begins that was not carried out."""


class CommandRules:
    """Reads the operator's commands in the journal."""

    def __init__(self, journal: Database) -> None:
        self._journal = journal
        self._expired: set[str] = set()

    def forbids_entries(self) -> str:
        """Return the command that forbids entries; empty: none does.

        It is the last halt, resume or flatten of everything: of those that one step carries out, the one
        that was given last by the wall clock, whether or not the bot says that another one took its place.
        """
        carried = [
            command
            for command in self._journal.rows(Command)
            if command.verb in ("halt", "resume", "flatten")
            and (command.verb != "flatten" or not command.argument)
            and command.applied_at is not None
            and not command.answer.startswith("expired")
        ]
        last = max(carried, key=attrgetter("applied_at", "created_at", "id"), default=None)
        return "" if last is None or last.verb == "resume" else last.verb

    def resets(self) -> int:
        """Return how often the circuit breaker was reset."""
        asked = self._journal.rows(Command, where={"verb": "breaker reset"})
        return sum(each.answer.startswith("the circuit breaker is reset") for each in asked)

    def done_too_late(self, wall: datetime) -> str:
        """Note what has expired by the wall clock; returns a command that was carried out nevertheless."""
        for command in self._journal.rows(Command):
            name, until = command.id, command.expires_at
            if command.applied_at is not None:
                if name in self._expired and not command.answer.startswith(UNDONE):
                    return f"{command.verb} of {command.created_at} is carried out"
            elif until is not None and wall >= until:
                self._expired.add(name)
            else:
                self._expired.discard(name)
        return ""
