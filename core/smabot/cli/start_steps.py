"""What each start did, as its row of `runs` keeps it: its steps, decoded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smabot.domain.bot_records import Run


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes that came too late to decide on: the starts of the first and of the last, UTC."""

    first: datetime
    last: datetime
    run: Run

    def has(self, minute: datetime) -> bool:
        return self.first <= minute <= self.last


def read_steps(run: Run) -> list[Mapping[str, Any]]:
    """Return a run's steps; none of one that did not get through its start."""
    try:
        steps = json.loads(run.steps or "[]")
    except (RecursionError, ValueError):
        return []
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def found_by(run: Run, name: str) -> str:
    """Return what a step of a start found, in words; empty where there was no such step."""
    return next((str(s.get("found", "")) for s in read_steps(run) if s.get("step") == name), "")


def gaps(runs: Iterable[Run]) -> list[Gap]:
    """Return the minutes that starts found too old to decide on, as they found them."""
    found = []
    for run in runs:
        for step in read_steps(run):
            bounds = step.get("too_old")
            if isinstance(bounds, list) and len(bounds) == 2:
                first, last = (_read_time(bound) for bound in bounds)
                if first is not None and last is not None:
                    found.append(Gap(first, last, run))
    return found


def queried_orders(run: Run) -> list[str]:
    """Return the ids of the orders whose status a start queried: no answer had been committed."""
    listed = (step.get("queried") for step in read_steps(run))
    return [str(name) for names in listed if isinstance(names, list) for name in names]


def _read_time(value: object) -> datetime | None:
    """Return a time of a step; None where it is none."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return None if time.tzinfo is None else time
