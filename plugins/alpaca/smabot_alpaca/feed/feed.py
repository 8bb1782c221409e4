"""Alpaca as core's feed: bars and order updates of two streams, with REST behind them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from loguru import logger

from smabot.provider import Bar, Batch, BrokerError, Calendar, KeyRefused, Mark, Pace, Progress
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.clock import last_closed
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.minute_assembly import REMEMBERED, MinuteAssembly
from smabot_alpaca.feed.pending_events import Intake
from smabot_alpaca.feed.replay import ReplayClient, ReplayState
from smabot_alpaca.feed.rest_sync import Sweep
from smabot_alpaca.rest import assets
from smabot_alpaca.rest import latest_prices as latest
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.rest.client import RequestRefused
from smabot_alpaca.streams import alpaca_py as library
from smabot_alpaca.streams.event_queue import DATA, TRADE, EventQueue
from smabot_alpaca.streams.supervision import StreamSupervisor, SupervisedStream
from smabot_alpaca.streams.websockets import DataStream, TradeStream

SUBSCRIBE_SECONDS = 5.0
LAST_LOOK_SECONDS = 10.0
"""How long REST may take to tell of the last orders when the tape is over."""
LONGEST_WAIT = 0.25
"""Seconds between looks at what is due."""
MESSAGES_SECONDS = 2.0
"""How long messages that a stepped exchange has sent may travel."""
RECONNECT_SECONDS = {TRADE: 5.0, DATA: 1.0}
"""A stepped exchange stands still so long for a stream to come back."""
FOR_GOOD = (401, 403, 409, 410)
"""Refusals by the exchange itself that asking again does not change: its key, that it plays by itself, or that
it has stopped."""
LOOPBACK_GATHER, LOOPBACK_SETTLE, LOOPBACK_PATIENCE = 0.01, 0.05, 0.5


class AlpacaFeed:
    """Bars and order updates of Alpaca, or of an exchange that speaks its language.

    A stepped exchange plays a minute when `next` is called, and says how much it has sent, so that a
    run gives the same every time. Else time goes by itself, and `next` returns what has come.
    """

    def __init__(self, connection: AlpacaConnection, speed: Literal["max"] | float = "max") -> None:
        """``speed``: minutes a second that a stepped exchange is asked for."""
        self._connection = connection
        self._clock = connection.clock
        self._inbox = EventQueue()
        self._errands = BackgroundRequests(self._inbox, inline=connection.stepped)
        self._pace = Pace(None if speed == "max" else speed)
        self._player: ReplayClient | None = None
        self.notes: tuple[str, ...] = ()
        """What a person should know of the exchange, a line each."""
        if connection.exchange is not None:
            self._player = ReplayClient(connection.rest, self._clock, connection.exchange)
            self.notes = tuple(connection.exchange.get("notes", ()))
        self._seen: dict[str, datetime] = {}
        self._recent: dict[datetime, dict[str, Bar]] = {}
        self._covered: dict[str, datetime] = {}
        self._streams: StreamSupervisor | None = None
        self._played: ReplayState | None = None
        self._lost = Backoff(0.1, 2.0)
        self._answers_since = 0.0
        self._looked_at = 0.0
        self._ended_at = 0.0
        self._past: BarHistory | None = None
        connection.join(self)
        self._broker = AlpacaBroker(connection)

    # -- before the start --------------------------------------------------------------------------

    def now(self) -> datetime:
        return self._clock.now()

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        place = "Alpaca" if self._player is None else "the exchange"
        return assets.check(
            self._connection.rest, symbols, place, all_of_them=self._player is not None
        )

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        now, past = self.now(), self._history()
        minutes = past.newest(symbols, bars, now) if since is None else past.since(symbols, since, now)  # fmt: skip
        for minute in minutes:
            for bar in minute:
                self._seen[bar.symbol] = max(bar.time, self._seen.get(bar.symbol, bar.time))
                self._recent.setdefault(bar.time, {})[bar.symbol] = bar
            while len(self._recent) > REMEMBERED:
                del self._recent[min(self._recent)]
            yield minute
        covered = last_closed(now - timedelta(seconds=self._settle))
        self._covered.update(dict.fromkeys(symbols, covered))

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        connection = self._connection
        feed = connection.settings.feed
        return latest.prices(connection.rest, self._broker, feed, symbols, self.now())

    def catch_up(self, time: datetime) -> None:
        """Play the minutes of a stepped exchange that end by a time, delivering nothing."""
        if self._player is not None and self._connection.stepped:
            while self.now() < time and not self._player.ended:
                self._player.play()

    def subscribe(self, symbols: Collection[str]) -> None:
        """Connect both streams, without symbols only that of order updates; they may also be refused
        for now. Raises ConfigError, BrokerError."""
        connection, settings = self._connection, self._connection.settings
        loopback = self._player is not None
        newest = last_closed(self.now())
        checked = min((self._covered.get(symbol, newest) for symbol in symbols), default=newest)
        quiet = LOOPBACK_GATHER if loopback else settings.gather_seconds
        gather = MinuteAssembly(symbols, self._calendar(), quiet, checked, self._seen, self._recent)
        self._intake = Intake(
            self._clock, self._inbox, gather, time.monotonic(), wall=not loopback
        )  # fmt: skip
        library.streams()
        credentials, places = connection.credentials, connection.endpoints
        key = (credentials.key_id.get_secret_value(), credentials.secret_key.get_secret_value())
        streams: list[SupervisedStream] = [
            TradeStream(self._inbox, places.trading_stream, key, places.loopback)
        ]
        if symbols:
            streams.append(
                DataStream(
                    self._inbox, places.data_stream, key, places.loopback,
                    list(symbols), BarDecoder(self._calendar()),
                )
            )  # fmt: skip
        else:
            del self._intake.streams[DATA]
        self._streams = StreamSupervisor(streams)
        self._sweep = Sweep(
            self._intake, self._streams, self._clock, self._broker, self._history(), self._errands,
            settle=self._settle,
            mute_minutes=settings.mute_minutes,
            patience=LOOPBACK_PATIENCE if loopback else settings.silent_order_seconds,
        )  # fmt: skip
        if self._player is not None:
            with suppress(BrokerError):
                self._player.look()  # what happened up to now, the streams will not tell
        self._streams.start()
        links = [self._inbox.links[name] for name in self._intake.streams]
        self._inbox.wait(lambda: all(link.tries for link in links), SUBSCRIBE_SECONDS)
        self._absorb()

    # -- while it runs -----------------------------------------------------------------------------

    def next(self, timeout: float) -> Batch | None:
        """Return the next events; see `smabot.hooks.ports.Feed.next`.

        Raises BrokerError when a stream refuses the key for good.
        """
        return self._step(timeout) if self._connection.stepped else self._wait(timeout)

    def progress(self) -> Progress | None:
        """Return how far the tape has come; a paced exchange is not asked for it."""
        stepping = self._player if self._connection.stepped else None
        return stepping.progress if stepping is not None else None

    def close(self) -> None:
        if self._streams is not None:
            self._streams.close()
        self._errands.close()
        self._broker.close()
        self._connection.leave(self)

    # -- time goes by itself -----------------------------------------------------------------------

    def _wait(self, timeout: float) -> Batch | None:
        deadline = time.monotonic() + timeout
        intake = self._intake
        while True:
            self._absorb()
            at = time.monotonic()
            self._sweep.mind(at)
            intake.minutes += intake.gather.take(at)
            if (batch := intake.batch(updates_alone=True)) is not None:
                return batch
            if self._over(at):
                return None
            due = intake.gather.due()
            wake = min(deadline, at + LONGEST_WAIT, deadline if due is None else due)
            if at >= deadline:
                return intake.nothing()
            self._inbox.wait_for_events(max(wake - at, 0.001))

    def _over(self, at: float) -> bool:
        """Ask a paced exchange for the time where the streams don't tell; whether its tape ended."""
        if self._player is None:
            return False
        if self._player.ended:
            self._ended_at = self._ended_at or at
            last, gather = last_closed(self.now()), self._intake.gather
            if gather.gap(last) is not None or gather.due() is not None:
                return False
            patient = at - self._ended_at < LAST_LOOK_SECONDS
            return self._sweep.last_orders(at, self._ended_at) or not patient
        if at - max(self._intake.heard_at, self._looked_at) >= LONGEST_WAIT:
            self._looked_at = at
            self._errands.run("time", self._player.look, self._looked)
        return False

    def _looked(self, result: ReplayState | BrokerError) -> None:
        if isinstance(result, BrokerError) and _is_for_good(result):
            raise result
        self._out(result if isinstance(result, BrokerError) else None)

    # -- time is asked for -------------------------------------------------------------------------

    def _step(self, timeout: float) -> Batch | None:
        intake, player = self._intake, self._player
        assert player is not None
        self._absorb()
        if (batch := intake.batch(updates_alone=player.ended)) is not None:
            return batch
        if player.ended and self._played is None:
            return None
        if not self._streams_are_back(timeout):
            return intake.batch(updates_alone=False) or intake.nothing()
        if (batch := intake.batch(updates_alone=player.ended)) is not None:
            return batch  # what waits for the stream's return leaves before time goes on
        try:
            if intake.outage:
                player.look()
                self._out(None)  # now the streams have a chance, too
                return intake.batch(updates_alone=False) or intake.nothing()
            if self._played is None:
                if not self._pace.wait(timeout):
                    return intake.nothing()
                links = self._inbox.links
                tries = {name: link.tries for name, link in links.items()}
                self._played = player.play()
                self._await_messages(self._played, tries)
                if not self._streams_are_back(timeout):
                    # lost with this minute: ask first, then decide
                    return intake.batch(updates_alone=False) or intake.nothing()
            self._sweep.complete()
            self._sweep.mind_orders(time.monotonic(), 0.0)
        except BrokerError as error:
            if _is_for_good(error):
                raise
            self._out(error)
            self._inbox.wait_for_events(min(self._lost.pause(), timeout))
            return intake.batch(updates_alone=False) or intake.nothing()
        self._out(None)
        self._played = None
        intake.minutes += intake.gather.take(time.monotonic(), all_there=True)
        batch = intake.batch(updates_alone=True)
        return batch if batch is not None or player.ended else intake.nothing()

    def _streams_are_back(self, timeout: float) -> bool:
        """Wait for lost streams, so that nothing passes meanwhile; for a while each time, counted
        from when the exchange answers."""
        deadline = time.monotonic() + timeout
        while True:
            at = time.monotonic()
            if all(
                s.up or at - max(s.since, self._answers_since) >= RECONNECT_SECONDS[name]
                for name, s in self._intake.streams.items()
            ):
                return True
            if at >= deadline:
                return False
            self._inbox.wait_for_events(deadline - at)
            self._absorb()

    def _await_messages(self, played: ReplayState, tries: dict[str, int]) -> None:
        """Wait until all that was sent on the present connections has come."""
        links = self._inbox.links
        sent = {DATA: played.bars, TRADE: played.updates}

        def come() -> bool:
            return all(
                count is None or links[name].tries != tries[name] or links[name].messages >= count
                for name, count in sent.items()
            )

        if not self._inbox.wait(come, MESSAGES_SECONDS) and self._streams is not None:
            for name, count in sent.items():
                if links[name].messages < (count or 0):
                    self._streams.replace(name, "what was sent does not come")
        self._absorb()

    # -- both --------------------------------------------------------------------------------------

    def _absorb(self) -> None:
        at = time.monotonic()
        answers = self._connection.answers
        while answers:
            self._intake.watch.told(answers.popleft(), at)
        self._intake.absorb(at)

    def _out(self, error: BrokerError | None) -> None:
        """Tell once that the exchange does not answer, and that it does again."""
        intake = self._intake
        if error is not None and not intake.outage:
            logger.warning("alpaca: the exchange does not answer: {}; trying again", error)
            if isinstance(error, KeyRefused):
                intake.resync()
        if error is None and intake.outage:
            self._answers_since = time.monotonic()
            logger.info("alpaca: the exchange answers again")
        if error is None:
            self._lost.reset()
        intake.outage = str(error) if error is not None else ""

    @property
    def _settle(self) -> float:
        """Seconds after which REST surely has a minute's bars."""
        if self._player is None:
            return self._connection.settings.missing_bars_seconds
        return 0.0 if self._connection.stepped else LOOPBACK_SETTLE

    def _calendar(self) -> Calendar:
        known = self._connection.calendar
        return known if known.sessions else self._broker.calendar()

    def _history(self) -> BarHistory:
        if self._past is None:
            feed = self._connection.settings.feed
            self._past = BarHistory(self._connection.rest.data, self._calendar(), feed)
        return self._past


def _is_for_good(error: BrokerError) -> bool:
    refused = isinstance(error, RequestRefused) and error.status in FOR_GOOD
    return refused and not isinstance(error, KeyRefused)
