"""The end of a step: one commit, and only then what it decided may leave.

A step in which nothing but bars came, and that left nothing to send or to ask, may wait for the commit
of a later one: quiet minutes share a commit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.records import Batch, OrderUpdate
from smabot.engine.execution.executor import Executor
from smabot.engine.gate import UNCONFIRMED, Standing
from smabot.engine.outbox import Outbox
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.reconciling.running_comparison import Comparison, conflict_events
from smabot.engine.transaction import Transaction
from smabot.errors import PluginError
from smabot.hooks.ports import Journal


class Commit:
    """Keeps all that a step changed, in one transaction, and hands its orders to the outbox."""

    def __init__(
        self,
        book: Book,
        transaction: Transaction,
        journal: Journal,
        outbox: Outbox,
        executor: Executor,
        standing: Standing,
        comparison: Comparison,
    ) -> None:
        self.broken: PluginError | None = None
        """What a plugin raised in this step: raised once the step is committed."""
        self._book = book
        self._transaction = transaction
        self._journal = journal
        self._outbox = outbox
        self._executor = executor
        self._standing = standing
        self._comparison = comparison
        self._feed_trouble = ""
        self._judged_by: tuple[Any, ...] = ()

    def note_feed(self, batch: Batch) -> None:
        """Keep the loss of order updates, and its end, among the events."""
        was, self._feed_trouble = self._feed_trouble, batch.doubt
        if batch.doubt and not was:
            self._book.apply(Event(batch.time, "stream_lost", "", batch.doubt, grave=True))
        elif was and not batch.doubt:
            self._book.apply(Event(batch.time, "stream_back", "", "order updates arrive again"))

    def commit(self) -> None:
        """Commit the step. Whatever changed what the gate goes by ends all grants first.

        Raises JournalError, and what a plugin raised.
        """
        self._standing.unconfirmed = self._why_unconfirmed()
        judged_by = self._judged_now()
        if judged_by != self._judged_by:
            self._judged_by = judged_by
            self._outbox.end_grants()
        self._transaction.take_step()
        self._transaction.commit(keep=True)
        if made := self._executor.made:
            self._executor.made = []
            for order in made:
                self._outbox.add(order)
        if broken := self.broken or self._executor.broken:
            raise broken

    def may_wait(self, batch: Batch) -> bool:
        """Let a quiet minute wait for a later commit; False where it is to be committed now."""
        calm = batch.is_quiet and not self._comparison.due and self.is_calm
        return calm and self.may_still_wait()

    @property
    def is_calm(self) -> bool:
        """Whether nothing is open, sent or asked for, and the broker's word is good."""
        standing = self._standing
        doubt = self._why_unconfirmed() or standing.degraded or standing.needs_comparison
        return self._book.at_rest and self._outbox.idle and not doubt

    def may_still_wait(self) -> bool:
        """The same where all was calm before the minute, and its bars alone may have changed that."""
        quiet = (
            self._book.at_rest
            and not self._executor.made
            and self._judged_now() == self._judged_by
            and not self._transaction.is_full
        )
        if quiet:
            self._transaction.take_step()
        return quiet

    def compare_soon(self) -> None:
        """Let the next comparison with the broker be within seconds."""
        self._comparison.ask_soon()

    @property
    def compares_at(self) -> datetime:
        """When the next comparison with the broker is due."""
        return self._comparison.due_at

    def commit_waiting(self) -> None:
        """Commit the quiet minutes that wait, without what a step has left unfinished."""
        self._transaction.commit()

    def send(self) -> list[OrderUpdate]:
        """Send what may leave; returns the answers, events of the next step. Raises JournalError."""
        self._journal.check_in_place()
        return self._outbox.flush()

    def keep_conflict(self, error: ReconciliationConflict) -> None:
        """Keep a conflict among the events, before the run ends by it."""
        first = error.conflicts[0]
        self._standing.conflict = f"conflict: {first.kind} {first.what}"
        for event in conflict_events(error.conflicts, self._book.now):
            self._book.apply(event)
        self.commit()

    def _why_unconfirmed(self) -> str:
        """Why the broker's word can't be trusted just now, or nothing."""
        trouble = self._feed_trouble or self._comparison.why_degraded
        return trouble and f"{UNCONFIRMED}: {trouble}"

    def _judged_now(self) -> tuple[Any, ...]:
        standing = self._standing
        return self._book.stances, standing.degraded, standing.conflict, standing.unpriced
