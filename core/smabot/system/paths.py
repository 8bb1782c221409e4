"""Whether there is a file of some name, and room for one.

A name that leads nowhere is a mistake, not an absent file.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from smabot.errors import ConfigError

SMALL_FILE = 65_536
"""Bytes: SQLite's index of a write-ahead log takes half of it."""


def file_exists(path: Path, shown: str) -> bool:
    """Tell whether there is a file; False only where nothing has the name.

    ``shown`` is how messages name it. Raises ConfigError for a link that leads nowhere or in a
    circle, for a folder or anything else that is no regular file, and where nobody can tell.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if not _is_link(path):
            return False
        raise ConfigError(
            f"{shown} is a link to {path.readlink()}, which is not there: fix or remove the link"
        ) from None
    except OSError as error:
        if _is_link(path):
            raise ConfigError(
                f"{shown} is a link that can't be followed ({error.strerror}): fix or remove it"
            ) from None
        raise ConfigError(f"{shown} can't be read: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{shown} is a folder: give a file")
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{shown} is no regular file: give another one")
    return True


def is_same_file(path: Path, other: Path) -> bool:
    """Tell whether two names lead to one file, through whatever links, or would lead to it."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return path.samefile(other)
    except OSError:
        return False


def refuse_hard_links(path: Path, shown: str) -> None:
    """Raise ConfigError for a file with more names than one: SQLite's logs of it go by the name."""
    if (count := path.stat().st_nlink) > 1:
        raise ConfigError(
            f"{shown} has {count} names (hard links), and each would have a write-ahead log of its "
            "own: remove the others, or give a copy"
        )


def is_disk_full(folder: Path) -> bool:
    """Tell whether a folder's disk has no room left for even a small file."""
    try:
        return shutil.disk_usage(folder).free < SMALL_FILE
    except OSError:
        return False


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        return False
