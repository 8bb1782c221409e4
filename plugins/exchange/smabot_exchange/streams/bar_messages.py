"""A replayed minute as messages of the stock data stream, with the faults that strike it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from smabot.provider import EXCHANGE_ZONE, MINUTE, Bar
from smabot_exchange.data.timeframe import merged
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_kinds import BarLate, BarMissing, BarRevised, MinuteMissing
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.faults.market_kinds import BarWrong
from smabot_exchange.replay import ReplayedMinute
from smabot_exchange.streams import frames
from smabot_exchange.streams.frames import MessageCodec
from smabot_exchange.streams.subscriptions import EVERYTHING, Subscriptions
from smabot_exchange.streams.timers import ExchangeTimers

HALTED = ("T12", "Trading Halted; For information requested by the listing exchange")
"""The reason of a halt, as Nasdaq codes it."""

REVISED_AFTER = timedelta(seconds=30)
"""A bar is sent again half a minute after its minute, when late trades have changed it."""


@dataclass(slots=True)
class MinuteUpdate:
    """What a minute brings: bars as they are sent, late ones first, and the rest as it was.

    ``halted`` and ``resumed`` are symbols whose trading stopped or went on at its start; all that are
    halted in it are ``stopped``.
    """

    time: datetime
    bars: list[Bar]
    traded: list[Bar]
    updated: list[Bar] = field(default_factory=list)
    daily: dict[str, Bar] = field(default_factory=dict)
    opens: bool = False
    closes: bool = False
    halted: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    stopped: frozenset[str] = frozenset()


class MinuteComposer:
    """Makes each minute's update, and writes them once for all who want the same."""

    def __init__(self, exchange: Exchange, plan: FaultPlan, timers: ExchangeTimers) -> None:
        self._exchange = exchange
        self._plan = plan
        self._timers = timers
        self._late_bars: list[Bar] = []
        self._revised_bars: list[Bar] = []
        self._day_so_far: dict[str, Bar] = {}
        self._day: date | None = None
        self._open: date | None = None

    def compose(self, minute: ReplayedMinute, *, daily: bool) -> MinuteUpdate:
        """Return what a minute brings. Without ``daily`` the bars of the day are left out."""
        now = minute.time
        update = MinuteUpdate(
            now, self._bars_with_faults(minute), minute.bars, list(self._revised_bars), halted=minute.halted,
            resumed=minute.resumed, stopped=self._exchange.halts.symbols,
        )  # fmt: skip
        self._late_bars.clear()
        self._revised_bars.clear()
        session = self._exchange.calendar.session_at(now - MINUTE)
        if session is not None:
            update.opens, self._open = self._open != session.date, session.date
            update.closes = now >= session.close
            if daily:
                update.daily = self._daily_bars(minute, session.date, session.open)
        if not daily:
            self._day = None
        return update

    def _bars_with_faults(self, minute: ReplayedMinute) -> list[Bar]:
        """Return the bars that are sent now, and set aside those that come later."""
        plan, now, wrong = self._plan, minute.time, self._exchange.wrong_bars
        if not plan.any(BarMissing, BarLate, BarRevised, BarWrong, MinuteMissing):
            return self._late_bars + minute.bars if self._late_bars else minute.bars
        if minute.bars and plan.first(MinuteMissing, Occasion(f"minute {now}", now)):
            return list(self._late_bars)
        sent = list(self._late_bars)
        for bar in minute.bars:
            occasion = Occasion(f"{bar.symbol} {bar.time}", now, symbol=bar.symbol)
            if plan.first(BarMissing, occasion):
                continue
            if late := plan.first(BarLate, occasion):
                self._timers.call_at(
                    now + late.minutes * MINUTE, partial(self._late_bars.append, bar)
                )
            else:
                sent.append(wrong.as_sent(bar, occasion))
            if revised := plan.first(BarRevised, occasion):
                changed = _revised(bar, revised.change)
                self._timers.call_at(
                    now + REVISED_AFTER, partial(self._revised_bars.append, changed)
                )
        return sent

    def _daily_bars(self, minute: ReplayedMinute, day: date, opened: datetime) -> dict[str, Bar]:
        """Return the day's bars so far of the symbols that traded in the minute."""
        if self._day == day:
            bars: Iterable[Bar] = minute.bars
        else:
            self._day, self._day_so_far = day, {}
            played = self._exchange.history(None, opened - MINUTE)
            bars = (bar for traded in played for bar in traded)
        start = datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(opened.tzinfo)
        for bar in bars:
            so_far = self._day_so_far.get(bar.symbol)
            self._day_so_far[bar.symbol] = merged(start, [so_far, bar] if so_far else [bar])
        return {bar.symbol: self._day_so_far[bar.symbol] for bar in minute.bars}


class MinuteEncoder:
    """Writes one minute's update, once for each way and set of subscriptions."""

    def __init__(
        self, update: MinuteUpdate, symbols: tuple[str, ...], half_spread: Decimal
    ) -> None:
        self._update = update
        self._half_spread = half_spread
        self._symbols = symbols
        self._written: list[tuple[MessageCodec, Subscriptions, list[tuple[bytes | str, int]]]] = []

    def frames(self, codec: MessageCodec, wanted: Subscriptions) -> list[tuple[bytes | str, int]]:
        """Return the frames, each with the number of minute bars in it."""
        for known, subscribed, written in self._written:
            if known is codec and subscribed == wanted:
                return written
        written = list(frames.frames(codec, self._messages(codec, wanted)))
        self._written.append((codec, wanted, written))
        return written

    def _messages(self, codec: MessageCodec, wanted: Subscriptions) -> Iterator[tuple[bytes, bool]]:
        update = self._update
        if update.opens:
            yield from self._statuses(codec, wanted, trading=True)
        yield from self._halts(codec, wanted)
        if wanted.wants("trades"):
            for bar in _chosen(update.traded, wanted.of("trades")):
                yield frames.trade(codec, bar), False
        if wanted.wants("quotes"):
            for bar in _chosen(update.traded, wanted.of("quotes")):
                yield frames.quote(codec, bar, self._half_spread), False
        if wanted.wants("updatedBars"):
            for bar in _chosen(update.updated, wanted.of("updatedBars")):
                yield frames.bar(codec, "u", bar), False
        if wanted.wants("bars"):
            for bar in _chosen(update.bars, wanted.of("bars")):
                yield frames.bar(codec, "b", bar), True
        if wanted.wants("dailyBars"):
            for bar in _chosen(update.daily.values(), wanted.of("dailyBars")):
                yield frames.bar(codec, "d", bar), False
        if update.closes:
            yield from self._statuses(codec, wanted, trading=False)

    def _statuses(
        self, codec: MessageCodec, wanted: Subscriptions, *, trading: bool
    ) -> Iterator[tuple[bytes, bool]]:
        chosen = wanted.of("statuses")
        moment = self._update.time - MINUTE if trading else self._update.time
        for symbol in self._symbols:
            if trading and symbol in self._update.stopped:
                continue
            if EVERYTHING in chosen or symbol in chosen:
                yield frames.status(codec, symbol, moment, trading=trading), False

    def _halts(self, codec: MessageCodec, wanted: Subscriptions) -> Iterator[tuple[bytes, bool]]:
        """Yield which symbols' trading stopped or went on at the minute's start."""
        chosen, start = wanted.of("statuses"), self._update.time - MINUTE
        for symbol in self._update.halted:
            if EVERYTHING in chosen or symbol in chosen:
                yield frames.status(codec, symbol, start, trading=False, reason=HALTED), False
        for symbol in self._update.resumed:
            if EVERYTHING in chosen or symbol in chosen:
                yield frames.status(codec, symbol, start, trading=True), False


def _chosen(bars: Iterable[Bar], symbols: frozenset[str]) -> Iterable[Bar]:
    return bars if EVERYTHING in symbols else (bar for bar in bars if bar.symbol in symbols)


def _revised(bar: Bar, change: float) -> Bar:
    """Return a bar with late trades in it: another close, more volume."""
    close = max(round(bar.close * (1 + change), 4), 0.0001)
    trades = None if bar.trade_count is None else bar.trade_count + 1
    return bar._replace(
        close=close,
        high=max(bar.high, close),
        low=min(bar.low, close),
        volume=round(bar.volume * (1 + abs(change))),
        trade_count=trades,
    )
