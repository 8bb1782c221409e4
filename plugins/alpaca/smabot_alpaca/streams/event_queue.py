"""What the streams' thread leaves for the deciding thread, in the order in which it came."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smabot.provider import Bar, OrderUpdate, SmabotError

DATA, TRADE = "market data", "order updates"


@dataclass(frozen=True, slots=True)
class BarsReceived:
    """Bars of the data stream. ``at``: when, by `time.monotonic`; ``odd``: those left out, by symbol
    and with what is wrong."""

    bars: list[Bar]
    revisions: list[Bar]
    at: float
    odd: Sequence[tuple[str, str]] = ()


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
class StreamUp:
    """A stream is connected, authenticated and subscribed."""

    stream: str


@dataclass(frozen=True, slots=True)
class StreamDown:
    """A stream was lost, or could not be had; ``key_refused``: because it does not take the key."""

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
    """Work beside the deciding thread is done; ``then`` takes its result in."""

    then: Callable[[], None]


QueuedEvent = (
    BarsReceived | BarsDropped | UpdateReceived | StreamUp | StreamDown | StreamFailed | RequestDone
)


@dataclass(slots=True)
class Link:
    """The state of one stream, as its thread sees it. Counts are of its newest connection."""

    up: bool = False
    tries: int = 0
    """How often it came up, went down, or was refused."""
    messages: int = 0
    """Minute bars, or trade updates, that have come."""


@dataclass(slots=True)
class EventQueue:
    """Events and the streams' states. Safe to use from several threads."""

    links: dict[str, Link] = field(default_factory=lambda: {DATA: Link(), TRADE: Link()})
    _events: deque[QueuedEvent] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, event: QueuedEvent, *, messages: int = 0) -> None:
        """Leave an event; ``messages`` of its stream came with it."""
        with self._changed:
            self._events.append(event)
            match event:
                case BarsReceived():
                    self.links[DATA].messages += messages
                case UpdateReceived():
                    self.links[TRADE].messages += messages
                case StreamUp(stream):
                    link = self.links[stream]
                    link.up = True
                    link.tries += 1
                case StreamDown(stream) | StreamFailed(stream):
                    link = self.links[stream]
                    link.up = False
                    link.tries += 1
            self._changed.notify_all()

    def connecting(self, stream: str) -> None:
        """A new connection is made: its messages count from nought."""
        with self._changed:
            self.links[stream].messages = 0

    def wait(self, ready: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``ready``, at most ``timeout`` seconds; tell whether it is. It is called at every
        change, and must be quick."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not ready():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def wait_for_events(self, timeout: float) -> bool:
        return self.wait(lambda: bool(self._events), timeout)

    def drain(self) -> list[QueuedEvent]:
        """Take all events."""
        with self._changed:
            events = list(self._events)
            self._events.clear()
            return events
