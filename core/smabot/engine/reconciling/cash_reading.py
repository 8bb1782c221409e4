"""When the broker is asked which cash has moved: where its cash differs, and once a trading date."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from loguru import logger

from smabot.domain.calendar import new_york_date
from smabot.domain.cash_movements import CashMovement
from smabot.domain.unearned_changes import cash_differs
from smabot.engine.reconciling.broker_snapshot import BrokerSnapshot, CashQuestion
from smabot.engine.reconciling.cash_activities import cash_since, unbooked
from smabot.errors import BrokerError
from smabot.hooks.account_activities import CashActivity, tells_activities
from smabot.hooks.recovery_answers import Recovery


class CashReading:
    """Reads new movements of cash. What can't be read is asked for again at the next comparison."""

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery
        self._read_on: date | None = None
        """The New York date on which they were read last."""

    def question(self) -> CashQuestion | None:
        """Return what a snapshot is to ask; None: nothing."""
        book = self._recovery.book
        since = cash_since(book, self._recovery.journal)
        if since is None or book.account is None or not tells_activities(self._recovery.broker):
            return None
        return CashQuestion(since, None if self._is_due else book.account.cash)

    def movements(self, broker: Any, cash: Decimal | None) -> tuple[CashMovement, ...]:
        """Return the movements that are not booked yet, oldest first.

        ``broker`` is a snapshot, or is asked now where its ``cash`` differs or the day's reading is due.
        """
        recovery = self._recovery
        try:
            found = self._answers(broker, cash)
        except BrokerError as error:
            logger.info("movements of cash can't be read: {}", error)
            return ()
        if found is None:
            return ()
        now = recovery.clock.now()
        self._read_on = new_york_date(now)
        return unbooked(found, recovery.journal, now)

    def read_again(self) -> None:
        """Let the next reading be due at once."""
        self._read_on = None

    @property
    def _is_due(self) -> bool:
        return self._read_on != new_york_date(self._recovery.clock.now())

    def _answers(self, broker: Any, cash: Decimal | None) -> list[CashActivity] | None:
        if isinstance(broker, BrokerSnapshot):
            return broker.asked_activities()
        if not tells_activities(broker):
            return None
        if cash is not None and not self._is_due and not cash_differs(self._recovery.book, cash):
            return None
        since = cash_since(self._recovery.book, self._recovery.journal)
        return None if since is None else broker.cash_activities(since)
