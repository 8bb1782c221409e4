"""Asks REST for what the streams did not bring: the stream is a hint, REST is the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from loguru import logger

from smabot.provider import (
    MINUTE,
    Bar,
    BrokerError,
    BrokerOrder,
    KeyRefused,
    OrderUpdate,
    PartlyUnreadable,
)
from smabot_alpaca.backoff import Backoff
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.clock import EPOCH, MarketClock, last_closed
from smabot_alpaca.feed.background_requests import BackgroundRequests
from smabot_alpaca.feed.minute_assembly import MissingBars
from smabot_alpaca.feed.order_stream_check import knows_more
from smabot_alpaca.feed.pending_events import Intake
from smabot_alpaca.rest.bar_history import BarHistory
from smabot_alpaca.streams.event_queue import DATA, TRADE
from smabot_alpaca.streams.supervision import StreamSupervisor

HOLD_SECONDS = 10.0
"""Bars of the stream wait so long at most for those that were missed before them."""
SECOND_LOOK_SECONDS = 7.0
"""While the data stream is down REST is asked so long afterwards for what it did not have at first: it
makes bars 2 to 3 s after the minute (https://forum.alpaca.markets/t/get-most-recent-bars/12024)."""
LOOK_UPS = 5
"""Up to so many orders are asked for one by one, more of them as a list."""


class Sweep:
    """Fetches missing bars and silent orders, and connects a stream anew that lets them be missed."""

    def __init__(
        self,
        intake: Intake,
        streams: StreamSupervisor,
        clock: MarketClock,
        broker: AlpacaBroker,
        history: BarHistory,
        errands: BackgroundRequests,
        *,
        settle: float,
        mute_minutes: int,
        patience: float,
    ) -> None:
        """``settle``: seconds after which REST surely has a minute; ``patience``: those that the
        trade stream may lag behind REST."""
        self._intake = intake
        self._streams = streams
        self._clock = clock
        self._broker = broker
        self._history = history
        self._errands = errands
        self._settle = settle
        self._mute_minutes = mute_minutes
        self._patience = patience
        self._backoff = Backoff(0.5)
        self._not_before = 0.0
        self._failing = False
        self._orders_asked = 0.0  # when the newest question began that was answered
        self._held_since: float | None = None
        self._without = False  # whether it was told that bars are missing for good
        self._second_look: tuple[MissingBars, float] | None = None
        self._newest = (EPOCH, 0.0)  # the newest minute that has ended, and when that was noticed

    def mind(self, at: float) -> None:
        """Ask for whatever is due at ``at`` seconds."""
        self._mind_bars(at)
        self.mind_orders(at, self._patience)

    def complete(self) -> None:
        """Ask at once for all bars that have not come. For errands that are done inline.

        Raises BrokerError.
        """
        last = last_closed(self._clock.now())
        self._intake.gather.note(self._clock.now())
        if (gap := self._intake.gather.gap(last)) is not None:
            self._take(self._between(gap)(), last)
        self._intake.gather.check(last)
        self._intake.backfill = False

    def mind_orders(self, at: float, patience: float) -> None:
        """Ask for open orders of which nothing was heard, and doubt a stream that knows less."""
        watch = self._intake.watch
        if orders := watch.open(at, patience):
            self._ask_for(orders)
        if self._intake.streams[TRADE].up and (names := watch.unheard(at, patience)):
            watch.trust(self._clock.now())
            self._streams.replace(TRADE, f"it does not tell of {names[0]}, which REST does")

    def last_orders(self, at: float, since: float) -> bool:
        """Whether REST has told of all open orders since ``since`` seconds; asks where it has not."""
        orders = self._intake.watch.open(at, 0.0)
        if not orders or self._orders_asked >= since:
            return True
        self._ask_for(orders)
        return False

    def _mind_bars(self, at: float) -> None:
        gather, now = self._intake.gather, self._clock.now()
        gather.note(now)
        until, held = self._settled(now, at), gather.held
        if held is None:
            self._held_since = None
        else:
            until = max(until, held - MINUTE)
            self._let_go(held, at)
        gap = gather.gap(last_closed(now) if self._intake.backfill else until)
        if gap is None:
            self._intake.backfill = False
        elif at >= self._not_before:
            self._errands.run("bars", self._between(gap), lambda r: self._took(r, gap, until))
        if self._second_look is not None and at >= self._second_look[1]:
            again, self._second_look = self._second_look[0], None
            self._errands.run("bars again", self._between(again), self._took_again)

    def _let_go(self, held: datetime, at: float) -> None:
        """Hold bars back no longer than is good for those who decide on them."""
        if self._held_since is None:
            self._held_since = at
        elif at - self._held_since >= HOLD_SECONDS:
            if not self._without:
                self._without = True
                logger.warning("alpaca: going on without bars from before {:%H:%M}Z", held)
            self._intake.gather.check(held - MINUTE)

    def _settled(self, now: datetime, at: float) -> datetime:
        """Return the newest minute that REST surely has."""
        last = last_closed(now)
        if last != self._newest[0]:
            self._newest = (last, at)
        return last if at - self._newest[1] >= self._settle else last - MINUTE

    def _between(self, gap: MissingBars) -> Callable[[], list[Bar]]:
        return lambda: self._history.between(gap.symbols, gap.first, gap.last)

    def _took(self, result: list[Bar] | BrokerError, gap: MissingBars, until: datetime) -> None:
        at = time.monotonic()
        if not isinstance(result, BrokerError):
            self._without = False
            if not self._intake.streams[DATA].up and len(result) < gap.size:
                self._second_look = (gap, at + SECOND_LOOK_SECONDS)
            if self._failing:
                self._failing = False
                logger.info("alpaca: bars come by REST again")
            self._backoff.reset()
            self._take(result, until)
            return
        self._not_before = at + self._backoff.pause()
        if not self._failing:
            self._failing = True
            logger.warning("alpaca: missing bars can't be fetched: {}; trying again", result)
            if isinstance(result, KeyRefused):
                self._intake.resync()

    def _took_again(self, result: list[Bar] | BrokerError) -> None:
        if not isinstance(result, BrokerError):
            gather = self._intake.gather
            gather.add([bar for bar in result if gather.lacks(bar)], time.monotonic())

    def _take(self, bars: list[Bar], until: datetime) -> None:
        intake, data = self._intake, self._intake.streams[DATA]
        intake.gather.add(bars, time.monotonic())
        intake.gather.check(until)
        intake.backfill = False
        if not data.up:
            return
        since = max(data.up_at, intake.streamed)  # a hole in what was streamed is no muteness
        intake.mute_minutes += len({bar.time for bar in bars if bar.time >= since})
        if intake.mute_minutes >= self._mute_minutes:
            intake.mute_minutes = 0
            self._streams.replace(DATA, "it is mute, though REST has bars")

    def _ask_for(self, orders: list[OrderUpdate]) -> None:
        begun = time.monotonic()
        known = {order.client_order_id: order for order in orders}

        def take(result: list[BrokerOrder] | BrokerError) -> None:
            if isinstance(result, BrokerError):
                return  # they are asked for again, and reconciliation asks too
            self._orders_asked = begun
            at = time.monotonic()
            for update in (order.update() for order in result):
                news = self._intake.watch.told(update, at)
                before = known.get(update.client_order_id)
                # the watch may have been told of this very answer by whoever carried the request
                if news or (before is not None and knows_more(update, before)):
                    self._intake.updates.append(update)

        self._errands.run("orders", self._look_up(orders), take)

    def _look_up(self, orders: list[OrderUpdate]) -> Callable[[], list[BrokerOrder]]:
        def look_up() -> list[BrokerOrder]:
            if len(orders) <= LOOK_UPS:
                found = [self._broker.order(order.client_order_id) for order in orders]
                return [order for order in found if order is not None]
            try:
                return self._broker.orders(min(order.submitted_at or EPOCH for order in orders))
            except PartlyUnreadable as error:
                return error.readable  # of the others there is no news

        return look_up
