"""How a bot is, by its health file, its lock and, where it is gone, its row of ``runs``.

| lock | file | then |
|---|---|---|
| free | of a run that has ended | dead: how it ended; also while the holder still closes its files |
| free | of another | dead: killed |
| held | new enough | alive: what is wrong by `reasons_of` |
| held | of the holder, and too old | dead: its deciding thread hangs |
| held | of another process | a start opens the database, for `START_PATIENCE`; then dead: a command has it |

The file's age is that of the machine's monotonic clock, so that a clock that is set changes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smabot.cli.run_outcome import OUTCOMES
from smabot.domain.bot_health import DEAD, DEGRADED, OK, STARTING, Health, read_health, reasons_of
from smabot.domain.bot_health import ENDED as HAS_ENDED
from smabot.system.lock import is_locked, lock_holder, lock_signature
from smabot.system.new_database import health_file

MAX_AGE = timedelta(seconds=30)
START_PATIENCE = timedelta(minutes=2)
"""How long a step of a start may take: it may wait for a network, or fetch the bars of days."""
EXIT_CODES = {OK: 0, DEGRADED: 1, DEAD: 2}


@dataclass(frozen=True, slots=True)
class BotHealth:
    """``state``: ok, degraded or dead, and the reasons. ``age``: of the newest health, where it is known."""

    state: str
    reasons: tuple[str, ...]
    health: Health | None = None
    age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What lies there at one moment."""

    locked: bool
    signed: tuple[str, float]
    health: Health | None
    written: float
    """When the file was written, in seconds since 1970."""

    @property
    def has_ended(self) -> bool:
        return self.health is not None and self.health.phase == HAS_ENDED

    @property
    def names_holder(self) -> bool:
        """Whether the file is of a process that may have signed the lock; a lock whose file was removed
        says nothing."""
        return self.health is not None and self.signed[0] in ("", f"{self.health.pid}")

    @property
    def is_holders(self) -> bool:
        """Whether the holder of the lock wrote the file: the one before may have had the same process id.

        A lock that is signed later than now was signed before the clock was set back: times say nothing then.
        """
        signed = self.signed[1]
        return self.names_holder and (self.written >= signed or signed > time.time())


def bot_health(
    database: Path,
    max_age: timedelta,
    max_bar_age: timedelta,
    last_end: Callable[[Health | None], str],
    now: Callable[[], float] = time.monotonic,
) -> BotHealth:
    """Return how the bot of a database is. Raises OSError where its file can't be read.

    ``last_end`` returns how the last run ended, by ``runs``; it is asked where the file does not say it.
    ``now``: the clock of `Health.monotonic`.
    """
    seen = _look(database)
    health = seen.health
    age = timedelta(seconds=now() - health.monotonic) if health is not None else None
    if not seen.locked or (seen.is_holders and seen.has_ended):
        return BotHealth(DEAD, (_how_it_ended(health, last_end),), health, age)
    pid = lock_holder(database)
    if health is None or age is None or not _is_alive(seen, age, max_age):
        return _without_health(seen, pid)
    patience = max(max_age, START_PATIENCE) if health.phase == STARTING else max_age
    if age > patience:
        why = f"pid {pid} hangs: its deciding thread has not come around for {_span(age)}"
        return BotHealth(DEAD, (f"{why} ({health.phase})",), health, age)
    reasons = reasons_of(health, max_bar_age)
    return BotHealth(DEGRADED if reasons else OK, reasons, health, age)


def _look(database: Path) -> _Seen:
    """Look at the lock and the file, again where a run begins or ends just now."""
    file, locked = health_file(database), is_locked(database)
    for _ in range(3):
        health, written = _read(file)
        seen = _Seen(locked, lock_signature(database), health, written)
        locked = is_locked(database)
        if locked == seen.locked:
            break
    return seen


def _read(file: Path) -> tuple[Health | None, float]:
    """Return a file's health, None where it holds none, and when it was written. Raises OSError."""
    try:
        with file.open("rb") as opened:
            return read_health(opened.read()), os.fstat(opened.fileno()).st_mtime
    except (FileNotFoundError, ValueError):  # a power cut may leave an empty one
        return None, 0.0


def _is_alive(seen: _Seen, age: timedelta, max_age: timedelta) -> bool:
    """Whether the file is that of the process with the lock, which has not ended."""
    health = seen.health
    if health is None or seen.has_ended:
        return False
    fresh = timedelta() <= age <= max_age and seen.names_holder
    return fresh or seen.is_holders


def _without_health(seen: _Seen, pid: str) -> BotHealth:
    """Return what can be said of a process that has the lock and states no health."""
    held = timedelta(seconds=time.time() - seen.signed[1])
    if held < START_PATIENCE:
        why = f"pid {pid} opens the database: a start, or another command"
        return BotHealth(DEGRADED, (why,))
    return BotHealth(DEAD, (f"no bot runs: pid {pid} has the database for {_span(held)}",))


def _how_it_ended(health: Health | None, last_end: Callable[[Health | None], str]) -> str:
    if health is not None and health.phase == HAS_ENDED:
        end = f"at {health.time:%Y-%m-%d %H:%M} UTC with exit code {health.exit_code}"
        return (
            f"no bot runs: the last one ended {end}: {OUTCOMES.get(health.outcome, health.outcome)}"
        )
    return f"no bot runs: {last_end(health)}"


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"
