"""What a process was shown, and may therefore send: orders after a comparison, entries while updates arrive and
its account may trade."""

from __future__ import annotations

from smabot.domain.bot_records import Event
from smabot.domain.records import Batch, Order
from smabot.testing.simulation.databases import Database


class ProcessKnowledge:
    """Of one process after the other: `begin` forgets what the last one knew."""

    def __init__(self, journal: Database) -> None:
        self._journal = journal
        self._conflicts = 0
        self._number = 0
        self._compared = False
        self._reconnected = False
        self._updates_missing = ""
        self._refusals = 0
        self._blocked = False

    def begin(self) -> None:
        """Another process begins."""
        self._forget_comparison()
        self._conflicts = self._kept_conflicts()
        self._reconnected, self._updates_missing = False, ""
        self._blocked = False

    def batch_taken(self, batch: Batch) -> None:
        """Note what the process takes from its feed."""
        self._updates_missing = batch.doubt
        if batch.resync:
            self._forget_comparison()
            self._reconnected = True

    def question_begins(self) -> int:
        """Positions are queried; `positions_known` takes what this returns."""
        return self._number

    def positions_known(self, question: int) -> None:
        """The broker has answered: it counts where nothing was lost since the question."""
        self._compared = self._compared or question == self._number

    def account_refused(self) -> None:
        """An order was refused, as the account may not trade."""
        self._refusals += 1
        self._blocked = True

    def account_queried(self) -> int:
        """The account is queried; `account_known` takes what this returns."""
        return self._refusals

    def account_known(self, question: int, blocked: str) -> None:
        """The broker has answered: that it may trade counts where no order was refused since the question."""
        if question == self._refusals and not blocked:
            self._blocked = False

    def forbids(self, order: Order) -> str:
        """Return why a process may not send an order now; empty: it may."""
        if self._kept_conflicts() > self._conflicts:
            return "after its process has committed a conflict"
        if not self._compared and not self._reconnected:
            return "before its process has compared positions"
        if order.reduces:
            return ""
        if self._updates_missing:
            return f"while {self._updates_missing}"
        if self._blocked:
            return "after its account was refused"
        return "" if self._compared else "before positions were compared after the lost connection"

    def _kept_conflicts(self) -> int:
        return self._journal.count(Event, where={"kind": "conflict"})

    def _forget_comparison(self) -> None:
        self._number += 1
        self._compared = False
