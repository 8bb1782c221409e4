"""Takes events from the queue into what the deciding thread knows. Used by the deciding thread alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from smabot.provider import Event, OrderUpdate
from smabot_alpaca.clock import MarketClock, minute_of
from smabot_alpaca.feed.clock_check import ClockCheck
from smabot_alpaca.feed.minute_assembly import MinuteAssembly
from smabot_alpaca.feed.order_tracker import OrderTracker
from smabot_alpaca.feed.pending_batch import PendingBatch
from smabot_alpaca.feed.stream_status import StreamStatuses
from smabot_alpaca.machine import REAL, Machine
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsDropped,
    BarsReceived,
    EventQueue,
    RequestDone,
    StreamDown,
    StreamFailed,
    StreamOpened,
    StreamUp,
    UpdateReceived,
)


@dataclass(slots=True)
class FeedState:
    """What the deciding thread knows, and alone reads and writes."""

    clock: MarketClock
    assembly: MinuteAssembly
    streams: StreamStatuses
    machine: Machine = REAL
    orders: OrderTracker = field(default_factory=OrderTracker)
    batch: PendingBatch = field(init=False)

    def __post_init__(self) -> None:
        self.batch = PendingBatch(self.clock, self.assembly, self.streams)


class EventHandler:
    """Empties both queues that lead to the deciding thread: of events, and of REST's answers about
    orders."""

    def __init__(
        self,
        events: EventQueue,
        answers: deque[OrderUpdate],
        state: FeedState,
        *,
        wall_clock: bool = True,
    ) -> None:
        """``wall_clock``: whether the feed's clock is this machine's."""
        self._events = events
        self._answers = answers
        self._state = state
        self._clock_check = ClockCheck(enabled=wall_clock)

    def handle_events(self, at: float) -> None:
        """Take in all that has come. Raises the error of a stream that has ended for good."""
        while self._answers:
            self._state.orders.note_answer(self._answers.popleft(), at)
        for event in self._events.drain():
            match event:
                case BarsReceived():
                    self._bars_received(event, at)
                case BarsDropped(count, why):
                    self._bars_dropped(count, why)
                case UpdateReceived(update):
                    self._update_received(update, at)
                case StreamOpened(stream):
                    self._state.streams.by_name[stream].messages = 0
                case StreamUp(stream):
                    self._stream_up(stream, at)
                case StreamDown():
                    self._stream_down(event, at)
                case StreamFailed(_, error):
                    raise error
                case RequestDone(finish):
                    finish()

    def _bars_received(self, event: BarsReceived, at: float) -> None:
        state = self._state
        clock, streams = state.clock, state.streams
        streams.heard_at = at
        streams.by_name[DATA].messages += event.counted
        for symbol, why in event.unreadable:
            state.batch.events.append(Event(clock.now(), "bad_bar", symbol, why))
        if bars := event.bars:
            end = max(bars[0].end, bars[-1].end)
            self._clock_check.compare(end, clock.now() - timedelta(seconds=at - event.at))
            streams.data_seen = streams.data_seen.after_bars(end)
            clock.advance_to(end)
        state.assembly.add_bars(bars, event.at)
        state.assembly.revise_bars(event.revisions, event.at)

    def _bars_dropped(self, count: int, why: str) -> None:
        """Report dropped bars, once a minute and reason at most: that is an event's key."""
        minute = minute_of(self._state.clock.now())
        text = f"{count} bars of the data stream were dropped: {why}"
        self._state.batch.events.append(Event(minute, "dropped_bars", why, text, grave=True))

    def _update_received(self, update: OrderUpdate, at: float) -> None:
        state = self._state
        state.streams.heard_at = at
        state.streams.by_name[TRADE].messages += 1
        state.clock.advance_to(update.time)
        state.orders.note_update(update, at)
        state.batch.updates.append(update)

    def _stream_up(self, stream: str, at: float) -> None:
        state, now = self._state, self._state.clock.now()
        status = state.streams.by_name[stream]
        status.up, status.why, status.key_refused, status.since = True, "", False, at
        status.attempts += 1
        state.batch.request_resync()
        if stream == DATA:
            state.streams.backfill_due = True
            state.streams.data_seen = state.streams.data_seen.after_up(now)
        else:
            state.orders.start_over(now)

    def _stream_down(self, event: StreamDown, at: float) -> None:
        streams = self._state.streams
        status = streams.by_name[event.stream]
        status.why, status.key_refused = event.why, event.key_refused
        status.attempts += 1
        if event.stream == DATA:
            streams.data_seen = streams.data_seen.after_down()
        if status.up:
            status.up, status.since = False, at
