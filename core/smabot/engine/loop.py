"""The loop: takes the feed's events in, a step each, and compares with the broker where that is due.

One step is one transaction (`smabot.engine.step`). The broker's answers are events of the next step.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import Any

from smabot.domain.book import Book
from smabot.domain.calendar import MINUTE
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Batch, Order, OrderUpdate
from smabot.engine.auditing.session_audit import SessionAudit
from smabot.engine.broker_access import Access
from smabot.engine.broker_connection import BrokerConnection
from smabot.engine.broker_news import BrokerNews
from smabot.engine.calendar_renewal import CalendarRenewal
from smabot.engine.commit import Commit
from smabot.engine.decisions import Decisions
from smabot.engine.execution.executor import Executor
from smabot.engine.execution.targets import Targets
from smabot.engine.following_actions import CorporateActions
from smabot.engine.gate import Gate
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.outbox import Outbox
from smabot.engine.price_requests import PriceRequests
from smabot.engine.pulse import Pulse
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.reconciling.running_comparison import Comparison
from smabot.engine.step import Step
from smabot.engine.surroundings import Surroundings
from smabot.engine.transaction import Transaction, Watcher
from smabot.errors import SmabotError
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Broker, Feed, Journal, goes_by_itself
from smabot.hooks.recovery_answers import Recovery
from smabot.settings.model import Config

STOP_SECONDS = 5.0
SURROUNDINGS = Surroundings()
NO_PULSE = Pulse()


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
        enterable: Collection[str] | None = None,
        surroundings: Surroundings = SURROUNDINGS,
    ) -> None:
        """``symbols``: those whose bars come; ``enterable``: those of them that may be entered, by
        default all; what is held of another one is only exited. ``surroundings``: threads beside
        this one, and clocks."""
        self.book = book
        self.stopping = threading.Event()
        provable = broker.visibility_delay is not None
        entered = symbols if enterable is None else enterable
        self.gate = Gate(config, book, plugins, feed, provable=provable, enterable=entered)
        standing = self.gate.standing
        self.access = Access(book, feed, surroundings.wall, config.unauthorized_minutes, standing)
        recovery = Recovery(
            config, book, journal, broker, feed, tuple(symbols), wait=surroundings.wait
        )
        self.comparison = Comparison(plugins, recovery, standing, self.access, surroundings)
        connection = BrokerConnection.to(broker, feed, self.access, surroundings)
        self._outbox = Outbox(connection, book, self.gate, journal.check_in_place)
        beside = goes_by_itself(broker)
        equity = MarkToMarket(book, plugins, config.equity_every_minutes)
        executor = Executor(config, book, plugins, self.gate)
        decisions = Decisions(
            book,
            plugins,
            equity,
            PriceRequests(book, feed, standing, surroundings.query("prices", beside=beside)),
            Targets(config, book, symbols),
            executor,
        )
        transaction = Transaction(book, journal, feed, watch)
        self._commit = Commit(
            book,
            transaction,
            journal,
            self._outbox,
            executor,
            standing,
            self.comparison,
        )
        news = BrokerNews(config.bot, book, plugins, self.comparison, equity, symbols)
        calendar = CalendarRenewal(
            book, broker, feed, surroundings.query("calendar", beside=beside)
        )
        self._step = Step(
            book,
            plugins,
            journal,
            surroundings.wall,
            calendar,
            CorporateActions(
                book, broker, feed, symbols, surroundings.query("actions", beside=beside)
            ),
            news,
            equity,
            decisions,
            self._commit,
            surroundings.pulse,
        )
        self._audit = SessionAudit(
            config, book, journal, broker, feed, surroundings.query("audit", beside=beside)
        )
        self._config = config
        self._plugins = plugins
        self._feed = feed

    def run(self, pulse: Pulse = NO_PULSE) -> str:
        """Process events until the feed ends, ``until`` is reached or a stop is asked for.

        ``pulse`` beats between two steps. Returns why it ended: ``ended``, ``until`` or ``stopped``. Raises
        SmabotError when it must not go on; everything committed stays, and nothing leaves any more.
        """
        try:
            outcome = self._loop(pulse)
            if outcome == "ended":
                self._audit_session()
            self._commit.commit()
        except BaseException:
            self.close()
            raise
        if outcome == "ended":
            self._await_answers()
        if answers := self._outbox.stop_sending(STOP_SECONDS):
            self.step(Batch(self._feed.now(), updates=tuple(answers)))
        return outcome

    def close(self) -> None:
        """Let nothing leave any more."""
        self._outbox.stop_sending(0.0)

    def take(self, batch: Batch) -> None:
        """Take in what the feed delivered, and compare with the broker where that is due.

        Raises ReconciliationConflict, which is kept among the events, and KeyRefused where the broker
        has not taken the key for too long; nothing leaves after it.
        """
        try:
            self._take(batch)
        except SmabotError:
            self._commit.commit_waiting()
            raise

    def _take(self, batch: Batch) -> None:
        if batch.time < self._step.calm_until and batch.is_quiet:
            answers = self._step.take_calmly(batch, fresh=self.is_fresh(batch))
            if batch.time < self._step.calm_until:
                return
            self._take_answers(answers)
        else:
            self._commit.note_feed(batch)
            self.access.feed_refused(batch.refused)
            if batch.resync:
                self.comparison.connection_lost()
                self.compare()
                self._outbox.query_status_now()
            if self.book.splits.is_awaited(batch.time):
                batch = self._follow_splits(batch)
            self.process(batch)
        if self.access.refusal or self.gate.standing.needs_comparison:
            self.comparison.ask_soon()
        if self.comparison.due:
            self.compare()
        self._audit_session()
        self.access.check_patience()
        self._step.look_ahead(self._audit.due_at)

    def _audit_session(self) -> None:
        """Audit a session once it has closed; movements of cash are booked before."""
        if self._audit.begins:
            self.comparison.read_cash_now()
            self.compare()
        if self._audit.update():
            self.process(Batch(self._feed.now()))

    def _follow_splits(self, batch: Batch) -> Batch:
        """Take in all of a batch but its bars, and look whether the broker has followed the splits that have
        begun; returns the bars, to be decided on."""
        self._step.take_news(replace(batch, bars=()))
        self.compare(pursue=False)
        return Batch(batch.time, bars=batch.bars, comes_again=batch.comes_again)

    def process(self, batch: Batch) -> None:
        """Take one batch in, then the broker's answers to what it caused.

        Bars are decided on while they are fresh; older ones only move the indicators.
        """
        for minute in batch.minutes():
            if answers := self._step.take(minute, fresh=self.is_fresh(minute)):
                self._take_answers(answers)

    def is_fresh(self, minute: Batch) -> bool:
        """Whether a minute's bars are new enough to decide on; no bars are not."""
        if not minute.bars:
            return False
        return self._feed.now() - minute.bars[0].time < self.gate.max_bar_age + MINUTE

    def step(self, batch: Batch, *, decide: bool = False) -> list[OrderUpdate]:
        """Apply a batch, let the plugins decide, commit, send. Returns the broker's answers."""
        return self._step.take(batch, fresh=decide)

    def compare(self, *, pursue: bool = True) -> None:
        """Compare with the broker; while it does not answer, exits pass and entries wait.

        Without ``pursue`` nothing is ordered for what it brings, as bars follow.
        """
        standing = self.gate.standing
        held_back, agreed_at = bool(standing.comparing), standing.agreed_at
        refused = standing.refused
        try:
            news = self.comparison.compare()
        except ReconciliationConflict as error:
            self._commit.keep_conflict(error)
            raise
        if standing.refused != refused:
            self._outbox.end_grants()
        awaited = standing.needs_comparison and standing.agreed_at != agreed_at
        self.book_cash(news.booked)
        updates = news.updates
        if news.followed or (updates and not pursue):
            self.adopt(updates, news.followed)
            updates = ()
        if pursue and (news or held_back or awaited):
            self.process(Batch(self._feed.now(), updates=updates))

    def book_cash(self, booked: Sequence[object]) -> None:
        """Book cash that moved without a trade, as a comparison without a conflict has found it."""
        if booked:
            self._step.book_cash(booked)

    def resume(self) -> list[Order]:
        """Begin to trade: adopt what an earlier process had committed, and perhaps not sent.

        From now on positions are pursued at every step. Returns the orders whose status is queried.
        """
        self._step.start_decisions()
        return self._outbox.adopt(self.book.open_orders())

    def adopt(self, updates: Sequence[OrderUpdate], remedies: Sequence[Any]) -> None:
        """Take the broker's word, in one transaction: its updates, then what resolves conflicts."""
        self._step.adopt(updates, remedies)

    def _loop(self, pulse: Pulse) -> str:
        until = self._config.until
        while not self.stopping.is_set():
            pulse.beat()
            if until is not None and self._feed.now() >= until:
                return "until"
            batch = self._feed.next(0.5)
            if batch is None:
                return "ended"
            pulse.begin_step()
            self.take(self._plugins.expected(Batch, "feed", "next()", batch))
        return "stopped"

    def _await_answers(self) -> None:
        """The data has ended: find out for a while what became of orders that are not answered."""
        until = self._outbox.seconds() + STOP_SECONDS
        while self._outbox.awaits_answers and self._outbox.seconds() < until:
            self._take_answers(self.step(Batch(self._feed.now())))

    def _take_answers(self, answers: list[OrderUpdate]) -> None:
        while answers:
            answers = self.step(Batch(self._feed.now(), updates=tuple(answers)))
