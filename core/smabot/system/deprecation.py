"""What works by an old name says so, in one line on stderr, once a process."""

from __future__ import annotations

import sys

_noted: set[str] = set()


def note_renamed(old: str, new: str, where: str = "") -> None:
    """Say that an old name has a new one; ``where`` is the place it was read from."""
    line = f"{where}: {old}" if where else old
    line += f" is now {new}; it works until 1.0"
    if line not in _noted:
        _noted.add(line)
        print(line, file=sys.stderr)
