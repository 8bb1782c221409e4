"""One process a ledger: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from smabot.errors import ConfigError, LockHeld


class LedgerLock:
    """An exclusive lock on ``PATH.lock``, which names the holder's pid.

    Raises LockHeld when another holder lives, ConfigError when the file can't be written.
    """

    def __init__(self, ledger: Path) -> None:
        path = ledger.with_name(ledger.name + ".lock")
        try:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+")
        except OSError as error:
            raise ConfigError(
                f"ledger {ledger}: can't be written ({error.strerror}); "
                "give another --ledger or --db, or make its folder writable"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise LockHeld(
                f"ledger {ledger}: process {holder} is using it; stop that one, "
                "or give another --ledger or --db"
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()
