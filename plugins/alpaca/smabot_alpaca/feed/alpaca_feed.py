"""Alpaca as core's feed: bars and order updates of two streams, with REST behind them.

This is what core sees. What is asked for is in `stepped`, what goes by itself in `live`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, Protocol

from smabot.provider import Bar, Batch, BrokerError, Calendar, Mark, Pace, Progress
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.clock import last_closed
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.bar_sync import BarSync, BarSyncLimits
from smabot_alpaca.feed.delivered_bars import DeliveredBars
from smabot_alpaca.feed.event_handling import EventHandler, FeedState
from smabot_alpaca.feed.live import LiveFeed, ReplayEnd
from smabot_alpaca.feed.minute_assembly import MinuteAssembly
from smabot_alpaca.feed.order_sync import OrderSync
from smabot_alpaca.feed.replay import ReplayClient
from smabot_alpaca.feed.stepped import SteppedFeed
from smabot_alpaca.feed.stream_status import StreamStatuses
from smabot_alpaca.rest import assets
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.rest.latest_prices import latest_prices
from smabot_alpaca.rest.order_queries import OrderQueries
from smabot_alpaca.streams import alpaca_py
from smabot_alpaca.streams.event_queue import DATA, TRADE, EventQueue
from smabot_alpaca.streams.supervision import StreamSupervisor, SupervisedStream
from smabot_alpaca.streams.websockets import DataStream, TradeStream

SUBSCRIBE_SECONDS = 5.0
LOOPBACK_GATHER, LOOPBACK_SETTLE, LOOPBACK_PATIENCE = 0.01, 0.05, 0.5


class FeedSource(Protocol):
    """Where batches come from once the feed is subscribed."""

    def next_batch(self, timeout: float) -> Batch | None: ...


class AlpacaFeed:
    """Bars and order updates of Alpaca, or of an exchange with an Alpaca-compatible API."""

    def __init__(self, connection: AlpacaConnection, speed: Literal["max"] | float = "max") -> None:
        """``speed``: minutes a second that a stepped exchange is asked for."""
        self._connection = connection
        self._clock, self._machine = connection.clock, connection.machine
        self._pace = Pace(None if speed == "max" else speed)
        self._events = EventQueue(self._machine)
        self._requests = BackgroundRequests(
            self._events, inline=connection.stepped, machine=self._machine
        )
        self._delivered = DeliveredBars()
        self._replay: ReplayClient | None = None
        self.notes: tuple[str, ...] = ()
        """What an operator should know of the exchange, a line each."""
        if connection.exchange is not None:
            self._replay = ReplayClient(connection.rest, self._clock, connection.exchange)
            self.notes = tuple(connection.exchange.get("notes", ()))
        self._history: BarHistory | None = None
        self._streams: StreamSupervisor | None = None
        self._source: FeedSource | None = None
        connection.add_user(self)

    # -- before the start --------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._clock.now()

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        loopback = self._replay is not None
        place = "the exchange" if loopback else "Alpaca"
        return assets.check_symbols(self._connection.rest, symbols, place, all_of_them=loopback)

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        now, past = self.now(), self._bar_history()
        minutes = past.newest(symbols, bars, now) if since is None else past.since(symbols, since, now)  # fmt: skip
        for minute in minutes:
            self._delivered.add_minute(minute)
            yield minute
        covered = last_closed(now - timedelta(seconds=self._settle_seconds))
        self._delivered.mark_covered(symbols, covered)

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        connection = self._connection
        return latest_prices(connection.rest, connection.settings.feed, symbols, self.now())

    def catch_up(self, time: datetime) -> None:
        """Play the minutes of a stepped exchange that end by a time, delivering nothing."""
        if self._replay is not None and self._connection.stepped:
            while self.now() < time and not self._replay.ended:
                self._replay.play_minute()

    def subscribe(self, symbols: Collection[str]) -> None:
        """Connect both streams, without symbols only that of order updates; they may also be refused
        for now. Raises ConfigError, BrokerError."""
        state = self._new_state(symbols)
        handler = EventHandler(
            self._events, self._connection.order_answers, state, wall_clock=self._replay is None
        )
        alpaca_py.streams()
        self._streams = StreamSupervisor(self._new_streams(symbols), self._machine)
        self._source = self._new_source(state, handler, self._streams)
        if self._replay is not None:
            with suppress(BrokerError):
                self._replay.refresh()  # the streams will not bring what happened up to now
        self._streams.start()
        deadline = self._machine.seconds() + SUBSCRIBE_SECONDS
        while not all(status.attempts for status in state.streams.by_name.values()):
            left = deadline - self._machine.seconds()
            if left <= 0:
                break
            self._events.wait_for_events(left)
            handler.handle_events(self._machine.seconds())

    # -- while it runs -----------------------------------------------------------------------------

    def next(self, timeout: float) -> Batch | None:
        """Return the next events; see `smabot.provider.Feed.next`.

        Raises BrokerError when a stream refuses the key for good.
        """
        assert self._source is not None
        return self._source.next_batch(timeout)

    def progress(self) -> Progress | None:
        """Return how far a stepped replay has come."""
        if self._replay is not None and self._connection.stepped:
            return self._replay.progress
        return None

    def close(self) -> None:
        if self._streams is not None:
            self._streams.close()
        self._requests.close()
        self._connection.remove_user(self)

    # -- its parts ---------------------------------------------------------------------------------

    def _new_state(self, symbols: Collection[str]) -> FeedState:
        delivered = self._delivered
        settings = self._connection.settings
        assembly = MinuteAssembly(
            symbols,
            self._calendar(),
            settings.gather_seconds if self._replay is None else LOOPBACK_GATHER,
            delivered.covered_until(symbols, otherwise=last_closed(self.now())),
            delivered.newest,
            delivered.recent,
        )
        names = (DATA, TRADE) if symbols else (TRADE,)
        streams = StreamStatuses(names, self._machine.seconds())
        return FeedState(self._clock, assembly, streams, self._machine)

    def _new_streams(self, symbols: Collection[str]) -> list[SupervisedStream]:
        places, address = self._connection.endpoints, self._connection.stream_address
        streams: list[SupervisedStream] = [
            TradeStream(self._events, address(places.trading_stream), self._machine)
        ]
        if symbols:
            decoder = BarDecoder(self._calendar())
            streams.append(
                DataStream(
                    self._events, address(places.data_stream), list(symbols), decoder, self._machine
                )
            )
        return streams

    def _new_source(
        self, state: FeedState, handler: EventHandler, streams: StreamSupervisor
    ) -> FeedSource:
        connection, events, requests, replay = (
            self._connection, self._events, self._requests, self._replay,
        )  # fmt: skip
        settings = connection.settings
        limits = BarSyncLimits(self._settle_seconds, settings.mute_minutes)
        patience = settings.silent_order_seconds if replay is None else LOOPBACK_PATIENCE
        queries = OrderQueries(
            connection.rest, connection.order_answers, by_minutes=connection.by_minutes
        )
        bars = BarSync(state, streams, self._bar_history(), requests, limits)
        orders = OrderSync(state, streams, queries, requests, patience)
        if replay is None:
            return LiveFeed(state, events, handler, bars, orders, None)
        if not connection.stepped:
            end = ReplayEnd(state, replay, orders, requests)
            return LiveFeed(state, events, handler, bars, orders, end)
        return SteppedFeed(state, events, handler, streams, replay, bars, orders, self._pace)

    @property
    def _settle_seconds(self) -> float:
        """Seconds after which REST surely has a minute's bars."""
        if self._replay is None:
            return self._connection.settings.missing_bars_seconds
        return 0.0 if self._connection.stepped else LOOPBACK_SETTLE

    def _calendar(self) -> Calendar:
        known = self._connection.calendar
        return known if known.sessions else self._connection.refresh_calendar()

    def _bar_history(self) -> BarHistory:
        if self._history is None:
            feed = self._connection.settings.feed
            self._history = BarHistory(self._connection.rest.data, self._calendar(), feed)
        return self._history
