"""What a schedule's actions change: the market, the line, and what is wanted of the bot's next steps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.actors import Wants
from smabot.testing.simulation.databases import Database
from smabot.testing.simulation.deliveries import Deliveries
from smabot.testing.simulation.life import Lives
from smabot.testing.simulation.outside_changes import OutsideChanges
from smabot.testing.simulation.points import Points
from smabot.testing.simulation.schedule import Schedule
from smabot.testing.simulation.schedule_result import Result
from smabot.testing.simulation.socket_line import SocketLine
from smabot.testing.simulation.timeline import Timeline
from smabot.testing.simulation.wire import Wire

RECENT = timedelta(minutes=5)
"""A fault that struck so lately may still have to do with a kill."""
TRACED = 400


@dataclass
class Plan:
    """What is wanted of the bot's processes."""

    wants: Wants = field(default_factory=dict)
    down_for: int = 0
    """Minutes for which the next process waits to begin."""
    stop_wanted: bool = False
    asleep: int = 0
    """Minutes for which the process stands still."""
    kills_in_starts: list[tuple[str, int]] = field(default_factory=list)
    commit_faults: list[str] = field(default_factory=list)
    """What befalls the next commits."""
    wall_ahead: timedelta = timedelta(0)
    """How far the wall clock is ahead of the market's."""


class RunNotes:
    """What has happened so far, for the result and for whoever reads the trace of a violation."""

    def __init__(self, schedule: Schedule, timeline: Timeline) -> None:
        self.result = Result(schedule)
        self._timeline = timeline
        self._recent: dict[str, datetime] = {}

    def trace(self, text: str) -> None:
        """Note what happened."""
        self.result.trace.append(f"{self._timeline.now:%Y-%m-%d %H:%M:%S} UTC {text}")
        del self.result.trace[:-TRACED]

    def struck(self, fault: str) -> None:
        """Note that a fault has struck."""
        self.result.faults[fault] += 1
        self._recent[fault] = self._timeline.now
        self.trace(f"fault: {fault}")

    def lately(self, prefix: str = "") -> list[str]:
        """Return the faults that struck lately and begin so."""
        since = self._timeline.now - RECENT
        recent = self._recent.items()
        return [fault for fault, time in recent if time >= since and fault.startswith(prefix)]

    @property
    def happened(self) -> int:
        """How many kills, faults and conflicts that somebody caused there have been."""
        return len(self.result.kills) + self.result.faults.total() + self.result.accepted


class WorldState:
    """All of it. ``lives`` is set by the world, which lets the market go."""

    lives: Lives

    def __init__(
        self,
        schedule: Schedule,
        exchange: SimulatedExchange,
        database: Database,
        on_kill: Callable[[str], None],
        *,
        served: bool,
    ) -> None:
        """``served``: whether broker and feed are a plugin's own, on a line of requests and streams."""
        self.schedule = schedule
        self.exchange = exchange
        self.database = database
        self.chance = random.Random(schedule.seed)  # noqa: S311 - it must come again
        self.timeline = Timeline(exchange.now)
        self.notes = RunNotes(schedule, self.timeline)
        self.points = Points(on_kill, self._note_failure)
        self.wire = Wire(self.timeline, exchange, self.points, self.chance)
        self.deliveries: Deliveries | SocketLine = (
            SocketLine(self.timeline, self.chance)
            if served
            else Deliveries(self.timeline, self.chance, schedule.far)
        )
        self.wire.struck = self.deliveries.struck = self.notes.struck
        self.plan = Plan()
        self.outside_changes = OutsideChanges()

    @property
    def now(self) -> datetime:
        return self.timeline.now

    def wall(self) -> datetime:
        """Return the time of the wall clock."""
        return self.timeline.now + self.plan.wall_ahead

    def _note_failure(self, boundary: str) -> None:
        self.notes.struck(f"plugin fails in {boundary.removeprefix('before ')}")
