"""What held at a time in the past: halts, trips, lost streams, missing prices, by the events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from smabot.cli.records.record_filters import Span, rows_within
from smabot.domain.bot_records import Event
from smabot.domain.event_order import ENDS, OWN_TIME, causal_order

OF_A_PROCESS = frozenset({"stream_lost", "key_refused", "account_blocked", "no_price"})
"""Those that end with their process: the next start finds out anew."""


def read_conditions(
    rows: Any, time: datetime, starts: Iterable[datetime], day_began: datetime
) -> list[Event]:
    """Read the events that had begun something that held at a time, oldest first."""
    started = sorted(start for start in starts if start <= time)
    begins = {"limit_reached": day_began}
    if started:
        begins |= dict.fromkeys(OF_A_PROCESS, started[-1])
    until = time + OWN_TIME
    found: list[Event] = []
    for kind, ends in ENDS.items():
        where = {"kind": (kind, *ends)}
        found += rows_within(rows, Event, "time", Span(begins.get(kind), until), where=where)
    return conditions_at(found, time, started, day_began)


def conditions_at(
    events: Iterable[Event], time: datetime, starts: Iterable[datetime], day_began: datetime
) -> list[Event]:
    """Return the events that had begun something that held at a time, oldest first.

    ``starts`` are the times of the starts. A loss limit counts from ``day_began`` on, as it ends with
    its trading date.
    """
    begun: dict[tuple[str, str], Event] = {}
    started = list(starts)
    for event in sorted(events, key=causal_order):
        if event.time > time + OWN_TIME:
            break
        if event.kind in ENDS:
            begun[event.kind, event.subject] = event
        for kind, ends in ENDS.items():
            if event.kind in ends:
                begun.pop((kind, event.subject), None)
    return [
        event
        for (kind, _), event in sorted(begun.items(), key=lambda item: item[1].time)
        if not (kind in OF_A_PROCESS and any(event.time < start <= time for start in started))
        and not (kind == "limit_reached" and event.time < day_began)
    ]
