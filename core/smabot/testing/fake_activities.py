"""What a fake exchange tells of its account: scripted movements of cash, and its executions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from smabot.domain.frozen_classes import frozen
from smabot.domain.records import ZERO
from smabot.hooks.account_activities import BrokerExecution, CashActivity


@frozen
class CashMove:
    """Cash that moves at a time of the exchange, UTC; its activity is listed then, or from ``listed_at`` on."""

    at: datetime
    activity: CashActivity
    listed_at: datetime | None = None


class FakeActivities:
    """The account's activities. A copy shares them: what is added makes a new list."""

    def __init__(self, moves: Iterable[CashMove] = ()) -> None:
        self._moves = sorted(moves, key=lambda move: move.at)
        self._executions: tuple[BrokerExecution, ...] = ()

    def moved(self, after: datetime, until: datetime) -> Decimal:
        """Return the cash that moves after a time, until another one, US dollars."""
        amounts = (move.activity.amount for move in self._moves if after < move.at <= until)
        return sum(amounts, ZERO)

    def listed(self, now: datetime, since: date) -> list[CashActivity]:
        """Return the activities that are listed by now."""
        return [
            move.activity
            for move in self._moves
            if (move.listed_at or move.at) <= now and move.activity.booked_on >= since
        ]

    def with_execution(self, execution: BrokerExecution) -> FakeActivities:
        """Return the same with one more execution."""
        more = FakeActivities(self._moves)
        more._executions = (*self._executions, execution)
        return more

    def executions(self, since: datetime) -> list[BrokerExecution]:
        return [each for each in self._executions if each.time >= since]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeActivities) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]
