"""Counts what does not depend on how busy a machine is: calls, SQL instructions, memory."""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

GRAIN = 100
"""SQLite reports after so many instructions of its virtual machine; a scan of a table shows in them."""


class SqlWork:
    """Instructions that SQLite carried out for each file, in units of `GRAIN`."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def watch_connections(self) -> None:
        """Count for each connection that this process opens from now on."""
        connect = sqlite3.connect

        def counted(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(database, *args, **options)
            name = Path(str(database).partition("?")[0].removeprefix("file:")).name

            def note() -> None:
                self.done[name] = self.done.get(name, 0) + 1

            connection.set_progress_handler(note, GRAIN)
            return connection

        sqlite3.connect = counted  # type: ignore[assignment]

    @property
    def total(self) -> int:
        return sum(self.done.values()) * GRAIN


class Calls:
    """Calls of Python functions and of built-in ones, of all threads, while `begin` has begun."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self) -> None:
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def end(self) -> int:
        sys.setprofile(None)
        threading.setprofile(None)
        return self.count

    def _note(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            self.count += 1


def memory_of(pid: int | str = "self") -> tuple[int, int]:
    """Return a process's resident and proportional memory in KiB; zeros where /proc is not there."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    sizes = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return int(sizes["Rss"].split()[0]), int(sizes["Pss"].split()[0])


def size_of(path: Path) -> int:
    """Return a file's size in bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
