"""One process a file: locks of the operating system, which end with their holder."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from smabot.errors import ConfigError, LockHeld
from smabot.system.database_file import DatabaseWatch, refuse_other_files
from smabot.system.descriptors import FileHandle, inode_of
from smabot.system.paths import file_exists, refuse_hard_links

PAUSES = (0.01, 0.02, 0.05)
NETWORKED = ("nfs", "nfs4", "cifs", "smb3")
"""File systems on which `flock` is a lock that SQLite's own locks meet, and memory is not shared."""


class FileLock:
    """Exclusive locks on ``<path>.lock``, and on the file itself.

    The first one is there before the file, and its text tells the owner's process id and which files
    it has open. But it can be removed: the lock of the file itself is what lets nobody else in. The
    lock's file stays when the lock is released: removing it would let two processes lock two files.
    """

    def __init__(self, named: Path, what: str, otherwise: str) -> None:
        """Take the locks of a file, wherever links to it lie; make its folder if there is none.

        ``what`` names the file and ``otherwise`` the way out, both for the message. A file that is
        not there yet is locked by `hold`. Raises LockHeld when another holder lives, ConfigError when
        the file can't be locked, has a second name, or is no database; beside one that is none, no lock
        is made.
        """
        there = file_exists(named, what)
        path = named.resolve()
        if there:
            refuse_other_files(path, what, otherwise)
        self._what, self._otherwise, self._place, self._named = what, otherwise, path, named
        self.path = _beside(path)
        self.file: FileHandle | None = None
        """What locks the file itself, for as long as this is held."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"{what}: its folder can't be written ({error.strerror}): check the disk and the "
                f"rights, or {otherwise}"
            ) from error
        try:
            self._take(lambda: fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB))
            if there or path.exists():
                self.hold(path)
                refuse_hard_links(path, what)
            self._sign()
        except BaseException:
            self._let_go()
            raise

    def hold(self, path: Path) -> None:
        """Lock the file itself, which may still lie where it is made. Before SQLite opens it.

        Raises LockHeld and ConfigError.
        """
        try:
            self.file = FileHandle(path)
        except OSError as error:
            raise ConfigError(
                f"{self._what} can't be read ({error.strerror}): check the rights, or "
                f"{self._otherwise}"
            ) from error
        if (kind := _networked(self.file)) is not None:
            raise ConfigError(
                f"{self._what} lies on a network file system ({kind}), where SQLite can't keep it "
                f"safe: use a local disk"
            )
        self._take(self.file.lock)

    def watch(self) -> DatabaseWatch:
        """Look after the file from now on, which SQLite has open, and tell commands which one it is.

        To be closed before this is released. Raises ConfigError.
        """
        assert self.file is not None
        try:
            watch = DatabaseWatch(self._named, self.file)
        except OSError as error:
            raise ConfigError(
                f"{self._what}: its write-ahead log can't be read ({error.strerror}): check the folder"
            ) from error
        try:
            self._sign(
                *(f"{path.name} {device} {inode}" for path, (device, inode) in watch.files())
            )
        except BaseException:
            watch.close()
            raise
        return watch

    def release(self) -> None:
        """Let the next one in, after SQLite has closed the file. Safe to call twice."""
        if self._file >= 0:
            os.ftruncate(self._file, 0)
            self._let_go()

    def _take(self, lock: Callable[[], None]) -> None:
        """Take a lock, a moment later where somebody only looked whether it is held."""
        try:
            for pause in PAUSES:
                with suppress(BlockingIOError):
                    return lock()
                time.sleep(pause)
            return lock()
        except BlockingIOError:
            raise LockHeld(
                f"{self._what} is in use by a running smabot (pid {lock_holder(self._place)}): stop it, "
                f"or {self._otherwise}"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{self._what}: its file system can't lock files ({error.strerror}): "
                f"{self._otherwise}"
            ) from error

    def _sign(self, *lines: str) -> None:
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, "\n".join((f"{os.getpid()}", *lines, "")).encode(), 0)
        except OSError as error:
            raise ConfigError(
                f"{self._what}: its lock can't be written ({error.strerror}): make room, or "
                f"{self._otherwise}"
            ) from error

    def _let_go(self) -> None:
        if self.file is not None:
            self.file.close()
        os.close(self._file)
        self._file = -1


def is_locked(path: Path) -> bool:
    """Tell whether a process has a file, by either of its locks. It is free again at once if it was."""
    return _is_locked(_beside(path.resolve())) or _is_locked(path)


def is_locked_by_name(path: Path) -> bool:
    """Tell whether a process has a file by this name of it."""
    return _is_locked(_beside(path.resolve()))


def is_displaced(path: Path) -> bool:
    """Tell whether the process that has the lock of a file has other files than lie there now.

    For a moment that is so at each start, and so it is looked at for some moments.
    """
    path = path.resolve()
    for pause in PAUSES:
        if not _is_locked(_beside(path)) or (_is_locked(path) and _lie_there(path)):
            return False
        time.sleep(pause)
    return True


def lock_holder(path: Path) -> str:
    """Return the id of the process that has a file's lock, or ``unknown``."""
    path = path.resolve()
    signed = "".join(_signed(path)[:1])
    return _locked_by(path) or (signed if re.fullmatch("[0-9]{1,10}", signed) else "unknown")


def lock_signature(path: Path) -> tuple[str, float]:
    """Return what the process that has a file's lock has signed it with: its own process id, as it sees it
    itself, and when, in seconds since 1970. Nothing where it has not yet."""
    path = path.resolve()
    try:
        return "".join(_signed(path)[:1]), _beside(path).stat().st_mtime
    except OSError:
        return "", 0.0


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _signed(path: Path) -> list[str]:
    """Return the text of a file's lock, by lines."""
    try:
        return _beside(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _lie_there(path: Path) -> bool:
    """Tell whether the files that the owner has open are those that lie there."""
    for name, *inode in (line.rsplit(" ", 2) for line in _signed(path)[1:]):
        try:
            there = inode_of(path.with_name(name).stat())
        except (OSError, ValueError):  # it is gone, or no name of a file
            return False
        if inode != [str(number) for number in there]:
            return False
    return True


def _is_locked(path: Path) -> bool:
    try:
        handle = FileHandle(path)
    except OSError:
        return False
    try:
        return handle.is_locked()
    finally:
        handle.close()


def _locked_by(path: Path) -> str:
    """Return the process that locked the file itself, where the system tells (Linux)."""
    try:
        device, inode = inode_of(path.stat())
        rows = Path("/proc/locks").read_text("ascii", "replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for row in rows:
        fields = row.split()
        if fields[1] == "FLOCK" and fields[3] == "WRITE" and fields[5] == wanted:
            return fields[4] if int(fields[4]) > 0 else ""
    return ""


def _networked(handle: FileHandle) -> str | None:
    """Return the kind of network file system that a file lies on; None: a local one, or not known."""
    try:
        rows = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    device = f"{os.major(handle.inode[0])}:{os.minor(handle.inode[0])}"
    for row in rows:
        mount, _, source = row.partition(" - ")
        if mount.split()[2] == device and source.split()[0] in NETWORKED:
            return source.split()[0]
    return None
