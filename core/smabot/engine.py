"""The step and the loop; the only caller of the hooks that decide.

One step is one transaction: events in, hooks called, everything they changed committed, and only
then the committed intents sent. The broker's answers are events of the next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from smabot.book import EPOCH, Book
from smabot.calendar import MINUTE
from smabot.commands import carry_out
from smabot.config import Config
from smabot.disagreement import Disagreement, another_bot
from smabot.doubt import Doubt
from smabot.errors import BrokerError, PluginError
from smabot.flattening import FLATTEN, Flattening, being_flattened
from smabot.hookspecs import Recovery
from smabot.inquiry import Inquiry
from smabot.ordering import make_order, retry_at
from smabot.outbox import Fate, Outbox
from smabot.plugins import Plugins
from smabot.ports import Broker, Feed, Journal, RemoteBroker
from smabot.records import (
    Bar,
    BarRevision,
    Batch,
    EquityPoint,
    Fill,
    Order,
    OrderIntent,
    OrderUpdate,
    Signal,
    SignalState,
    Status,
    TimeInForce,
    Veto,
)
from smabot.wall import Wall, utc_now

Watcher = Callable[[list[Any], list[Bar]], None]
STOP_SECONDS = 5.0
NEVER = -1
ASK_AGAIN = timedelta(seconds=10)


class Engine:
    """Runs the plugins over a feed's events."""

    def __init__(
        self,
        config: Config,
        plugins: Plugins,
        book: Book,
        journal: Journal,
        broker: Broker,
        feed: Feed,
        symbols: Sequence[str],
        watch: Watcher | None = None,
        wall: Wall = utc_now,
    ) -> None:
        self.book = book
        self._wall = wall
        self.stopping = threading.Event()
        self._config = config
        self._plugins = plugins
        self._journal = journal
        self._feed = feed
        self._watch = watch
        self._fresh = config.max_bar_age + MINUTE
        self._broker = broker
        self._outbox = Outbox(broker, feed, self._fate)
        self._flattening = Flattening(config.bot, book, self._order, self._outbox.cancel)
        beside = isinstance(broker, RemoteBroker) and not broker.stepped
        self._inquiry = Inquiry(broker) if beside else None
        self._asked_at = 0
        self._symbols = frozenset(symbols)
        self._recovery = Recovery(config, book, journal, broker, feed, tuple(symbols))
        every = config.equity_every_minutes
        self._equity_every = MINUTE if every == 1 else timedelta(minutes=every)
        self._reconcile_every = timedelta(minutes=config.reconcile_every_minutes)
        self._reconciled_at = feed.now()
        self._marked_at = EPOCH
        self._strange: set[str] = set()
        self._doubt = Doubt()
        self._feed_doubt = ""
        self._broken: PluginError | None = None

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> str:
        """Process events until the feed ends, ``until`` is reached or a stop is asked for.

        Returns why it ended: ``ended``, ``until`` or ``stopped``. Raises SmabotError when it must not
        go on; everything committed stays.
        """
        outcome = self._loop()
        if answers := self._outbox.settle(STOP_SECONDS):
            self.step(Batch(self._feed.now(), updates=tuple(answers)))
        return outcome

    def _loop(self) -> str:
        until = self._config.until
        while not self.stopping.is_set():
            if until is not None and self._feed.now() >= until:
                return "until"
            batch = self._feed.next(0.5)
            if batch is None:
                return "ended"
            self._feed_doubt = batch.doubt
            if batch.resync:
                self._doubt.why = "the connection was lost"
                self._asked_at = NEVER  # what was asked before tells nothing of the time since
                self._reconcile()
                self._outbox.hurry()
                self._call_off_unwanted()
            self.process(batch)
            if self._reconcile_due():
                self._reconcile()
        return "stopped"

    def process(self, batch: Batch) -> None:
        """Take one batch in, then the broker's answers to what it caused.

        Bars are decided on while they are fresh; older ones only move the indicators.
        """
        for minute in batch.minutes():
            newest = minute.bars[0].time if minute.bars else EPOCH
            answers = self.step(minute, decide=self._feed.now() - newest < self._fresh)
            while answers:
                answers = self.step(Batch(self._feed.now(), updates=tuple(answers)))

    def step(self, batch: Batch, *, decide: bool = False) -> list[OrderUpdate]:
        """Apply a batch, let the plugins decide, commit, send. Returns the broker's answers."""
        book = self.book
        if batch.time > book.now:
            book.now = batch.time
        carried = carry_out(self._journal.commands(), self._plugins, book, self._wall)
        self._broken = self._broken or carried.failure
        if batch.updates:
            self._take_updates(batch.updates)
        for bar in batch.revisions:
            book.apply(BarRevision.of(bar, batch.time))
        bars = book.apply_bars(batch.bars)
        self._flattening.press(batch.updates, at_once=carried.flattened)
        if bars:
            for strategy, answer in self._plugins.on_bar(bars, book):
                for signal in _signals(strategy, answer):
                    self._take_signal(strategy, signal, decide)
            if decide:
                self._settle(bars)
            if batch.time > self._marked_at:
                self._mark_equity(batch.time, keep=self._equity_due(batch.time))
        self._commit()
        return self._outbox.flush(self._hold())

    # -- events ------------------------------------------------------------------------------------

    def _take_updates(self, updates: Sequence[OrderUpdate]) -> None:
        """Apply the broker's news, then mark equity once: in between it would be half of the news."""
        filled_at = [fill.time for update in updates if (fill := self._take_update(update))]
        if filled_at:
            last = self.book.point
            self._mark_equity(max([*filled_at, last.time] if last else filled_at), keep=True)

    def _take_update(self, update: OrderUpdate) -> Fill | None:
        book, name = self.book, update.client_order_id
        before = book.order(name)
        unpriced = update.filled_qty > 0 and update.filled_avg_price is None
        if before is None or unpriced:
            if name.startswith(f"{self._config.bot}-"):
                self._strange.add(name)
            return None
        fill = book.fill_of(update)
        if not book.apply(update):
            return None
        after = book.order(name)
        if after is not None and after.status is not before.status:
            self._plugins.on_order(after, book)
        if fill is not None:
            self._plugins.on_fill(fill, book)
        return fill

    def _take_signal(self, strategy: str, signal: Signal, decide: bool) -> None:
        book = self.book
        if signal.symbol not in self._symbols:
            raise PluginError(
                f"plugin '{strategy}' signalled {signal.symbol}, which is not traded in this run"
            )
        state = book.signals.get((strategy, signal.symbol))
        if state is not None and state.target == signal.target and not state.missed:
            return
        label = signal.label or ("BUY" if signal.target else "SELL")
        signal = replace(signal, strategy=strategy, missed=not decide, label=label)
        book.apply(signal)
        if being_flattened(book, state):
            return
        book.apply(
            SignalState(strategy, signal.symbol, label, signal.target, signal.bar_time, not decide)
        )
        if decide:
            self._order(signal, attempt=1)

    def _settle(self, bars: list[Bar]) -> None:
        """Go after targets that are not what is held: missed exits, failed exits, late entries."""
        unsettled = self.book.unsettled()
        if not unsettled:
            return
        for bar in bars:
            if bar.symbol in unsettled:
                states = unsettled[bar.symbol]
                for strategy in sorted(states):
                    if states[strategy].last_signal != FLATTEN:
                        self._pursue(states[strategy], bar)

    def _pursue(self, state: SignalState, bar: Bar) -> None:
        book = self.book
        held = book.holding(state.strategy, state.symbol)
        latest = book.latest_order(state.strategy, state.symbol)
        if latest is not None and not latest.status.terminal:
            self._call_off(latest, state.target)
            return
        if state.missed:
            if state.target == 0 and held == 0:
                book.apply(replace(state, missed=False))
            elif state.target == 0 or self._config.act_on_missed_entries:
                made_up = Signal(
                    state.symbol, state.target, bar.time, bar.close, state.strategy,
                    reason="makes up for a missed signal", label=state.last_signal,
                )  # fmt: skip
                book.apply(made_up)
                book.apply(replace(state, missed=False, bar_time=bar.time))
                self._order(made_up, attempt=1)
            return
        if state.target == 0 and held != 0:
            attempt = 1
            if latest is not None and latest.reduces and latest.bar_time == state.bar_time:
                attempt = latest.attempt + 1
                if book.now < retry_at(latest):
                    return
            signal = Signal(
                state.symbol, 0, state.bar_time, bar.close, state.strategy, label=state.last_signal
            )
            self._order(signal, attempt)

    # -- orders --------------------------------------------------------------------------------------

    def _order(self, signal: Signal, attempt: int, intent: OrderIntent | None = None) -> None:
        """Make, judge and keep an order: the sizers', unless there is an intent already."""
        book = self.book
        working = book.latest_order(signal.strategy, signal.symbol)
        if working is not None and working.status.terminal:
            working = None
        if working is not None and not (working.reduces and signal.target):
            self._call_off(working, signal.target)
            return
        intent = intent or self._plugins.on_signal(signal, book)
        if intent is None:
            return
        order = make_order(self._config.bot, book, intent, signal, attempt)
        if book.order(order.client_order_id) is not None:
            return
        try:
            vetoes = self._plugins.before_submit(order, book)
        except PluginError as error:
            self._broken = error
            vetoes = [Veto(str(error))]
        if not order.reduces:
            vetoes = [*self._own_vetoes(order, working), *vetoes]
        if vetoes:
            reason = "; ".join(veto.reason for veto in vetoes)
            order = replace(order, status=Status.BLOCKED, reason=reason, updated_at=book.now)
        book.apply(order)
        self._outbox.add(order)
        self._plugins.on_order(order, book)

    def _own_vetoes(self, order: Order, working: Order | None) -> list[Veto]:
        """Why core itself lets no entry pass."""
        vetoes = [
            Veto(f"nobody knows what became of {other.client_order_id}: {other.reason}")
            for other in self.book.working(order.symbol)
            if other.status is Status.UNKNOWN
        ]
        if self.book.halted:
            vetoes.append(Veto(f"halted: {self.book.halted}"))
        if working is not None:
            vetoes.append(Veto(f"the exit {working.client_order_id} is still working"))
        return vetoes

    def _hold(self) -> str:
        """Why no entry may leave just now: order updates may be missing, or what is held is in doubt."""
        doubt = self._feed_doubt or self._doubt.why
        return f"the broker has not confirmed what we hold: {doubt}" if doubt else ""

    def _fate(self, order: Order) -> Fate:
        """What an order that has not arrived is still good for.

        An exit is sent again as long as it takes where nothing else would prove that it never arrived.
        """
        calendar, now = self.book.calendar, self._feed.now()
        unprovable = self._broker.visibility_delay is None
        if order.reduces and (unprovable or now - order.created_at < self._config.max_bar_age):
            return Fate.SEND
        if now - order.created_at < self._config.max_bar_age and self._wanted(order):
            return Fate.SEND
        day = calendar.session_at(order.created_at) or calendar.next_session(order.created_at)
        over = day is not None and now >= day.close + MINUTE
        return Fate.OVER if over and order.time_in_force is TimeInForce.DAY else Fate.WAIT

    def _wanted(self, entry: Order) -> bool:
        state = self.book.signals.get((entry.strategy, entry.symbol))
        return not self.book.halted and (state is None or state.target != 0)

    def _call_off(self, working: Order, target: int) -> None:
        """Cancel an entry that is still working when the target is flat; the exit follows it."""
        known = working.status in (Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED)
        if target == 0 and known and not working.reduces:
            self._outbox.cancel(working)

    def resume(self) -> None:
        """Take up what an earlier process had committed and not sent: orders and cancels."""
        self._outbox.take_up(self.book.open_orders())
        self._call_off_unwanted()

    def _call_off_unwanted(self) -> None:
        """Ask again for cancels that may not have been heard."""
        for states in self.book.unsettled().values():
            for state in states.values():
                working = self.book.latest_order(state.strategy, state.symbol)
                if working is not None:
                    self._call_off(working, state.target)

    def adopt(self, updates: Sequence[OrderUpdate], remedies: Sequence[Any]) -> None:
        """Take the broker's word, in one transaction: its updates, then what makes conflicts good."""
        self._take_updates(updates)
        for record in remedies:
            if isinstance(record, OrderUpdate):
                self._take_updates([record])
            else:
                self.book.apply(record)
        self._commit()

    # -- the rest of a step ------------------------------------------------------------------------

    def _equity_due(self, time: datetime) -> bool:
        last = self.book.point
        if last is None or self._equity_every is MINUTE:
            return last is None or time > last.time
        every = self._equity_every
        return (time - EPOCH) // every > (last.time - EPOCH) // every

    def _mark_equity(self, time: datetime, *, keep: bool) -> None:
        """Value the account for those who watch it; ``keep`` makes it a point of the curve."""
        book = self.book
        self._marked_at = time
        if book.account is None:
            return
        cash, value = book.account.cash, book.positions_value()
        point = EquityPoint(time, cash + value, cash, value, book.realized_pnl())
        if not keep or book.apply(point):
            self._plugins.on_equity(point, book)

    def _commit(self) -> None:
        rows, bars = self.book.drain()
        if rows or bars:
            self._journal.commit(rows, bars)
            if self._watch is not None:
                self._watch(rows, bars)
        if self._broken is not None:
            raise self._broken

    # -- reconciliation while running ------------------------------------------------------------------

    def _reconcile_due(self) -> bool:
        due = self._feed.now() - self._reconciled_at >= self._reconcile_every
        return due or bool(self._strange) or (self._inquiry is not None and self._inquiry.under_way)

    def _reconcile(self) -> None:
        """Ask the broker; while it does not answer, exits pass and entries wait."""
        if self._inquiry is None:
            self._compare(self._recovery)
            return
        if self._inquiry.under_way:
            if (answers := self._inquiry.take()) is None:
                return
            if self._asked_at == self.book.changes:
                self._compare(replace(self._recovery, broker=answers, asked=True))
                return
        self._asked_at = self.book.changes
        since = self.book.point.time if self.book.point else None
        self._inquiry.begin(since, [order.client_order_id for order in self.book.open_orders()])

    def _compare(self, recovery: Recovery) -> None:
        strange, self._strange = self._strange, set()
        now = self._feed.now()
        self._reconciled_at = now
        try:
            found = self._plugins.reconcile(recovery)
        except BrokerError as error:
            self._doubt.hesitate(str(error))
            self._reconciled_at = now - self._reconcile_every + ASK_AGAIN
            return
        if found is not None and found.conflicts:
            if self._inquiry is None or self._doubt.lasts(found.conflicts, now):
                raise Disagreement(found.conflicts)
            first = found.conflicts[0]
            self._doubt.hesitate(f"{first.what}: {first.here} here, {first.there} there")
            self._reconciled_at = now - self._reconcile_every + ASK_AGAIN
            return
        self._doubt.end()
        if found is None:
            return
        if found.updates:
            self.process(Batch(now, updates=found.updates))
        for name in sorted(strange):
            if self.book.order(name) is None:
                raise Disagreement([another_bot(name)])


def _signals(plugin: str, answer: Signal | list[Signal]) -> list[Signal]:
    signals = answer if isinstance(answer, list) else [answer]
    for signal in signals:
        if not isinstance(signal, Signal):
            raise PluginError(
                f"plugin '{plugin}': on_bar answered {signal!r}: return a Signal, a list or None"
            )
        if signal.target not in (0, 1):
            raise PluginError(
                f"plugin '{plugin}': on_bar answered target {signal.target}: use 1 (long) or 0 (flat)"
            )
    return signals
