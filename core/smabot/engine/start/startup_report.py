"""What a start did: its steps with their times, and notes for the operator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any


@dataclass(frozen=True, slots=True)
class StartupStep:
    """One step of the startup: its name, what it found, and how long it took.

    ``facts`` are for programs: texts, numbers and lists of them, kept with the run.
    """

    name: str
    found: str
    milliseconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)


class Findings(list[str]):
    """What a step found, in words; ``facts`` for programs."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[str, Any] = {}


@dataclass(slots=True)
class StartupReport:
    """Collects steps and notes; ``show`` gets each step when it is done."""

    show: Callable[[StartupStep], None] = lambda step: None
    steps: list[StartupStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Findings]:
        """Time a step; what is appended to the list is what it found."""
        found = Findings()
        begun = perf_counter()
        yield found
        done = StartupStep(name, "; ".join(found), (perf_counter() - begun) * 1000, found.facts)
        self.steps.append(done)
        self.show(done)

    def steps_json(self) -> str:
        """The steps as JSON, for the ``runs`` table."""
        return json.dumps(
            [
                {"step": s.name, "found": s.found, "ms": round(s.milliseconds, 1), **s.facts}
                for s in self.steps
            ]
        )
