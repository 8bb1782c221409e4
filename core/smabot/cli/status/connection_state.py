"""Whether the running bot gets order updates and may trade: its newest events say so, since when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

LOST_BY = {"streams": "stream_lost", "key": "key_refused", "account": "account_blocked"}
"""The kinds of events that begin a state in which entries are paused, by what is lost."""


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """``up`` since a time of the market; where not, ``why``. ``since_start``: as long as the run."""

    up: bool
    since: datetime
    since_start: bool
    why: str = ""


def connection_states(rows: Any, started: datetime) -> dict[str, ConnectionState]:
    """Return the state of ``streams``, and of ``key`` and ``account`` where they are refused.

    ``started``: the market's time when the run began to follow it; earlier events are another run's.
    """
    states = {name: _state(rows, kind, started) for name, kind in LOST_BY.items()}
    return {name: state for name, state in states.items() if name == "streams" or not state.up}


def _state(rows: Any, lost_by: str, started: datetime) -> ConnectionState:
    from smabot.domain.bot_records import Event
    from smabot.domain.event_order import ENDS

    kinds = (lost_by, *ENDS[lost_by])
    newest = rows.rows(
        Event, where={"kind": kinds}, since=("time", started), newest_by="time", limit=2
    )
    if not newest:
        return ConnectionState(True, started, True)
    last = newest[-1]
    lost = last.kind == lost_by
    return ConnectionState(not lost, last.time, False, last.text if lost else "")
