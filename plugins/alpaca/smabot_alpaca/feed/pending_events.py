"""What has come, from whichever side, until it leaves as a batch. Used by the deciding thread alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from loguru import logger

from smabot.provider import Bar, Batch, Event, OrderUpdate
from smabot_alpaca.clock import EPOCH, MarketClock, minute_of
from smabot_alpaca.feed.minute_assembly import MinuteAssembly
from smabot_alpaca.feed.order_stream_check import OrderTracker
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsDropped,
    BarsReceived,
    EventQueue,
    RequestDone,
    StreamDown,
    StreamFailed,
    StreamUp,
    UpdateReceived,
)

LATE, EARLY = timedelta(seconds=45), timedelta(seconds=5)
"""So far from its minute's end a bar of the stream comes only where this machine's clock is wrong."""


@dataclass(slots=True)
class Standing:
    """A stream as the deciding thread knows it."""

    up: bool = False
    why: str = "not connected yet"
    key_refused: bool = False
    since: float = 0.0
    """When it came up or went down, in seconds; a failed attempt changes nothing."""
    up_at: datetime = EPOCH
    """When it came up, on the feed's clock."""


class Intake:
    """Takes events in and gives batches out: a resync before anything else, updates before bars."""

    def __init__(
        self,
        clock: MarketClock,
        inbox: EventQueue,
        gather: MinuteAssembly,
        at: float,
        *,
        wall: bool = True,
    ) -> None:
        """``wall``: whether the clock is this machine's, and not told by what comes."""
        self.gather = gather
        self.watch = OrderTracker()
        self.streams = {DATA: Standing(since=at), TRADE: Standing(since=at)}
        self.updates: list[OrderUpdate] = []
        self.minutes: deque[list[Bar]] = deque()
        self.outage = ""
        """Why requests are in vain, where they are."""
        self.events: list[Event] = []
        """What an operator should know; whoever takes it clears it."""
        self.backfill = False
        """Whether the data stream came up: bars may have been missed meanwhile."""
        self.mute_minutes = 0
        """Minutes that came by REST though the data stream is up, since its last bar."""
        self.streamed = EPOCH
        """End of the newest minute of which the data stream brought a bar."""
        self.heard_at = at
        """When a stream last said something, in seconds."""
        self._clock = clock
        self._inbox = inbox
        self._resync = False
        self._told_doubt = ""
        self._mind_clock = wall

    @property
    def doubt(self) -> str:
        """Why order updates may be missing, or an empty string."""
        trade = self.streams[TRADE]
        if not trade.up:
            return f"no updates of orders come: {trade.why}"
        return self.outage

    @property
    def refused(self) -> str:
        """Why a stream does not take the key, or an empty string."""
        for name, stream in self.streams.items():
            if stream.key_refused:
                return f"by the stream of {name}: {stream.why}"
        return ""

    def resync(self) -> None:
        """Let the broker be asked what it knows: something says that it has to be."""
        self._resync = True

    def absorb(self, at: float) -> None:
        """Take in all events. Raises the error of a stream that has ended for good."""
        for event in self._inbox.drain():
            match event:
                case BarsReceived(bars, revisions, came, odd):
                    self.heard_at = at
                    for symbol, why in odd:
                        self.events.append(Event(self._clock.now(), "bad_bar", symbol, why))
                    if bars:
                        self.mute_minutes = 0
                        end = max(bars[0].end, bars[-1].end)
                        if self._mind_clock:
                            self._compare(end, at - came)
                        self.streamed = max(self.streamed, end)
                        self._clock.tell(end)
                    self.gather.add(bars, came)
                    self.gather.revise(revisions, came)
                case BarsDropped(count, why):
                    self._drop(count, why)
                case UpdateReceived(update):
                    self.heard_at = at
                    self._clock.tell(update.time)
                    self.watch.heard(update, at)
                    self.updates.append(update)
                case StreamUp(stream):
                    self._up(stream, at)
                case StreamDown(stream, why, key_refused):
                    standing = self.streams[stream]
                    standing.why, standing.key_refused = why, key_refused
                    if standing.up:
                        standing.up, standing.since = False, at
                case StreamFailed(_, error):
                    raise error
                case RequestDone(then):
                    then()

    def batch(self, *, updates_alone: bool) -> Batch | None:
        """Return what has to be told, or None; ``updates_alone``: also where no bars are ready."""
        now, doubt = self._clock.now(), self.doubt
        revisions = tuple(self.gather.revisions)
        bars: tuple[Bar, ...] = ()
        if self.minutes and not self._resync:
            bars = tuple(self.minutes.popleft())
        told = updates_alone and (self.updates or revisions or self.events)
        if not (self._resync or bars or told or doubt != self._told_doubt):
            return None
        batch = Batch(
            bars[0].end if bars else now, tuple(self.updates), bars, self._resync, doubt, revisions,
            self.refused, tuple(self.events),
        )  # fmt: skip
        self.updates.clear()
        self.events.clear()
        self.gather.revisions.clear()
        self._resync, self._told_doubt = False, doubt
        return batch

    def _drop(self, count: int, why: str) -> None:
        """Tell of dropped bars, once a minute and reason at most: that is an event's key."""
        minute = minute_of(self._clock.now())
        text = f"{count} bars of the data stream were dropped: {why}"
        self.events.append(Event(minute, "dropped_bars", why, text, grave=True))

    def nothing(self) -> Batch:
        """Return an empty batch."""
        self._told_doubt = self.doubt
        return Batch(self._clock.now(), doubt=self._told_doubt, refused=self.refused)

    def _compare(self, end: datetime, lain: float) -> None:
        """Tell once where bars come at a time at which they can't: old ones are not decided on.

        ``lain``: seconds since they came.
        """
        late = self._clock.now() - timedelta(seconds=lain) - end
        if -EARLY <= late <= LATE:
            return
        self._mind_clock = False
        side = "after" if late > LATE else "before"
        logger.warning(
            "alpaca: a bar came {:.0f} s {} its minute's end by this machine's clock: set it by NTP, "
            "bars older than max_bar_age_minutes are not decided on",
            abs(late.total_seconds()), side,
        )  # fmt: skip

    def _up(self, stream: str, at: float) -> None:
        now = self._clock.now()
        self.streams[stream] = Standing(True, "", since=at, up_at=now)
        self._resync = True
        if stream == DATA:
            self.backfill, self.mute_minutes = True, 0
        else:
            self.watch.trust(now)
