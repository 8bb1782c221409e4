"""What an operator tells the bot: halt, resume, flatten, and the commands that plugins know.

Commands are carried out in the order given. A newer one of its kind ends an older one that still
waits, so that the operator's last word counts. One that waited too long expires; a halt never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.bot_records import Command, Event
from smabot.domain.frozen_classes import replace
from smabot.domain.halts import halt, resume
from smabot.engine.execution.flattening import flatten
from smabot.errors import PluginError
from smabot.hooks.plugins import Plugins
from smabot.system.wall_clock import Wall

CORE_VERBS = ("halt", "resume", "flatten")
"""The commands that core carries out itself: no plugin is asked."""
STANDS = timedelta(minutes=1)
"""How long a command may wait to be carried out, in wall time. A halt waits as long as it takes."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of commands."""

    answers: Mapping[str, str] = field(default_factory=dict)
    """What was done, in a line, by the command's id."""
    failures: Mapping[str, PluginError] = field(default_factory=dict)
    """The plugins' failures, by the command's id."""
    flattened: bool = False
    """Whether a flatten was carried out."""

    @property
    def failure(self) -> PluginError | None:
        """The first failure of a plugin, or None."""
        return next(iter(self.failures.values()), None)


NOTHING = Carried()


def expiry(verb: str, now: datetime) -> datetime | None:
    """Return until when a command given now stands, wall time, UTC; None: until it is carried out."""
    return None if verb == "halt" else now + STANDS


UNKNOWN_COMMAND = "no plugin in this run handles"
"""How the answer begins where a command did nothing."""


def carry_out(commands: Sequence[Command], plugins: Plugins, book: Book, wall: Wall) -> Carried:
    """Apply commands to the book in the order they come in, and mark each as applied.

    One that has expired, or that a newer one of its kind replaces, is only marked. A plugin that
    fails ends nothing: its failure is the command's answer.
    """
    if not commands:
        return NOTHING
    now, answers, failures, flattened = wall(), {}, {}, False
    for index, command in enumerate(commands):
        newer = _newer(command, commands[index + 1 :], now)
        if _expired(command, now):
            answer = _expire(command, book)
        elif newer is not None:
            answer = f"not carried out: a newer {_named(newer)} took its place"
        else:
            flattened = flattened or command.verb == "flatten"
            try:
                answer = _obey(command, plugins, book)
            except PluginError as error:
                failures[command.id] = error
                answer = str(error)
        book.apply(replace(command, applied_at=book.now, answer=answer))
        answers[command.id] = answer
    return Carried(answers, failures, flattened)


def _obey(command: Command, plugins: Plugins, book: Book) -> str:
    """Do what a command says; returns what was done. Raises PluginError when a plugin fails at it."""
    if command.verb == "halt":
        halt(book, command.argument or "by hand")
        return "halted: no new entries; exits still pass"
    if command.verb == "resume":
        resume(book)
        return "resumed: entries are allowed again"
    if command.verb == "flatten":
        return flatten(book, command.argument)
    answers = plugins.on_command(command, book)
    return "; ".join(answers) or f"{UNKNOWN_COMMAND} '{command.verb}'"


def _expire(command: Command, book: Book) -> str:
    """Leave a command undone that waited too long; the halt within a flatten of everything stays."""
    answer = f"expired at {command.expires_at:%Y-%m-%d %H:%M:%S} UTC: not carried out"
    if command.verb == "flatten" and not command.argument:
        if not book.halted:
            halt(book, "a flatten expired before it was carried out")
        answer += "; new entries are halted nevertheless: `smabot resume` allows them again"
    text = f"{_named(command)} of {command.created_at:%Y-%m-%d %H:%M:%S} UTC {answer}"
    book.apply(Event(book.now, "command_expired", command.id, text, grave=True))
    return answer


def _expired(command: Command, now: datetime) -> bool:
    return command.verb != "halt" and command.expires_at is not None and now >= command.expires_at


def _newer(command: Command, later: Sequence[Command], now: datetime) -> Command | None:
    """Return the newest later command of the same kind that will be carried out, or None."""
    kind = _kind(command)
    alike = (each for each in reversed(later) if _kind(each) == kind and not _expired(each, now))
    return next(alike, None)


def _kind(command: Command) -> tuple[str, str]:
    """Return what two commands have in common of which only the newer one counts."""
    if command.verb in ("halt", "resume"):
        return "halt", ""
    return command.verb, command.argument


def _named(command: Command) -> str:
    return f"'{f'{command.verb} {command.argument}'.strip()}'"
