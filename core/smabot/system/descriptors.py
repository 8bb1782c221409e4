"""Descriptors of files that SQLite has open in the same process.

A process that closes any descriptor of a file loses the locks that its SQLite connections have on it
(POSIX advisory locks belong to the process). So whoever opens such a file keeps a `FileHandle` of it from
before SQLite opens it until after, and nobody opens it in another way.
"""

from __future__ import annotations

import fcntl
import os
from collections import defaultdict
from pathlib import Path
from threading import Lock

_FOR_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_turn = Lock()
_users: dict[tuple[int, int], int] = defaultdict(int)
_idle: dict[tuple[int, int], list[int]] = defaultdict(list)


class FileHandle:
    """A descriptor for reading a file and for its lock by `flock`, which other descriptors don't share.

    Its descriptor is closed with the last handle of the same file in this process.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that is there. Raises OSError."""
        with _turn:
            idle = _idle.get(inode_of(path.stat()))
            self.fd = idle.pop() if idle else os.open(path, _FOR_READING)
            self.inode = inode_of(os.fstat(self.fd))
            _users[self.inode] += 1

    def lock(self) -> None:
        """Lock the file against all other handles. Raises BlockingIOError when one has it, OSError."""
        fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_locked(self) -> bool:
        """Tell whether another handle has locked the file, of this process or another."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Give up the lock and the descriptor. Safe to call twice."""
        with _turn:
            if self.fd < 0:
                return
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            _idle[self.inode].append(self.fd)
            self.fd = -1
            _users[self.inode] -= 1
            if not _users[self.inode]:
                del _users[self.inode]
                for fd in _idle.pop(self.inode):
                    os.close(fd)


def inode_of(found: os.stat_result) -> tuple[int, int]:
    """Return what tells a file from every other one while somebody has it open."""
    return found.st_dev, found.st_ino
