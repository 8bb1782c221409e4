"""One step, one transaction: events in, decisions, a commit, and only then what may leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smabot.domain.bar_checks import bad_bar_event, is_valid_bar
from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Command
from smabot.domain.records import BarRevision, Batch, OrderUpdate
from smabot.engine.broker_news import BrokerNews
from smabot.engine.calendar_renewal import CalendarRenewal
from smabot.engine.commit import Commit
from smabot.engine.decisions import Decisions
from smabot.engine.following_actions import CorporateActions
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.operator_commands import carry_out
from smabot.engine.pulse import Pulse
from smabot.engine.reconciling.cash_activities import booking
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.windows import newest_bar_end, show_windows
from smabot.hooks.plugins import Plugins
from smabot.hooks.ports import Journal
from smabot.system.wall_clock import Wall


class Step:
    """What happens between a batch of events and its orders' leaving."""

    def __init__(
        self,
        book: Book,
        plugins: Plugins,
        journal: Journal,
        wall: Wall,
        calendar: CalendarRenewal,
        actions: CorporateActions,
        news: BrokerNews,
        equity: MarkToMarket,
        decisions: Decisions,
        commit: Commit,
        pulse: Pulse,
    ) -> None:
        self._book = book
        self._plugins = plugins
        self._journal = journal
        self._wall = wall
        self._calendar = calendar
        self._actions = actions
        self._news = news
        self._equity = equity
        self._decisions = decisions
        self._commit = commit
        self._pulse = pulse
        self.calm_until = EPOCH
        """Before this time a quiet minute's bars are all there is to look at; not calm: long ago."""

    def take(self, batch: Batch, *, fresh: bool) -> list[OrderUpdate]:
        """Take a batch in and return the broker's answers to what it caused.

        Raises ReconciliationConflict, which is kept among the events first.
        """
        self._begin(batch)
        commands = self._journal.commands()
        flatten = bool(commands) and self._carry_out(commands)
        self._take_in(batch)
        self._decisions.decide(batch, fresh=fresh, flatten=flatten)
        waits = not commands and self._commit.may_wait(batch)
        return [] if waits else self._commit_and_send()

    def take_news(self, batch: Batch) -> None:
        """Take in and commit all that came with bars, and decide nothing yet: the bars follow."""
        self._begin(batch)
        self._take_in(batch)
        self.calm_until = EPOCH
        self._commit.commit()

    def start_decisions(self) -> None:
        """From now on act on positions: events arrive."""
        self._decisions.started = True

    def look_ahead(self, audit_at: datetime) -> None:
        """Find out until when nothing but bars can change anything; ``audit_at``: when an audit is due."""
        times = self._calendar.due_at, self._actions.due_at, self._commit.compares_at, audit_at
        self.calm_until = min(times) if self._commit.is_calm else EPOCH

    def take_calmly(self, minute: Batch, *, fresh: bool) -> list[OrderUpdate]:
        """Take a quiet minute as `take` does, before `calm_until`: looks only at what bars may change."""
        if self._journal.commands():
            return self.take(minute, fresh=fresh)
        self._book.now = minute.time
        self._decisions.decide_calmly(minute, fresh=fresh)
        return [] if self._commit.may_still_wait() else self._commit_and_send()

    def book_cash(self, found: Sequence[object]) -> None:
        """Book cash that moved without a trade. Equity is marked at once, so that each point has it from now on."""
        for row in booking(found, self._book, self._journal):
            self._book.apply(row)
        self._equity.mark_at(self._book.now)

    def adopt(self, updates: Sequence[OrderUpdate], remedies: Sequence[Any]) -> None:
        """Take the broker's word, in one transaction: its updates, then what resolves conflicts.

        Equity is marked at once, so that every later point has what came or went from outside.
        """
        self._apply_news(updates)
        for record in remedies:
            if isinstance(record, OrderUpdate):
                self._apply_news([record])
            else:
                self._book.apply(record)
        self._equity.mark_at(self._book.now)
        self._commit.commit()

    def _begin(self, batch: Batch) -> None:
        self._book.now = max(self._book.now, batch.time)
        self._equity.end_calm()
        self._calendar.update()
        self._actions.update()

    def _take_in(self, batch: Batch) -> None:
        """Apply all of a batch but its bars, and follow the splits that have begun."""
        book = self._book
        if batch.updates:
            self._apply_news(batch.updates)
        if self._actions.follow():
            self._show_again()
        for event in batch.events:
            book.apply(event)
        for bar in batch.revisions:
            valid = is_valid_bar(bar)
            book.apply(BarRevision.of(bar, batch.time) if valid else bad_bar_event(bar, batch.time))

    def _show_again(self) -> None:
        """Show the strategies their windows again, as a restart would: prices are in other shares now."""
        self._commit.commit()
        self._commit.compare_soon()
        newest = newest_bar_end(self._book)
        if newest is not None:
            symbols = list(self._book.last)
            show_windows(self._book, self._plugins, self._journal, symbols, self._pulse, newest)

    def _commit_and_send(self) -> list[OrderUpdate]:
        self.calm_until = EPOCH
        self._equity.end_calm()
        self._commit.commit()
        return self._commit.send()

    def _carry_out(self, commands: Sequence[Command]) -> bool:
        """Carry out the operator's commands; returns whether one of them was a flatten."""
        carried = carry_out(commands, self._plugins, self._book, self._wall)
        self._commit.broken = self._commit.broken or carried.failure
        return carried.flattened

    def _apply_news(self, updates: Sequence[OrderUpdate]) -> None:
        try:
            self._news.apply(updates)
        except ReconciliationConflict as error:
            self._commit.keep_conflict(error)
            raise
