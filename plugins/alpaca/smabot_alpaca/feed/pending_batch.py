"""What has come, from whichever side, until it leaves as a batch. Used by the deciding thread alone."""

from __future__ import annotations

from collections import deque

from smabot.provider import Bar, Batch, Event, OrderUpdate
from smabot_alpaca.clock import MarketClock
from smabot_alpaca.feed.minute_assembly import MinuteAssembly
from smabot_alpaca.feed.stream_status import StreamStatuses


class PendingBatch:
    """Gives batches out: a resync before anything else, updates before bars, a minute at a time."""

    def __init__(
        self, clock: MarketClock, assembly: MinuteAssembly, streams: StreamStatuses
    ) -> None:
        self.updates: list[OrderUpdate] = []
        self.minutes: deque[list[Bar]] = deque()
        self.events: list[Event] = []
        """What an operator should know."""
        self._clock = clock
        self._assembly = assembly
        self._streams = streams
        self._resync = False
        self._degraded_before = ""

    def request_resync(self) -> None:
        """Let the next batch ask for a comparison with the broker."""
        self._resync = True

    def take_batch(self, *, updates_alone: bool) -> Batch | None:
        """Return what has to be delivered, or None; ``updates_alone``: also where no bars are ready."""
        now, degraded = self._clock.now(), self._streams.degraded
        revisions = tuple(self._assembly.revisions)
        bars: tuple[Bar, ...] = ()
        if self.minutes and not self._resync:
            bars = tuple(self.minutes.popleft())
        news = updates_alone and (self.updates or revisions or self.events)
        if not (self._resync or bars or news or degraded != self._degraded_before):
            return None
        batch = Batch(
            bars[0].end if bars else now, tuple(self.updates), bars, self._resync, degraded,
            revisions, self._streams.key_refused, tuple(self.events),
        )  # fmt: skip
        self.updates.clear()
        self.events.clear()
        self._assembly.revisions.clear()
        self._resync, self._degraded_before = False, degraded
        return batch

    def empty_batch(self) -> Batch:
        self._degraded_before = self._streams.degraded
        return Batch(
            self._clock.now(), doubt=self._degraded_before, refused=self._streams.key_refused
        )
