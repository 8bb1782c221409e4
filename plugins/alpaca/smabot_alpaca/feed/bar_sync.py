"""REST sync of bars: asks for what the data stream did not bring, and reconnects it when stale.

The stream is a hint, REST is the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from loguru import logger

from smabot.provider import MINUTE, Bar, BrokerError, KeyRefused
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.clock import EPOCH, last_closed
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.event_handling import FeedState
from smabot_alpaca.feed.minute_assembly import MissingBars
from smabot_alpaca.feed.order_sync import Reconnects
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.streams.event_queue import DATA
from smabot_alpaca.streams.stream_health import data_stream_health

HOLD_SECONDS = 10.0
"""Bars of the stream wait so long at most for those that were missed before them."""
SECOND_REQUEST_SECONDS = 7.0
"""While the data stream is down REST is asked so long afterwards for what it did not have at first: it
makes bars 2 to 3 s after the minute (https://forum.alpaca.markets/t/get-most-recent-bars/12024)."""


@dataclass(frozen=True, slots=True)
class BarSyncLimits:
    """``settle_seconds``: after them REST surely has a minute. ``stale_minutes``: so many that came by
    REST alone make the data stream stale."""

    settle_seconds: float
    stale_minutes: int


class BarSync:
    """Fetches missing bars. Used by the deciding thread alone."""

    def __init__(
        self,
        state: FeedState,
        streams: Reconnects,
        history: BarHistory,
        requests: BackgroundRequests,
        limits: BarSyncLimits,
    ) -> None:
        self._state = state
        self._streams = streams
        self._history = history
        self._requests = requests
        self._limits = limits
        self._retry = _Retry(state.machine.draw)
        self._held_since: float | None = None
        self._skip_logged = False
        self._second_request: tuple[MissingBars, float] | None = None
        self._newest_ended = (EPOCH, 0.0)  # the newest minute, and when that was noticed

    def ask_for_missing_bars(self, at: float) -> None:
        """Ask for what is due at ``at`` seconds."""
        assembly, now = self._state.assembly, self._state.clock.now()
        assembly.expect_until(now)
        until, held = self._settled_until(now, at), assembly.held_minute
        if held is None:
            self._held_since = None
        else:
            until = max(until, held - MINUTE)
            self._release_held(held, at)
        backfill = self._state.streams.backfill_due
        missing = assembly.missing_bars(last_closed(now) if backfill else until)
        if missing is None:
            self._state.streams.backfill_due = False
        elif self._retry.is_due(at):
            self._requests.run(
                "bars", self._fetch(missing), lambda r: self._finish(r, missing, until)
            )
        if self._second_request is not None and at >= self._second_request[1]:
            again, self._second_request = self._second_request[0], None
            self._requests.run("bars again", self._fetch(again), self._finish_second)

    def fetch_all_missing_bars(self) -> None:
        """Fetch at once all bars that have not come. For requests that are made inline.

        Raises BrokerError.
        """
        assembly, now = self._state.assembly, self._state.clock.now()
        last = last_closed(now)
        assembly.expect_until(now)
        if (missing := assembly.missing_bars(last)) is not None:
            self._take_bars(self._fetch(missing)(), last)
        assembly.mark_checked(last)
        self._state.streams.backfill_due = False

    def _release_held(self, held: datetime, at: float) -> None:
        """Hold bars back no longer than is good for the strategies."""
        if self._held_since is None:
            self._held_since = at
        elif at - self._held_since >= HOLD_SECONDS:
            if not self._skip_logged:
                self._skip_logged = True
                logger.warning("alpaca: going on without bars from before {:%H:%M}Z", held)
            self._state.assembly.mark_checked(held - MINUTE)

    def _settled_until(self, now: datetime, at: float) -> datetime:
        """Return the newest minute that REST surely has."""
        last = last_closed(now)
        if last != self._newest_ended[0]:
            self._newest_ended = (last, at)
        settled = at - self._newest_ended[1] >= self._limits.settle_seconds
        return last if settled else last - MINUTE

    def _fetch(self, missing: MissingBars) -> Callable[[], list[Bar]]:
        return lambda: self._history.between(missing.symbols, missing.first, missing.last)

    def _finish(
        self, result: list[Bar] | BrokerError, missing: MissingBars, until: datetime
    ) -> None:
        at = self._state.machine.seconds()
        if not isinstance(result, BrokerError):
            self._skip_logged = False
            if not self._state.streams.is_up(DATA) and len(result) < missing.most:
                self._second_request = (missing, at + SECOND_REQUEST_SECONDS)
            self._retry.note_success()
            self._take_bars(result, until)
        elif self._retry.note_failure(result, at) and isinstance(result, KeyRefused):
            self._state.batch.request_resync()

    def _finish_second(self, result: list[Bar] | BrokerError) -> None:
        if not isinstance(result, BrokerError):
            assembly = self._state.assembly
            assembly.add_bars(
                [b for b in result if assembly.lacks_bar(b)], self._state.machine.seconds()
            )

    def _take_bars(self, bars: list[Bar], until: datetime) -> None:
        streams = self._state.streams
        self._state.assembly.add_bars(bars, self._state.machine.seconds())
        self._state.assembly.mark_checked(until)
        streams.backfill_due = False
        streams.data_seen = streams.data_seen.after_rest(bar.time for bar in bars)
        health = data_stream_health(streams.data_seen, self._limits.stale_minutes)
        if health.stale:
            streams.data_seen = streams.data_seen.after_reconnect()
            self._streams.reconnect(DATA, health.why)


class _Retry:
    """Pauses between requests that fail, and one log line for all of them."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self._backoff = Backoff(0.5, draw=draw)
        self._not_before = 0.0
        self._failing = False

    def is_due(self, at: float) -> bool:
        return at >= self._not_before

    def note_success(self) -> None:
        if self._failing:
            self._failing = False
            logger.info("alpaca: bars come by REST again")
        self._backoff.reset()

    def note_failure(self, error: BrokerError, at: float) -> bool:
        """Return whether it is the first one."""
        self._not_before = at + self._backoff.pause()
        first, self._failing = not self._failing, True
        if first:
            logger.warning("alpaca: missing bars can't be fetched: {}; trying again", error)
        return first
