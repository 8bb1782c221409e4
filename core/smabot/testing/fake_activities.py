"""What a fake exchange tells of its account: scripted movements of cash, and its executions."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
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
    """The account's cash, what moves it without a trade, and its executions."""

    def __init__(self, cash: Decimal, moves: Iterable[CashMove] = ()) -> None:
        self.cash = cash
        self._moves = tuple(sorted(moves, key=lambda move: move.at))
        self._executions: tuple[BrokerExecution, ...] = ()

    def copy(self) -> FakeActivities:
        """Return the same, which goes its own way."""
        return copy(self)

    def move_cash(self, after: datetime, until: datetime) -> None:
        """Let the cash move that moves after a time, until another one."""
        amounts = (move.activity.amount for move in self._moves if after < move.at <= until)
        self.cash += sum(amounts, ZERO)

    def listed(self, now: datetime, since: date) -> list[CashActivity]:
        """Return the activities that are listed by now."""
        return [
            move.activity
            for move in self._moves
            if (move.listed_at or move.at) <= now and move.activity.booked_on >= since
        ]

    def add(self, execution: BrokerExecution) -> None:
        """Note an execution, whose cash has moved."""
        self._executions = (*self._executions, execution)

    def executions(self, since: datetime) -> list[BrokerExecution]:
        return [each for each in self._executions if each.time >= since]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeActivities) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]
