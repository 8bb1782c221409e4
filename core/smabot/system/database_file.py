"""Noticing that a database was taken away from the process that writes to it.

What is written to a file that was removed, replaced, cut or written over reaches nobody: no restart
finds it, and no command of an operator comes through. SQLite itself looks at none of this. A look
costs some microseconds: it compares inodes, and what SQLite's index of the write-ahead log says with
what lies on the disk (https://sqlite.org/walformat.html). Where somebody else wrote to the log, which
commands do, the look goes through all of it once.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from smabot.errors import ConfigError
from smabot.system.descriptors import FileHandle, inode_of
from smabot.system.write_ahead_log import FRAME_HEAD, HEAD, is_whole

LOOKS = 3
"""So often an index is read that another process is just writing to."""
MAGIC, WRITE_AHEAD = b"SQLite format 3\0", b"\2\2"
_INDEX = struct.Struct("=I4xIBxHIIII8s8x")
_INDEX_BYTES = 136
_INDEX_VERSION = 3007000


def refuse_other_files(path: Path, shown: str, otherwise: str) -> None:
    """Raise ConfigError for a file with something else in it than a database of SQLite.

    An empty file passes, and one that can't be read: whoever opens it says so.
    """
    try:
        file = FileHandle(path)
    except OSError:
        return
    try:
        begins = os.pread(file.fd, len(MAGIC), 0)
    finally:
        file.close()
    if begins and begins != MAGIC:
        raise ConfigError(
            f"{shown}: it is not a database, or its header is damaged: restore a copy made by "
            f"`smabot db backup`, or {otherwise}"
        )


class _Index(NamedTuple):
    """What the index of a write-ahead log says of it.

    ``frames`` are committed, the last one with ``checksum``; ``salt`` is that of the log since it
    was started over; ``folded`` tells how much of it was copied into the database, or began to be.
    """

    page: int
    frames: int
    checksum: bytes
    salt: bytes
    folded: bytes


class DatabaseWatch:
    """Looks after one database in write-ahead mode, with its log and the log's index."""

    def __init__(self, named: Path, file: FileHandle) -> None:
        """Begin when SQLite has the file open; ``file`` was opened before. Raises OSError."""
        self._path = path = named.resolve()
        self._named = named.absolute()
        self._log_path = path.with_name(path.name + "-wal")
        self._index_path = path.with_name(path.name + "-shm")
        self.file = file
        self._log = FileHandle(self._log_path)
        try:
            self._index = FileHandle(self._index_path)
        except BaseException:
            self._log.close()
            raise
        self._looks = (
            (os.fspath(self._named), file.inode, ""),
            (
                os.fspath(self._log_path),
                self._log.inode,
                f": its write-ahead log {self._log_path.name}",
            ),
            (os.fspath(self._index_path), self._index.inode, f": its file {self._index_path.name}"),
        )
        self._written = _written(os.fstat(file.fd))
        self._seen = self._read_index()
        self._good: tuple[object, ...] = ()
        self._known: tuple[int, int] | None = None
        """The log as it was when all that was written to it was known to be intact."""

    def files(self) -> list[tuple[Path, tuple[int, int]]]:
        """Return where the files lie, with their inodes."""
        return [
            (self._path, self.file.inode),
            (self._log_path, self._log.inode),
            (self._index_path, self._index.inode),
        ]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Take what is written to the log meanwhile, unless it fails, for this process's own."""
        before = _written(os.fstat(self._log.fd))
        yield
        if before == self._known:
            self._known = _written(os.fstat(self._log.fd))

    def trouble(self) -> str:
        """Return what was done to the files, to be put behind the name of the database; else nothing."""
        found = []
        for path, inode, name in self._looks:
            try:
                there = os.stat(path)  # noqa: PTH116 - several times as fast
            except (FileNotFoundError, NotADirectoryError):
                return f"{name} was removed or moved"
            except OSError as error:
                return f"{name} can't be reached any more ({error.strerror})"
            if inode_of(there) != inode:
                return f"{name} was replaced by another file"
            found.append(there)
        file, log, _ = found
        raw = os.pread(self._index.fd, _INDEX_BYTES, 0)
        if (look := (raw, _written(log), _written(file))) == self._good:
            return ""
        if trouble := self._content_trouble(file, log):
            return trouble
        self._good = look
        return ""

    def _content_trouble(self, file: os.stat_result, log: os.stat_result) -> str:
        for _ in range(LOOKS):
            index = self._read_index()
            if index is None:
                return ""
            trouble = self._log_trouble(index, log) or self._file_trouble(index, file)
            if not trouble:
                self._written, self._known, self._seen = _written(file), _written(log), index
                return ""
            if self._read_index() == index:
                break
        return trouble

    def close(self) -> None:
        """Look no more. To be called when SQLite has closed the file."""
        self._log.close()
        self._index.close()

    def _read_index(self) -> _Index | None:
        """Return what the index says; None while another process writes it, or SQLite has to write it again."""
        raw = os.pread(self._index.fd, _INDEX_BYTES, 0)
        if len(raw) < _INDEX_BYTES or raw[:48] != raw[48:96]:
            return None
        version, _, ready, page, frames, _, first, second, salt = _INDEX.unpack_from(raw)
        if version != _INDEX_VERSION or not ready:
            return None
        size = (page & 0xFE00) | ((page & 1) << 16)
        folded = salt + raw[96:100] + raw[128:132]
        return _Index(size, frames, struct.pack(">II", first, second), salt, folded)

    def _log_trouble(self, index: _Index, log: os.stat_result) -> str:
        if not index.frames:
            return ""
        name = f": its write-ahead log {self._log_path.name}"
        end = HEAD + index.frames * (FRAME_HEAD + index.page)
        if log.st_size < end:
            return f"{name} was truncated"
        head = os.pread(self._log.fd, HEAD, 0)
        last = os.pread(self._log.fd, FRAME_HEAD, end - FRAME_HEAD - index.page)
        intact = head[16:24] == index.salt and last[8:] == index.salt + index.checksum
        if intact and _written(log) != self._known:
            intact = is_whole(self._log.fd, index.page, index.frames, index.salt)
        if not intact:
            return f"{name} was overwritten"
        return ""

    def _file_trouble(self, index: _Index, file: os.stat_result) -> str:
        """SQLite writes to the file itself only when it folds the log in, and tells so before."""
        if _written(file) == self._written:
            return ""
        head = os.pread(self.file.fd, 20, 0)
        intact = head[:16] == MAGIC and head[18:] == WRITE_AHEAD
        if intact and (self._seen is None or index.folded != self._seen.folded):
            return ""
        return " was truncated" if file.st_size < self._written[1] else " was overwritten"


def _written(found: os.stat_result) -> tuple[int, int]:
    """Return what changes with every writing."""
    return found.st_mtime_ns, found.st_size
