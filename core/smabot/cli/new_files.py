"""Writes files that are not there yet: all of them or none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from smabot.errors import ConfigError

MOST_NAMED = 3
"""Files that an error names."""


def write_new_files(
    folder: Path, texts: Mapping[str, str], example: str, what: str = "folder"
) -> list[Path]:
    """Write files by their paths in a folder, which is made where it is missing; returns their paths.

    ``example``: a command line that gives another folder, or another name. Raises ConfigError where a file is there
    already or can't be written; nothing is written then.
    """
    files = {folder / name: text for name, text in texts.items()}
    refuse_to_overwrite(folder, files, example, what)
    made: list[Path] = []
    try:
        for path, text in files.items():
            missing = [each for each in path.parents if not each.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            made += reversed(missing)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except OSError as error:
        _remove(made)
        where = error.filename or folder
        raise ConfigError(
            f"{where}: can't be written: {error.strerror}; nothing was written"
        ) from None
    return list(files)


def refuse_to_overwrite(
    folder: Path, files: Iterable[Path], example: str, what: str = "folder"
) -> None:
    """Raise ConfigError where the folder is none and can be none, or one of the files is there."""
    nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise ConfigError(f"{nearest} is no folder: give another name; nothing was written")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{nearest}: can't be written: check its rights; nothing was written")
    if there := [str(path) for path in files if os.path.lexists(path)]:
        verb = "is" if len(there) == 1 else "are"
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        raise ConfigError(
            f"{', '.join(there[:MOST_NAMED])}{more} {verb} there already: nothing was written; give another {what}, as "
            f"`{example}`"
        )


def _remove(made: Iterable[Path]) -> None:
    for path in reversed(list(made)):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
