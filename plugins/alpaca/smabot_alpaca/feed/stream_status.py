"""The streams as the deciding thread knows them, by the events that it has taken from the queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smabot_alpaca.streams.event_queue import TRADE
from smabot_alpaca.streams.stream_health import DataStreamSeen


@dataclass(slots=True)
class StreamStatus:
    """One stream. ``since``: when it came up or went down, in seconds; a failed attempt changes nothing."""

    up: bool = False
    why: str = "not connected yet"
    key_refused: bool = False
    since: float = 0.0
    attempts: int = 0
    """How often it came up, went down, or was refused."""
    messages: int = 0
    """Minute bars, or trade updates, that its newest connection brought."""


class StreamStatuses:
    """All streams of the feed, and why entries have to wait for them."""

    def __init__(self, names: Iterable[str], at: float) -> None:
        self.by_name = {name: StreamStatus(since=at) for name in names}
        self.data_seen = DataStreamSeen()
        self.outage = ""
        """Why requests are in vain, where they are."""
        self.backfill_due = False
        """Whether the data stream came up: bars may have been missed meanwhile."""
        self.heard_at = at
        """When a stream last brought something, in seconds."""

    def is_up(self, name: str) -> bool:
        status = self.by_name.get(name)
        return status is not None and status.up

    @property
    def degraded(self) -> str:
        """Why order updates may be missing, or an empty string."""
        trade = self.by_name[TRADE]
        if not trade.up:
            return f"no updates of orders come: {trade.why}"
        return self.outage

    @property
    def key_refused(self) -> str:
        """Why a stream refuses the key, or an empty string."""
        for name, status in self.by_name.items():
            if status.key_refused:
                return f"by the stream of {name}: {status.why}"
        return ""
