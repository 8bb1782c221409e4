"""What works by an old name until a later version: the warnings about it."""

from __future__ import annotations

import sys

_noted: set[str] = set()


class OldName(DeprecationWarning):
    """A module or name that moved is used by its old name; `smabot` shows it as one line."""

    def __init__(self, user: str, old: str, remedy: str) -> None:
        """``user``: the module that uses it."""
        super().__init__(f"{user} imports {old}; {remedy}")
        self.user, self.old, self.remedy = user, old, remedy


def note_renamed(old: str, new: str, where: str = "") -> None:
    """Say on stderr that a setting or flag has a new name, once a process; ``where`` it was read from."""
    line = f"{where}: {old}" if where else old
    line = f"smabot: {line} is now {new}; the old name works until 1.0"
    if line not in _noted:
        _noted.add(line)
        print(line, file=sys.stderr)
