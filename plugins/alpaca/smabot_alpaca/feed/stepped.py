"""The feed on an exchange whose clock stands still: each minute is asked for, so that a run repeats."""

from __future__ import annotations

from smabot.provider import Batch, BrokerError, Pace
from smabot_alpaca.feed.bar_sync import BarSync
from smabot_alpaca.feed.event_handling import EventHandler, FeedState
from smabot_alpaca.feed.order_sync import OrderSync, Reconnects
from smabot_alpaca.feed.outage import ExchangeOutage
from smabot_alpaca.feed.replay import ReplayClient, ReplayState, is_final
from smabot_alpaca.streams.event_queue import DATA, TRADE, EventQueue
from smabot_alpaca.streams.stream_health import delivery_health

MESSAGES_SECONDS = 2.0
"""How long messages that the exchange has sent may travel."""
RECONNECT_SECONDS = {TRADE: 5.0, DATA: 1.0}
"""The exchange stands still so long for a stream to come back."""


class SteppedFeed:
    """Plays a minute when `next_batch` is called, and waits for all messages that the exchange sent.

    A minute that was played and is not delivered yet stays in ``_played``: after an error it is
    completed, never played again.
    """

    def __init__(
        self,
        state: FeedState,
        events: EventQueue,
        handler: EventHandler,
        streams: Reconnects,
        replay: ReplayClient,
        bars: BarSync,
        orders: OrderSync,
        pace: Pace,
    ) -> None:
        self._state = state
        self._events = events
        self._handler = handler
        self._streams = streams
        self._replay = replay
        self._bars = bars
        self._orders = orders
        self._pace = pace
        self._outage = ExchangeOutage(state)
        self._played: ReplayState | None = None

    def next_batch(self, timeout: float) -> Batch | None:
        state, replay = self._state, self._replay
        self._handler.handle_events(self._state.machine.seconds())
        if (batch := state.batch.take_batch(updates_alone=replay.ended)) is not None:
            return batch
        if replay.ended and self._played is None:
            return None
        if not self._streams_are_back(timeout):
            return self._batch_without_minute()
        if (batch := state.batch.take_batch(updates_alone=replay.ended)) is not None:
            return batch  # what waits for the stream's return leaves before time goes on
        try:
            if state.streams.outage:
                replay.refresh()
                self._outage.note_answer()  # now the streams have a chance, too
                return self._batch_without_minute()
            if self._played is None:
                if not self._pace.wait(timeout):
                    return state.batch.empty_batch()
                self._play_minute()
                if not self._streams_are_back(timeout):
                    # lost with this minute: ask first, then decide
                    return self._batch_without_minute()
            self._bars.fetch_all_missing_bars()
            self._orders.ask_for_all_orders(self._state.machine.seconds())
        except BrokerError as error:
            if is_final(error):
                raise
            self._outage.note_error(error)
            self._events.wait_for_events(min(self._outage.pause(), timeout))
            return self._batch_without_minute()
        self._outage.note_answer()
        self._played = None
        state.batch.minutes += state.assembly.take_minutes(
            self._state.machine.seconds(), all_there=True
        )
        batch = state.batch.take_batch(updates_alone=True)
        return batch if batch is not None or replay.ended else state.batch.empty_batch()

    def _batch_without_minute(self) -> Batch:
        batch = self._state.batch
        return batch.take_batch(updates_alone=False) or batch.empty_batch()

    def _streams_are_back(self, timeout: float) -> bool:
        """Wait for lost streams, so that nothing passes meanwhile; for a while each time, counted
        from when the exchange answers."""
        deadline = self._state.machine.seconds() + timeout
        while True:
            at = self._state.machine.seconds()
            if all(
                status.up
                or at - max(status.since, self._outage.answers_since) >= RECONNECT_SECONDS[name]
                for name, status in self._state.streams.by_name.items()
            ):
                return True
            if at >= deadline:
                return False
            self._events.wait_for_events(deadline - at)
            self._handler.handle_events(self._state.machine.seconds())

    def _play_minute(self) -> None:
        """Play one, and wait until all that was sent on the present connections has come."""
        streams = self._state.streams.by_name
        self._handler.handle_events(self._state.machine.seconds())
        attempts = {name: status.attempts for name, status in streams.items()}
        self._played = played = self._replay.play_minute()
        sent = {DATA: played.bars_sent, TRADE: played.updates_sent}
        deadline = self._state.machine.seconds() + MESSAGES_SECONDS
        while True:
            self._handler.handle_events(self._state.machine.seconds())
            late = {
                name: health.why
                for name, status in streams.items()
                if status.attempts == attempts[name]
                and (health := delivery_health(sent[name], status.messages)).stale
            }
            left = deadline - self._state.machine.seconds()
            if not late or left <= 0:
                break
            self._events.wait_for_events(left)
        for name, why in late.items():
            self._streams.reconnect(name, why)
