"""One writer per database, by a lock of the operating system: it ends with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from smabot.errors import ConfigError, LockHeld


class Lock:
    """An exclusive lock on ``<db>.lock``, which holds the owner's process id.

    The file stays when the lock is released: removing it would let two processes lock two files.
    """

    def __init__(self, path: Path, shown: Path) -> None:
        """Take the lock of a resolved database path.

        Raises LockHeld when another process has it, ConfigError when the folder can't be written.
        """
        self.path = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"database {shown}: its folder can't be written ({error.strerror}): check the "
                "rights, or use another --db"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise LockHeld(
                f"{shown} is in use by a running smabot (pid {owner or 'unknown'}): stop it, or use "
                "another --db"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next one in."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1
