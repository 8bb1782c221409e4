"""What an operator tells the bot: halt, resume, flatten, and the commands that plugins know."""

from __future__ import annotations

from dataclasses import replace

from smabot.book import Book
from smabot.errors import PluginError
from smabot.flattening import flatten
from smabot.halts import halt, resume
from smabot.plugins import Plugins
from smabot.records import Command


def carry_out(command: Command, plugins: Plugins, book: Book) -> str:
    """Apply a command to the book and mark it as applied; returns what was done, in a line.

    Raises PluginError when a plugin fails at it; then that is the command's answer.
    """
    if command.verb == "halt":
        halt(book, command.argument or "by hand")
        answer = "halted: no new entries; exits still pass"
    elif command.verb == "resume":
        resume(book)
        answer = "resumed: entries are allowed again"
    elif command.verb == "flatten":
        answer = flatten(book, command.argument)
    else:
        try:
            answers = plugins.on_command(command, book)
        except PluginError as error:
            book.apply(replace(command, applied_at=book.now, answer=str(error)))
            raise
        answer = "; ".join(answers) or f"no plugin of this run knows '{command.verb}'"
    book.apply(replace(command, applied_at=book.now, answer=answer))
    return answer
