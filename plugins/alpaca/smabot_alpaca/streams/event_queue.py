"""The event queue: how other threads reach the deciding thread, in the order in which things came.

The streams' thread puts what its streams bring and what becomes of them, background requests put
their results; the deciding thread alone takes events. Nothing else is shared between them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smabot.provider import Bar, OrderUpdate, SmabotError
from smabot_alpaca.machine import REAL, Machine

DATA, TRADE = "market data", "order updates"


@dataclass(frozen=True, slots=True)
class BarsReceived:
    """Bars of the data stream. ``at``: when, by `Machine.seconds`; ``unreadable``: those left out, by
    symbol and with what is wrong; ``counted``: the minute bars on the wire, those left out too."""

    bars: list[Bar]
    revisions: list[Bar]
    at: float
    unreadable: Sequence[tuple[str, str]] = ()
    counted: int = 0


@dataclass(frozen=True, slots=True)
class UpdateReceived:
    """An update of the trade stream."""

    update: OrderUpdate


@dataclass(frozen=True, slots=True)
class BarsDropped:
    """Bars of the data stream were not taken."""

    count: int
    why: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A new connection of a stream is made; what is sent counts from here."""

    stream: str


@dataclass(frozen=True, slots=True)
class StreamUp:
    """A stream is connected, authenticated and subscribed."""

    stream: str


@dataclass(frozen=True, slots=True)
class StreamDown:
    """A stream was lost, or could not be had; ``key_refused``: because it refuses the key."""

    stream: str
    why: str
    key_refused: bool = False


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """A stream has ended for good."""

    stream: str
    error: SmabotError


@dataclass(frozen=True, slots=True)
class RequestDone:
    """A background request is done; the deciding thread calls ``finish``, which takes its result in."""

    finish: Callable[[], None]


QueuedEvent = (
    BarsReceived
    | BarsDropped
    | UpdateReceived
    | StreamOpened
    | StreamUp
    | StreamDown
    | StreamFailed
    | RequestDone
)


class EventQueue:
    """A queue that can be waited for without taking from it. Any thread puts, one thread takes."""

    def __init__(self, machine: Machine = REAL) -> None:
        self._events: deque[QueuedEvent] = deque()
        self._changed = machine.condition()

    def put(self, event: QueuedEvent) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def wait_for_events(self, timeout: float) -> bool:
        """Wait until there are events, at most ``timeout`` seconds; return whether there are."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._events), timeout)

    def drain(self) -> list[QueuedEvent]:
        """Take all events."""
        with self._changed:
            events = list(self._events)
            self._events.clear()
            return events
