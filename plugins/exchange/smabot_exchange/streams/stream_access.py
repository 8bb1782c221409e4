"""What the streams need of their server: whose key is good, and what a key may listen to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.streams.broadcast import Broadcast

FEEDS = ("iex", "sip", "delayed_sip", "test")


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """``feeds`` are those that the keys may listen to, ``symbols`` how many symbols on the data stream
    (None: any number), ``auth_seconds`` how long a stream waits for a client's key."""

    feeds: tuple[str, ...] = FEEDS
    symbols: int | None = None
    auth_seconds: float = 10.0


class StreamServer(Protocol):
    """The server of the streams, as a conversation with one client sees it."""

    @property
    def broadcast(self) -> Broadcast: ...

    @property
    def as_seen(self) -> AsSeen: ...

    @property
    def stream_limits(self) -> StreamLimits: ...

    def accepts_key(self, key_id: str, secret: str, path: str) -> bool:
        """Whether a stream's client may come in with this key, at this path."""
        ...
