"""One process a file: a lock of the operating system, which ends with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from smabot.errors import ConfigError, LockHeld

PAUSES = (0.01, 0.02, 0.05)


class FileLock:
    """An exclusive lock on ``<path>.lock``, which holds the owner's process id.

    The file stays when the lock is released: removing it would let two processes lock two files.
    """

    def __init__(self, path: Path, what: str, otherwise: str) -> None:
        """Take the lock of a file, wherever links to it lie; make its folder if there is none.

        ``what`` names the file and ``otherwise`` the way out, both for the message. Raises LockHeld
        when another holder lives, ConfigError when the lock can't be written.
        """
        path = path.resolve()
        self.path = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"{what}: its folder can't be written ({error.strerror}): check the disk and the "
                f"rights, or {otherwise}"
            ) from error
        try:
            _flock(self._file)
        except OSError as error:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            if not isinstance(error, BlockingIOError):
                raise ConfigError(
                    f"{what}: its file system can't lock files ({error.strerror}): {otherwise}"
                ) from error
            raise LockHeld(
                f"{what} is in use by a running smabot (pid {owner or 'unknown'}): stop it, "
                f"or {otherwise}"
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            raise ConfigError(
                f"{what}: its lock can't be written ({error.strerror}): make room, or {otherwise}"
            ) from error

    def release(self) -> None:
        """Let the next one in. Safe to call twice."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of a file. It is free again at once if it was."""
    try:
        file = os.open(path.resolve().with_name(path.resolve().name + ".lock"), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def holder(path: Path) -> str:
    """Return the process id that a file's lock names, or ``unknown``."""
    try:
        text = path.resolve().with_name(path.resolve().name + ".lock").read_text("ascii", "replace")
    except OSError:
        text = ""
    return text.strip() or "unknown"


def _flock(file: int) -> None:
    """Take the lock, a moment later where somebody only looked whether it is held."""
    for pause in PAUSES:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
