"""The step and the loop; the only caller of the hooks that decide.

One step is one transaction: events in, equity marked, hooks called, everything they changed committed,
and only then what may leave sent. The broker's answers are events of the next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Any

from loguru import logger

from smabot.domain.bar_checks import bad_bar_event, is_valid_bar
from smabot.domain.book import EPOCH, Book
from smabot.domain.calendar import MINUTE
from smabot.domain.records import (
    Bar,
    BarRevision,
    Batch,
    Event,
    Fill,
    Order,
    OrderUpdate,
    RefusalCause,
    Signal,
    Status,
)
from smabot.engine.broker_access import Access
from smabot.engine.calendar_renewal import Sessions
from smabot.engine.dispatcher import Dispatcher
from smabot.engine.execution.executor import Executor
from smabot.engine.execution.targets import Targets
from smabot.engine.gate import UNCONFIRMED, Gate
from smabot.engine.mark_to_market import Marking
from smabot.engine.operator_commands import carry_out
from smabot.engine.outbox import Outbox
from smabot.engine.price_requests import Prices
from smabot.engine.reconciling.comparison import Comparison, conflict_events
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.errors import PluginError
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, Feed, Journal, goes_by_itself
from smabot.hooks.specifications import Conflict, Recovery
from smabot.settings.model import Config
from smabot.system.wall_clock import Wall, utc_now

Watcher = Callable[[list[Any], list[Bar]], None]
STOP_SECONDS = 5.0


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
        dispatcher: Dispatcher | None = None,
        wall: Wall = utc_now,
        enterable: Collection[str] | None = None,
    ) -> None:
        """``symbols``: those whose bars come; ``enterable``: those of them that may be entered, by
        default all; what is held of another one is only exited. ``dispatcher``: who carries requests to
        the broker; by default threads to a remote one. ``wall``: the wall clock by which an operator's
        commands expire."""
        self.book = book
        self._wall = wall
        self.stopping = threading.Event()
        self._config = config
        self._plugins = plugins
        self._journal = journal
        self._feed = feed
        self._watch = watch
        self._fresh = config.max_bar_age + MINUTE
        provable = broker.visibility_delay is not None
        entered = symbols if enterable is None else enterable
        self.gate = Gate(config, book, plugins, feed, provable=provable, enterable=entered)
        self.access = Access(book, feed, wall, config.unauthorized_minutes)
        self._outbox = Outbox(
            broker, feed, book, self.gate, self.access, dispatcher, journal.check_in_place
        )
        self._executor = Executor(config, book, plugins, self.gate)
        self._targets = Targets(config, book, symbols)
        self._marking = Marking(book, plugins, config.equity_every_minutes)
        recovery = Recovery(config, book, journal, broker, feed, tuple(symbols))
        self.comparison = Comparison(
            config, plugins, book, feed, recovery, self.gate.standing, self.access
        )
        beside = goes_by_itself(broker)
        self._prices = Prices(book, feed, self.gate.standing, beside=beside)
        self._sessions = Sessions(book, broker, feed, beside=beside)
        self._followed = frozenset(symbols)
        self._feed_doubt = ""
        self._judged_by: tuple[Any, ...] = ()
        self._broken: PluginError | None = None
        self._resumed = False

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> str:
        """Process events until the feed ends, ``until`` is reached or a stop is asked for.

        Returns why it ended: ``ended``, ``until`` or ``stopped``. Raises SmabotError when it must not
        go on; everything committed stays, and nothing leaves any more.
        """
        try:
            outcome = self._loop()
        except BaseException:
            self.close()
            raise
        if outcome == "ended":
            self._find_out()
        if answers := self._outbox.settle(STOP_SECONDS):
            self.step(Batch(self._feed.now(), updates=tuple(answers)))
        return outcome

    def _find_out(self) -> None:
        """The data has ended: find out for a while what became of orders that are not answered."""
        until = monotonic() + STOP_SECONDS
        while self._outbox.asking and monotonic() < until:
            self._settled(self.step(Batch(self._feed.now())))

    def close(self) -> None:
        """Let nothing leave any more."""
        self._outbox.settle(0.0)

    def _loop(self) -> str:
        until = self._config.until
        while not self.stopping.is_set():
            if until is not None and self._feed.now() >= until:
                return "until"
            batch = self._feed.next(0.5)
            if batch is None:
                return "ended"
            self.take(self._plugins.expected(Batch, "feed", "next()", batch))
        return "stopped"

    def take(self, batch: Batch) -> None:
        """Take in what the feed delivered, and compare with the broker where that is due.

        Raises ReconciliationConflict on a conflict, which is kept among the events, and KeyRefused where the
        broker has not taken the key for too long; nothing leaves after it.
        """
        self._mind_stream(batch)
        self.access.heard(batch.refused)
        if batch.resync:
            self.comparison.connection_lost()
            self.compare()
            self._outbox.hurry()
        self.process(batch)
        if self.access.why:
            self.comparison.ask_soon()
        if self.comparison.due:
            self.compare()
        self.access.check()

    def process(self, batch: Batch) -> None:
        """Take one batch in, then the broker's answers to what it caused.

        Bars are decided on while they are fresh; older ones only move the indicators.
        """
        for minute in batch.minutes():
            newest = minute.bars[0].time if minute.bars else EPOCH
            self._settled(self.step(minute, decide=self._feed.now() - newest < self._fresh))

    def _settled(self, answers: list[OrderUpdate]) -> None:
        while answers:
            answers = self.step(Batch(self._feed.now(), updates=tuple(answers)))

    def step(self, batch: Batch, *, decide: bool = False) -> list[OrderUpdate]:
        """Apply a batch, let the plugins decide, commit, send. Returns the broker's answers."""
        book = self.book
        if batch.time > book.now:
            book.now = batch.time
        self._sessions.mind()
        flatten = False
        if commands := self._journal.commands():
            carried = carry_out(commands, self._plugins, book, self._wall)
            self._broken = self._broken or carried.failure
            flatten = carried.flattened
        if batch.updates:
            self._take_updates(batch.updates)
        for event in batch.events:
            book.apply(event)
        for bar in batch.revisions:
            sound = is_valid_bar(bar)
            book.apply(BarRevision.of(bar, batch.time) if sound else bad_bar_event(bar, batch.time))
        decided: list[Signal] = []
        bars = book.apply_bars(batch.bars)
        asked = self._resumed and self._prices.mind()
        if bars:
            self._marking.minute(batch.time)
            if answers := self._plugins.on_bar(bars, book):
                decided = self._targets.take(answers, decide)
            if decide:
                decided += self._targets.act_late(bars)
        elif asked:
            self._marking.at(book.now)
        if decide or flatten or (self._resumed and not bars):
            self._executor.go_on(at_once=flatten)
            for signal in decided:
                self._executor.enter(signal)
        self._commit()
        self._journal.check_in_place()
        return self._outbox.flush()

    # -- events ------------------------------------------------------------------------------------

    def _take_updates(self, updates: Sequence[OrderUpdate]) -> None:
        """Apply the broker's news, then mark equity once: in between it would be half of the news."""
        times = [fill.time for update in updates if (fill := self._take_update(update))]
        if times:
            self._marking.at(max(times))

    def _take_update(self, update: OrderUpdate) -> Fill | None:
        book, before = self.book, self.book.order(update.client_order_id)
        if before is None or (update.filled_qty > 0 and update.filled_avg_price is None):
            self._not_ours(update)
            return None
        fill = book.fill_of(update)
        if fill is not None and before.given_up_at is not None:
            self._disagree([_filled_after_its_end(before, update)])
        if not book.apply(update):
            return None
        after = book.order(update.client_order_id)
        if after is not None and after.status is not before.status:
            self._mind_refusal(after)
            self._plugins.on_order(after, book)
        if fill is not None:
            self._plugins.on_fill(fill, book)
        return fill

    def _not_ours(self, update: OrderUpdate) -> None:
        if update.client_order_id.startswith(f"{self._config.bot}-"):
            self.comparison.never_written(update.client_order_id)
        elif update.symbol in self._followed or self.book.net(update.symbol):
            book = self.book
            text = f"order {update.client_order_id} of somebody else is {update.status}"
            book.apply(Event(book.now, "external_activity", update.symbol, text))
            self.comparison.from_outside(update.symbol)

    def _mind_refusal(self, order: Order) -> None:
        """Keep a refused exit among the events; one that the account contradicts starts a comparison."""
        if order.status is not Status.REJECTED or not order.reduces:
            return
        book = self.book
        book.apply(Event(book.now, "refused_exit", order.symbol, order.reason, grave=True))
        if order.cause is RefusalCause.POSITION:
            self.comparison.from_outside(order.symbol)

    def _mind_stream(self, batch: Batch) -> None:
        """Keep the loss of order updates, and its end, among the events."""
        was, self._feed_doubt = self._feed_doubt, batch.doubt
        if batch.doubt and not was:
            self.book.apply(Event(batch.time, "stream_lost", "", batch.doubt, grave=True))
        elif was and not batch.doubt:
            self.book.apply(Event(batch.time, "stream_back", "", "order updates come again"))

    # -- the start -----------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up what an earlier process had committed and not sent.

        From now on positions are gone after at every step; before, at fresh bars alone: what the start
        still has to tell may change what is wanted.
        """
        self._resumed = True
        self._outbox.take_up(self.book.open_orders())

    def adopt(self, updates: Sequence[OrderUpdate], remedies: Sequence[Any]) -> None:
        """Take the broker's word, in one transaction: its updates, then what makes conflicts good.

        Equity is marked at once, so that every later point has what came or went from outside.
        """
        self._take_updates(updates)
        for record in remedies:
            if isinstance(record, OrderUpdate):
                self._take_updates([record])
            else:
                self.book.apply(record)
        self._marking.at(self.book.now)
        self._commit()

    # -- the end of a step ---------------------------------------------------------------------------

    def _commit(self) -> None:
        """Commit the step. Whatever changed what the gate goes by ends all grants first."""
        standing = self.gate.standing
        doubt = self._feed_doubt or self.comparison.doubt
        standing.degraded = self.access.why or (doubt and f"{UNCONFIRMED}: {doubt}")
        judged_by = (
            self.book.stances, standing.degraded, standing.conflict, standing.unpriced,
        )  # fmt: skip
        if judged_by != self._judged_by:
            self._judged_by = judged_by
            self._outbox.withdraw()
        rows, bars = self.book.drain()
        if rows or bars:
            self._journal.commit(rows, bars)
            self._show(rows, bars)
        if made := self._executor.made:
            self._executor.made = []
            for order in made:
                self._outbox.add(order)
        if broken := self._broken or self._executor.broken:
            raise broken

    def _show(self, rows: list[Any], bars: list[Bar]) -> None:
        """Show a committed step to the watcher, whose failure must not keep its orders from leaving."""
        if self._watch is None:
            return
        try:
            self._watch(rows, bars)
        except Exception as error:  # noqa: BLE001 - it only looks on
            logger.opt(exception=error).error("a step was not shown: {}", error)

    # -- reconciliation while running ------------------------------------------------------------------

    def compare(self) -> None:
        """Compare with the broker; while it does not answer, exits pass and entries wait."""
        held_back = bool(self.gate.standing.comparing)
        try:
            updates = self.comparison.compare()
        except ReconciliationConflict as error:
            self._disagree(error.conflicts)
        if updates or held_back:
            self.process(Batch(self._feed.now(), updates=updates))

    def _disagree(self, conflicts: Sequence[Conflict]) -> None:
        """Keep the conflict among the events, and stop. Raises ReconciliationConflict."""
        self.gate.standing.conflict = f"conflict: {conflicts[0].kind} {conflicts[0].what}"
        for event in conflict_events(conflicts, self.book.now):
            self.book.apply(event)
        self._commit()
        raise ReconciliationConflict(conflicts)


def _filled_after_its_end(order: Order, update: OrderUpdate) -> Conflict:
    return Conflict(
        "filled_after_its_end", order.client_order_id,
        f"ended here with {order.filled_qty:f} filled", f"filled {update.filled_qty:f}",
        "`smabot reconcile --accept broker` takes the broker's word, on the record",
    )  # fmt: skip
