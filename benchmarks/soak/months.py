"""What a month of a soak took, and what was left behind at its end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.soak.counting import memory_of, size_of
from benchmarks.soak.place import Place

COMMANDS = {
    "status": ("status",),
    "health": ("health",),
    "events": ("events",),
    "pnl": ("pnl", "--by", "month"),
    "explain": ("explain", "SPY"),
    "orders": ("orders",),
    "runs": ("runs",),
}
"""Commands whose work is counted at the end of each month, by their name in tables."""
STOPPED = 2
"""The exit code of ``smabot health`` while no bot runs."""


@dataclass
class Work:
    """What a start or a command took: CPU seconds, calls of functions, SQL instructions, and KiB at its end."""

    seconds: float
    calls: int
    sql: int
    rss: int


@dataclass
class Month:
    """Figures of one month. Memory in KiB, sizes in bytes, steps in CPU microseconds."""

    sessions: int
    minutes: int = 0
    kills: int = 0
    starts: list[float] = field(default_factory=list)
    """CPU seconds from exec to ready of each life."""
    steps: list[int] = field(default_factory=list)
    sql: int = 0
    """SQL instructions of all steps, of both files where the exchange is in the bot's process."""
    rss: int = 0
    pss: int = 0
    """The largest at a session's end."""
    memory: list[int] = field(default_factory=list)
    """RSS at each session's end."""
    exchange_rss: int = 0
    wal: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    start: Work | None = None
    commands: dict[str, Work] = field(default_factory=dict)

    def note_session(self, told: dict[str, Any]) -> None:
        """Add what a life tells at a session's end."""
        self.steps += told["steps"]
        self.sql += told["sql"]
        self.memory.append(told["rss"])
        self.rss, self.pss = max(self.rss, told["rss"]), max(self.pss, told["pss"])
        self.wal = max(self.wal, told["wal"])

    def note_end(self, place: Place, until: str) -> None:
        """Measure what is left: sizes, rows, and the work of a start and of commands that read it."""
        if place.served:
            self.exchange_rss, _ = memory_of(place.served)
        for path in (place.db, place.ledger):
            self.sizes[path.name] = size_of(path)
            self.rows |= row_counts(path)
        self.start = counted(place, "run", "--until", until)
        for name, arguments in COMMANDS.items():
            self.commands[name] = counted(place, *arguments)

    @property
    def step_median(self) -> float:
        return median(self.steps) if self.steps else 0.0

    @property
    def step_p99(self) -> float:
        return sorted(self.steps)[len(self.steps) * 99 // 100] if self.steps else 0.0

    @property
    def sql_a_step(self) -> float:
        return self.sql / max(len(self.steps), 1)

    @property
    def start_seconds(self) -> float:
        return median(self.starts) if self.starts else 0.0


def counted(place: Place, *arguments: str) -> Work:
    """Return the work of a command; of a run, until it is ready."""
    child = place.child(arguments, count=True)
    told: dict[str, Any] = {}
    for said in child:
        if "ready" in said or "done" in said:
            told = said
    child.end((0, STOPPED) if arguments[0] == "health" else (0,))
    return Work(told.get("ready", told.get("done", 0.0)), told["calls"], told["sql"], told["rss"])


def row_counts(path: Path) -> dict[str, int]:
    """Return the number of rows of each table of a database."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        tables = [
            name
            for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        return {
            f"{path.stem}.{name}": db.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
            for name in tables
        }
