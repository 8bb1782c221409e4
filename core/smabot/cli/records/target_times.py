"""When a strategy's target became what it is: at its bar's end, or at the operator's `flatten`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.records import SignalState
from smabot.engine.execution.flattening import FLATTEN


def flattens_of(events: Iterable[Event], symbol: str) -> list[Event]:
    """Return the operator's `flatten` commands that concern a symbol, in the order of the events."""
    return [e for e in events if e.kind == "flatten" and e.subject in ("", symbol)]


def read_flattens(rows: Any, states: Iterable[SignalState]) -> Sequence[Event]:
    """Return the `flatten` commands, oldest first; none where no target is of one."""
    if all(state.last_signal != FLATTEN for state in states):
        return ()
    found: list[Event] = rows.rows(Event, where={"kind": "flatten"}, newest_by="time")
    return found


def target_time(state: SignalState, flattens: Iterable[Event]) -> datetime:
    """Return when a target was set. ``flattens`` are `flatten` commands, oldest first.

    A `flatten` keeps the last bar before it, which ended earlier than the command came.
    """
    bar_end = state.bar_time + MINUTE
    if state.last_signal != FLATTEN:
        return bar_end
    own = (e.time for e in flattens_of(flattens, state.symbol) if e.time >= bar_end)
    return next(own, bar_end)
