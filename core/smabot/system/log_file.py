"""The log's file: loguru writes and rotates it, and several processes may write to it at once.

What holds for each of them:

1. A message is one append, so that the lines of two processes never mix.
2. The name is followed before each message: after a rotation by another process the next one goes to
   the new file. One that is already on its way goes to the file that was put aside, where it is kept.
3. One process rotates at a time: the one that has the lock of the file that is to be put aside, while
   the name still leads to it.
4. The new file has the rights of the one before.
5. A file that can't be rotated is written on; a write that fails is reported once and stops nothing.
"""

from __future__ import annotations

import copy
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from smabot.system.redaction import redact

if TYPE_CHECKING:
    from loguru import Message

FILE_BYTES = 10_000_000
FILES_KEPT = 5
_STAMP = r"\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d{6}(?:\.\d+)?"
"""What loguru puts into the name of a file that it puts aside."""


class LogFile:
    """A sink of the log; secrets are masked in what it writes."""

    def __init__(self, file: Path, tell: Callable[[str], None]) -> None:
        """Open the file, and make it and its folder where they are not there. Raises OSError.

        ``tell`` takes a line of what goes wrong later.
        """
        self._path = Path(os.path.realpath(file))
        self._tell = tell
        self._told = False
        self._limit = FILE_BYTES
        self._mode: int | None = None
        self._file: TextIO
        """The file that loguru has open."""
        self._turn = -1
        """A descriptor with the lock of the file that is being put aside."""
        self._own = copy.deepcopy(logger)  # loguru's way to a logger with sinks of its own
        self._own.remove()
        self._own.add(
            str(self._path).replace("{", "{{").replace("}", "}}"),
            level=0,
            format="{message}",
            colorize=False,
            diagnose=False,
            backtrace=False,
            catch=False,  # loguru would show the record, with its secrets
            watch=True,
            rotation=self._is_due,
            retention=self._remove_old,
            opener=self._open,
            errors="backslashreplace",
        )

    def write(self, message: str) -> None:
        text = redact(message)
        try:
            self._append(text)
        except (OSError, ValueError) as error:  # of a file that could not even be closed
            self._tell_once("can't be written", error)

    def stop(self) -> None:
        """Close the file; loguru calls it."""
        try:
            self._own.remove()
        except OSError:  # its last lines can't be written
            with suppress(OSError):
                self._file.close()

    def _append(self, text: str) -> None:
        own = self._own.opt(raw=True)
        try:
            own.info("{}", text)
        except OSError as error:
            if self._turn < 0:
                raise
            self._end_turn()
            self._limit += FILE_BYTES
            self._tell_once("can't be rotated", error)
            own.info("{}", text)

    def _tell_once(self, what: str, error: Exception) -> None:
        if not self._told:
            self._told = True
            self._tell(f"smabot: log file {self._path}: {what}: {error}\n")

    # -- rotation --------------------------------------------------------------------------------

    def _is_due(self, message: Message, file: TextIO) -> bool:
        """Tell loguru whether to put the file aside, and take the turn to do so."""
        self._file = file
        found = os.fstat(file.fileno())
        self._mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            return False
        return found.st_size + len(message) > self._limit and self._take_turn(file.fileno())

    def _take_turn(self, fd: int) -> bool:
        self._turn = os.dup(fd)  # loguru closes its own before it renames the file
        if _lock(self._turn) and self._leads_to(self._turn):
            return True
        self._end_turn()  # another process rotates it, or just did
        return False

    def _leads_to(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _end_turn(self) -> None:
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1

    def _open(self, path: str, flags: int) -> int:
        """Open the file for loguru: at the start, after a rotation, and where the name was taken."""
        rotated = self._turn >= 0
        try:
            fd = os.open(path, flags | os.O_EXCL, 0o666 if self._mode is None else self._mode)
            created = True
        except FileExistsError:
            fd = os.open(path, flags)
            created = False
        if self._mode is None:  # another process may rotate it before the first line
            self._mode = stat.S_IMODE(os.fstat(fd).st_mode)
        elif created or rotated:
            with suppress(OSError):
                os.fchmod(fd, self._mode)
        if rotated:
            self._end_turn()
            self._limit = FILE_BYTES
        return fd

    def _remove_old(self, files: Iterable[str]) -> None:
        """Keep the newest of the files that were put aside, and nothing but those is removed."""
        ours = re.compile(
            f"{re.escape(self._path.stem)}{_STAMP}{re.escape(self._path.suffix)}"
            rf"|{re.escape(self._path.name)}\.\d+"  # as an older smabot named them
        )
        aside = [file for file in map(Path, files) if ours.fullmatch(file.name)]
        for file in sorted(aside, key=_age, reverse=True)[FILES_KEPT:]:
            with suppress(OSError):
                file.unlink()


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks, where one process at a time has to do
    return True


def _age(file: Path) -> tuple[float, str]:
    try:
        return file.stat().st_mtime, file.name
    except OSError:  # another process removed it
        return 0.0, file.name
