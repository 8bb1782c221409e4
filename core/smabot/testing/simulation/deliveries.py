"""The stream of bars and order updates, on which they are lost, doubled, late or in another order."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from smabot.domain.records import Bar, Batch, Mark, OrderUpdate
from smabot.errors import ConfigError
from smabot.hooks.ports import Progress
from smabot.testing.simulation.market import Market
from smabot.testing.simulation.points import Points
from smabot.testing.simulation.replayed_minutes import ReplayedMinutes
from smabot.testing.simulation.timeline import Timeline

DOWN = "the stream of order updates is down"
LONGEST_POLL = timedelta(minutes=30)


class Deliveries:
    """The faults of the stream, which outlive each process, and the feed that they are delivered to."""

    def __init__(self, timeline: Timeline, chance: random.Random, far: bool) -> None:
        self.update_faults: list[str] = []
        """What befalls the next order updates."""
        self.bar_faults: list[str] = []
        """What befalls the next bars."""
        self.down = False
        """Whether the stream of order updates is down, and the feed says so."""
        self.struck: Callable[[str], None] = lambda fault: None
        self.taken: Callable[[Batch], None] = lambda batch: None
        """Called with each batch that a process takes."""
        self.feed: SimulatedFeed | None = None
        self._timeline = timeline
        self._chance = chance
        self._far = far
        self._swapped: list[OrderUpdate] = []

    def calm(self) -> None:
        """From now on all is well."""
        self.update_faults, self.bar_faults, self.down = [], [], False

    def close(self) -> None:
        """Nothing is open."""

    @property
    def quiet(self) -> bool:
        """Whether a minute's bars would come as they are, to a reader that keeps them."""
        faults = self.update_faults or self.bar_faults or self.down or self._swapped
        return self.feed is not None and not faults

    def send_quiet_minute(self, bars: Sequence[Bar]) -> None:
        """Send a minute's bars as they are."""
        assert self.feed is not None
        self.feed.take_bars(bars)

    def send_updates(self, updates: Sequence[OrderUpdate]) -> None:
        """Send order updates to whoever is connected."""
        for update in updates:
            fault = self.update_faults.pop(0) if self.update_faults else ""
            if fault:
                self.struck(f"update {fault}")
            if self.down or fault == "dropped":
                continue
            if fault == "swapped":
                self._swapped.append(update)
                continue
            seconds = self._chance.uniform(20, 100) if fault == "delayed" else self._latency()
            for each in (update, *self._swapped, *([update] if fault == "doubled" else [])):
                self._later(seconds, each)
            self._swapped = []

    def send_minute(self, bars: Sequence[Bar]) -> None:
        """Send a minute's bars to whoever is connected."""
        sent: list[Bar] = []
        for bar in bars:
            fault = self.bar_faults.pop(0) if self.bar_faults else ""
            if fault:
                self.struck(f"bar {fault}")
            if fault == "late":
                self._revise(self._chance.uniform(61, 200), bar)
            if fault in ("missing", "late"):
                continue
            sent.append(_as_sent(bar, fault))
            if fault == "repeated":
                sent.append(bar)
            if fault in ("revised", "bad print", "no number"):
                self._revise(30.0, bar._replace(close=round(bar.close * 1.001, 2)))
        self._at(self._latency(), lambda feed: feed.take_bars(sent))

    def _later(self, seconds: float, update: OrderUpdate) -> None:
        self._at(seconds, lambda feed: feed.take_update(update))

    def _revise(self, seconds: float, bar: Bar) -> None:
        self._at(seconds, lambda feed: feed.take_revision(bar))

    def _at(self, seconds: float, deliver: Callable[[SimulatedFeed], None]) -> None:
        """Deliver to the feed that is connected now, if it still is then."""
        feed = self.feed
        if feed is None:
            return
        if not self._far and seconds < 1:
            deliver(feed)
            return

        def arrive() -> None:
            if feed is self.feed:
                deliver(feed)

        self._timeline.at(self._timeline.now + timedelta(seconds=seconds), arrive)

    def _latency(self) -> float:
        return self._chance.uniform(0.005, 0.4) if self._far else 0.0


class SimulatedFeed:
    """One process's feed: `Feed` and `PricedFeed` over what is delivered."""

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        timeline: Timeline,
        market: Market,
        deliveries: Deliveries,
        points: Points,
        symbols: Sequence[str],
        replay: ReplayedMinutes | None,
    ) -> None:
        """``replay``: the market's minutes, where it waits for the bot; None: it goes by itself."""
        self._timeline = timeline
        self._market = market
        self._deliveries = deliveries
        self._points = points
        self._symbols = tuple(symbols)
        self._replay = replay
        self._subscribed: frozenset[str] = frozenset()
        self._updates: list[OrderUpdate] = []
        self._bars: list[Bar] = []
        self._revisions: list[Bar] = []
        self._connection_was_down = False
        self._idle = timedelta(seconds=1)
        deliveries.feed = self

    def now(self) -> datetime:
        return self._timeline.now

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        if unknown := sorted({*symbols} - {*self._symbols}):
            raise ConfigError(f"no bars of {', '.join(unknown)}")
        return tuple(symbols) or self._symbols

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        wanted = [
            [bar for bar in minute if bar.symbol in symbols] for minute in self._market.minutes
        ]
        if since is None:
            found = [minute for minute in wanted if minute]
            return iter(found[-bars:] if bars else [])
        return iter([minute for minute in wanted if minute and minute[0].time > since])

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        return [
            Mark(symbol, Decimal(repr(bar.close)), self.now(), "trade")
            for symbol, bar in sorted(self._market.latest.items())
            if symbol in symbols
        ]

    def catch_up(self, time: datetime) -> None:
        while self._replay is not None and self.now() < time and not self._market.ended:
            self._replay.pass_minute()
            self._replay.keep()
            self._bars = []

    def keep(self) -> None:
        if self._replay is not None:
            self._replay.keep()

    def subscribe(self, symbols: Collection[str]) -> None:
        self._subscribed = frozenset(symbols)

    def progress(self) -> Progress | None:
        return None

    def close(self) -> None:
        if self._deliveries.feed is self:
            self._deliveries.feed = None

    def next(self, timeout: float) -> Batch | None:
        """Return what is delivered next. Where nothing is, the longer it lasts the more time passes."""
        if not (self._updates or self._bars or self._revisions):
            if self._market.ended:
                return None
            self._wait(timedelta(seconds=timeout))
        return self._batch()

    # -- delivered -----------------------------------------------------------------------------------

    def take_update(self, update: OrderUpdate) -> None:
        self._updates.append(update)

    def take_bars(self, bars: Sequence[Bar]) -> None:
        self._bars += [bar for bar in bars if bar.symbol in self._subscribed]

    def take_revision(self, bar: Bar) -> None:
        if bar.symbol in self._subscribed:
            self._revisions.append(bar)

    # -- taken ---------------------------------------------------------------------------------------

    def _wait(self, timeout: timedelta) -> None:
        if self._replay is not None:
            self._replay.pass_minute()
            return
        self._idle = min(max(2 * self._idle, timeout), LONGEST_POLL)
        self._timeline.run_next(self._timeline.now + self._idle)

    def _batch(self) -> Batch:
        updates, bars = tuple(self._updates), tuple(self._bars)
        revisions, self._revisions = tuple(self._revisions), []
        self._updates, self._bars = [], []
        if updates or bars or revisions:
            self._idle = timedelta(milliseconds=250)
        if self._replay is not None:
            bars = tuple(sorted(bars, key=lambda bar: (bar.time, bar.symbol)))
        down = self._deliveries.down
        back, self._connection_was_down = self._connection_was_down and not down, down
        again = self._replay is not None and self._replay.take_quiet()
        batch = Batch(
            self.now(), updates, bars, resync=back, doubt=DOWN if down else "",
            revisions=revisions, comes_again=again and not (updates or revisions or back or down),
        )  # fmt: skip
        self._deliveries.taken(batch)
        self._points.point(f"taken from the feed: {kind_of_batch(batch)}")
        return batch


def kind_of_batch(batch: Batch) -> str:
    """Return what a batch brings."""
    if batch.bars:
        return "bars"
    if batch.updates:
        return "order updates"
    return "revised bars" if batch.revisions else "nothing"


def _as_sent(bar: Bar, fault: str) -> Bar:
    if fault == "bad print":
        wrong = round(bar.close * 1.4, 2)
        return bar._replace(close=wrong, high=max(bar.high, wrong))
    if fault == "no number":
        return bar._replace(close=float("nan"))
    return bar
