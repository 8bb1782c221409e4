"""The feed where time goes by itself: at Alpaca, and on an exchange with a paced clock."""

from __future__ import annotations

from smabot.provider import Batch, BrokerError
from smabot_alpaca.clock import last_closed
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.bar_sync import BarSync
from smabot_alpaca.feed.event_handling import EventHandler, FeedState
from smabot_alpaca.feed.order_sync import OrderSync
from smabot_alpaca.feed.outage import ExchangeOutage
from smabot_alpaca.feed.replay import ReplayClient, ReplayState, is_final
from smabot_alpaca.streams.event_queue import EventQueue

LONGEST_WAIT = 0.25
"""Seconds between looks at what is due."""
LAST_ORDERS_SECONDS = 10.0
"""How long REST may take to answer about the last orders when the replay has ended."""


class LiveFeed:
    """Returns what has come, and has REST asked for what has not."""

    def __init__(
        self,
        state: FeedState,
        events: EventQueue,
        handler: EventHandler,
        bars: BarSync,
        orders: OrderSync,
        replay_end: ReplayEnd | None,
    ) -> None:
        """``replay_end`` is given on an exchange with a paced clock."""
        self._state = state
        self._events = events
        self._handler = handler
        self._bars = bars
        self._orders = orders
        self._replay_end = replay_end

    def next_batch(self, timeout: float) -> Batch | None:
        deadline = self._state.machine.seconds() + timeout
        assembly, batches = self._state.assembly, self._state.batch
        while True:
            self._handler.handle_events(self._state.machine.seconds())
            at = self._state.machine.seconds()
            self._bars.ask_for_missing_bars(at)
            self._orders.ask_for_overdue_orders(at)
            batches.minutes += assembly.take_minutes(at)
            if (batch := batches.take_batch(updates_alone=True)) is not None:
                return batch
            if self._replay_end is not None and self._replay_end.is_reached(at):
                return None
            ready_at = assembly.ready_at()
            wake = min(deadline, at + LONGEST_WAIT, deadline if ready_at is None else ready_at)
            if at >= deadline:
                return batches.empty_batch()
            self._events.wait_for_events(max(wake - at, 0.001))


class ReplayEnd:
    """Notices that a paced exchange's replay has ended, and all of it has come. Used by the deciding
    thread alone."""

    def __init__(
        self,
        state: FeedState,
        replay: ReplayClient,
        orders: OrderSync,
        requests: BackgroundRequests,
    ) -> None:
        self._state = state
        self._replay = replay
        self._orders = orders
        self._requests = requests
        self._outage = ExchangeOutage(state)
        self._asked_at = 0.0
        self._ended_at = 0.0

    def is_reached(self, at: float) -> bool:
        """Whether it is; asks the exchange for its time where the streams are silent."""
        if self._replay.ended:
            self._ended_at = self._ended_at or at
            now, assembly = self._state.clock.now(), self._state.assembly
            assembly.expect_until(now)  # the end may be known before the last minute's bars
            if (
                assembly.missing_bars(last_closed(now)) is not None
                or assembly.ready_at() is not None
            ):
                return False
            patient = at - self._ended_at < LAST_ORDERS_SECONDS
            return self._orders.confirm_last_orders(at, self._ended_at) or not patient
        if at - max(self._state.streams.heard_at, self._asked_at) >= LONGEST_WAIT:
            self._asked_at = at
            self._requests.run("time", self._replay.query, self._finish)
        return False

    def _finish(self, result: ReplayState | BrokerError) -> None:
        if not isinstance(result, BrokerError):
            self._replay.note_state(result)
            self._outage.note_answer()
        elif is_final(result):
            raise result
        else:
            self._outage.note_error(result)
