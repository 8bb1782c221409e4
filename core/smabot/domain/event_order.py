"""The times of events: related ones follow each other, where the feed's clock stands still too.

The table's key is time, kind and subject. Without a time of its own a second halt of a minute would take
the place of the first, and would seem to come before the `resume` between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from smabot.domain.bot_records import Event
from smabot.domain.frozen_classes import replace

ENDS: Mapping[str, tuple[str, ...]] = {
    "halt": ("resume",),
    "breaker_tripped": ("breaker_reset",),
    "limit_reached": (),
    "stream_lost": ("stream_back",),
    "key_refused": ("key_accepted",),
    "account_blocked": ("account_unblocked",),
    "no_price": ("price_again",),
}
"""Kinds of events that begin something, and the kinds that end it."""
OF_COMMANDS = frozenset({"breaker_reset", "command_expired", "flatten", "halt", "resume"})
"""Kinds that commands lead to, whatever their subjects. Each stays, also where two say the same."""
NEWEST_ONLY = frozenset({"bad_bar"})
"""Kinds of which one row a subject and time is enough: a backfill may have thousands."""
OWN_TIME = timedelta(milliseconds=1)
"""How much later than what it is about an event's time may be, to be its own."""

_INSTANT = timedelta(microseconds=1)
_FAMILIES = (
    *(frozenset({begin, *ends}) for begin, ends in ENDS.items()),
    frozenset({"order_unanswered", "order_answered"}),
    OF_COMMANDS,
)
_ALL_ENDS = frozenset(kind for ends in ENDS.values() for kind in ends)

FindEvents = Callable[[Collection[str], datetime], Iterable[Event]]
"""Returns the committed events of some kinds from a time on."""


class EventTimes:
    """Gives each event its time: a microsecond after the last related one, where that is not earlier."""

    def __init__(self) -> None:
        self.find: FindEvents = lambda kinds, since: ()
        self._new: list[Event] = []

    def placed(self, event: Event) -> Event | None:
        """Return an event as it is to be committed; None: it repeats the last one."""
        if event.kind in NEWEST_ONLY:
            return event
        kinds = related_kinds(event.kind)
        committed = self.find(tuple(sorted(kinds)), event.time)
        new = (each for each in self._new if each.kind in kinds and each.time >= event.time)
        related = [each for each in (*committed, *new) if _about_one_thing(each, event)]
        if len(kinds) == 1:  # others of its kind matter at its own time only
            related = [each for each in related if each.time < event.time + OWN_TIME]
        last = max(related, key=lambda each: each.time, default=None)
        if last is not None:
            if event.kind not in OF_COMMANDS and replace(event, time=last.time) == last:
                return None
            event = replace(event, time=last.time + _INSTANT)
        self._new.append(event)
        return event

    def committed(self) -> None:
        """Forget the step's events: from now on they are found."""
        self._new.clear()


def related_kinds(kind: str) -> frozenset[str]:
    """Return the kinds whose order in time matters to one; itself is among them."""
    return frozenset({kind}).union(*(family for family in _FAMILIES if kind in family))


def causal_order(event: Event) -> tuple[datetime, int]:
    """Return a sorting key: at one time, what begins something comes before what ends it."""
    return event.time, 0 if event.kind in ENDS else 2 if event.kind in _ALL_ENDS else 1


def _about_one_thing(one: Event, other: Event) -> bool:
    return one.subject == other.subject or {one.kind, other.kind} <= OF_COMMANDS
