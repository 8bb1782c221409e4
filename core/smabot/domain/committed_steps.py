"""Steps as they were committed, to be told to others: `after_commit` gets each of them at least once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from smabot.domain.bot_records import Event, Run, StepRow
from smabot.domain.closed_sessions import ClosedSession
from smabot.domain.frozen_classes import frozen
from smabot.domain.records import Fill, Order, Signal

TOLD_UNTIL = "after_commit"
"""The key in ``bot_state`` of the newest step that a plugin, or a receiver of it, was told of."""
MOST_BEHIND = 10_000
"""A plugin that is further behind misses the oldest steps."""


@frozen
class CommittedStep:
    """What was committed at once. ``number`` counts the steps of a database from 1: the key by which one
    that comes again is known.

    Rows are as they were committed. ``runs`` has a run that began (``ended_at`` is None) or ended, and
    ``died`` is the run before, where it did not end by itself. ``closed`` is a session that has closed; its
    step has nothing else. ``again``: it may have been told before, by a process that has ended.
    """

    number: int
    events: tuple[Event, ...] = ()
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    signals: tuple[Signal, ...] = ()
    runs: tuple[Run, ...] = ()
    died: Run | None = None
    closed: ClosedSession | None = None
    again: bool = False


TOLD: dict[type, str] = {
    Event: "events", Order: "orders", Fill: "fills", Signal: "signals", Run: "runs",
}  # fmt: skip
"""The kinds of rows that are told, and where a step has them."""


def step_of(number: int, rows: Iterable[Any], died: Run | None = None) -> CommittedStep | None:
    """Return the step of some rows; None where none of them is told."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        if (place := TOLD.get(type(row))) is not None:
            found.setdefault(place, []).append(row)
    if not found:
        return None
    told: dict[str, Any] = {place: tuple(some) for place, some in found.items()}
    return CommittedStep(number, died=died, **told)


def stored(step: CommittedStep, at: datetime) -> StepRow:
    """Return a step as it is kept."""
    return StepRow(step.number, at, msgspec.json.encode(step).decode())


def read_step(row: StepRow) -> CommittedStep:
    """Return a step as it was kept. Raises ValueError where it can't be read."""
    return msgspec.json.decode(row.content, type=CommittedStep)
