"""Errors that an operator can act on, each with the exit code of the process that fails with it.

The message is the one line that is shown: what is wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from smabot.system.redaction import redact

LONGEST_WORD, LONGEST_PATH, LONGEST_LINE = 80, 160, 600


CANNOT_TELL = 3
"""The exit code of `smabot health` where it can't tell, also for a wrong command line: 0 to 2 are answers."""


class SmabotError(Exception):
    """A failure with a message for the user. Exit code 1.

    Whatever the message quotes, what is shown of it is one readable line without secrets.
    """

    exit_code = 1
    about: type | None = None
    """The record class that it is about, where it is about one: that of a plugin, perhaps."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(SmabotError):
    """A wrong command line. Exit code 2."""

    exit_code = 2


class ConfigError(SmabotError):
    """A wrong setting, plugin, data file or database. Exit code 3."""

    exit_code = 3


class BrokerError(SmabotError):
    """The broker can't be reached or refuses the credentials. Exit code 4."""

    exit_code = 4


class UnknownOutcome(BrokerError):
    """A request was sent and it is unknown whether the broker has it: neither accepted nor refused."""


class NotSent(BrokerError):
    """A request was certainly not sent: the rate limit leaves no room for ``wait`` more seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class NotAllowed(BrokerError):
    """The broker accepts no request with this key, or for this account, at the moment.

    It says nothing about the order itself, except that it was not accepted.
    """


class KeyRefused(NotAllowed):
    """The broker refuses the API key."""


class AccountBlocked(NotAllowed):
    """The broker accepts the key, but no orders of its account."""


class PartlyUnreadable(BrokerError):
    """Some items of a list can't be read. ``readable`` are the others; ``names`` name the unreadable ones
    (orders by client order id, positions by symbol), ``""`` where even that can't be read."""

    def __init__(self, message: str, readable: Sequence[Any], names: Sequence[str]) -> None:
        super().__init__(message)
        self.readable = list(readable)
        self.names = tuple(names)


class RiskHalt(SmabotError):
    """A risk rule stopped trading. Exit code 5."""

    exit_code = 5


class ConflictError(SmabotError):
    """The database and the broker disagree. Exit code 6."""

    exit_code = 6


class LockHeld(SmabotError):
    """Another process runs on the same database. Exit code 7."""

    exit_code = 7


class JournalError(SmabotError):
    """The journal can't be read or written: the bot sends nothing. Exit code 1."""


class PluginError(SmabotError):
    """A plugin raised. Exit code 1."""


class PluginFault(PluginError):
    """A plugin returned or applied something invalid: the plugin is wrong. Exit code 3."""

    exit_code = 3


class Interrupted(SmabotError):
    """Ctrl-C, with a message. Exit code 130."""

    exit_code = 130


def one_line(text: str) -> str:
    """Return a text as one line for a screen: secrets masked, control characters escaped, and cut in
    its middle where a word or the whole is too long."""
    words = "".join(map(_escaped, redact(text))).split()
    cut = (_cut(word, LONGEST_PATH if "/" in word else LONGEST_WORD) for word in words)
    return _cut(" ".join(cut), LONGEST_LINE)


def _escaped(character: str) -> str:
    if character.isprintable() or character.isspace():
        return character
    return character.encode("unicode_escape", "backslashreplace").decode()


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head = longest * 2 // 3
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names as a list for a message: the first of them, and how many there are besides."""
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the singular where it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known name is close to ``name``, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def __getattr__(name: str) -> object:
    if name.startswith("__"):  # asked at each import
        raise AttributeError(name)
    from smabot.old_names import answer

    return answer(__name__, name)
