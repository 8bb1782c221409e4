"""Errors a person can act on, each with the exit code of the process that meets it.

The message is the one line that is shown: what is wrong, where, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SmabotError(Exception):
    """A failure with a message for the user. Exit code 1."""

    exit_code = 1
    about: type | None = None
    """The record class that it is about, where it is about one: that of a plugin, perhaps."""


class UsageError(SmabotError):
    """A wrong command line. Exit code 2."""

    exit_code = 2


class ConfigError(SmabotError):
    """A wrong setting, plugin, tape or database. Exit code 3."""

    exit_code = 3


class BrokerError(SmabotError):
    """The broker can't be reached or refuses the credentials. Exit code 4."""

    exit_code = 4


class UnknownOutcome(BrokerError):
    """A request was sent and nobody knows what became of it: neither accepted nor refused."""


class NotSent(BrokerError):
    """A request was certainly not sent: there is no room for it for ``wait`` more seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class RiskHalt(SmabotError):
    """Trading was stopped by a risk rule. Exit code 5."""

    exit_code = 5


class ConflictError(SmabotError):
    """The database and the broker disagree. Exit code 6."""

    exit_code = 6


class LockHeld(SmabotError):
    """Another process runs on the same database. Exit code 7."""

    exit_code = 7


class JournalError(SmabotError):
    """The journal can't be read or written: nothing may be submitted. Exit code 1."""


class PluginError(SmabotError):
    """A plugin raised. Exit code 1."""


class PluginFault(PluginError):
    """A plugin answered or applied what no plugin may: it is wrong in itself. Exit code 3."""

    exit_code = 3


class Interrupted(SmabotError):
    """Ctrl-C, with more to say than that. Exit code 130."""

    exit_code = 130


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` when a known name is close to ``name``, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
