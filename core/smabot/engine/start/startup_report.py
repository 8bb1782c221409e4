"""What a start did: its steps with their times, and notes for the operator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter


@dataclass(frozen=True, slots=True)
class StartupStep:
    """One step of the startup: its name, what it found, and how long it took."""

    name: str
    found: str
    milliseconds: float


@dataclass(slots=True)
class StartupReport:
    """Collects steps and notes; ``show`` gets each step when it is done."""

    show: Callable[[StartupStep], None] = lambda step: None
    steps: list[StartupStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    market_time: datetime | None = None
    """The feed's time, UTC, when the bot began to follow the market; None before."""

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step; what is appended to the list is what it found."""
        found: list[str] = []
        begun = perf_counter()
        yield found
        done = StartupStep(name, "; ".join(found), (perf_counter() - begun) * 1000)
        self.steps.append(done)
        self.show(done)

    def steps_json(self) -> str:
        """The steps as JSON, for the ``runs`` table; the last one has the market's time, too."""
        steps: list[dict[str, str | float]] = [
            {"step": s.name, "found": s.found, "ms": round(s.milliseconds, 1)} for s in self.steps
        ]
        if steps and self.market_time is not None:
            steps[-1]["market_time"] = self.market_time.isoformat().replace("+00:00", "Z")
        return json.dumps(steps)
