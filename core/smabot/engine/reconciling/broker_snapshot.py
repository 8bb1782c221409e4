"""A snapshot of a remote broker: what reconciliation compares, asked in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from smabot.errors import BrokerError, PartlyUnreadable
from smabot.hooks.account_activities import AccountActivities, CashActivity
from smabot.hooks.ports import Broker, BrokerAccount, BrokerOrder, BrokerPosition
from smabot.system.background_query import BackgroundQuery

T = TypeVar("T")


class CashQuestion(NamedTuple):
    """Asks for the activities since a date where the broker's cash is not ``cash``; None: whatever it is."""

    since: date
    cash: Decimal | None


class BrokerSnapshot:
    """What the broker said at one time, to be asked again in its place.

    A question that it did not answer raises its BrokerError again.
    """

    def __init__(
        self,
        broker: Broker,
        since: datetime | None,
        ours: Collection[str],
        moved: CashQuestion | None = None,
    ) -> None:
        """Ask everything now: the account, orders, each of ours by its id, positions, and moved cash."""
        self._broker = broker
        self._since = since
        self._orders: Callable[[], list[BrokerOrder]] = _asked(partial(broker.orders, since))
        self._single: dict[str, Callable[[], BrokerOrder | None]] = {}
        for name in sorted(set(ours) - self._listed()):
            self._single[name] = _asked(partial(broker.order, name))
        self._positions: Callable[[], list[BrokerPosition]] = _asked(broker.positions)
        self._account: Callable[[], BrokerAccount] = _asked(broker.account)
        self._activities: Callable[[], list[CashActivity]] | None = None
        if moved is not None and self._is_moved(moved.cash):
            self._activities = _asked(partial(self._broker_activities, moved.since))

    def _listed(self) -> set[str]:
        try:
            return {order.client_order_id for order in self._orders()}
        except PartlyUnreadable as error:
            return {order.client_order_id for order in error.readable}
        except BrokerError:
            return set()

    def _is_moved(self, cash: Decimal | None) -> bool:
        try:
            return cash is None or self._account().cash != cash
        except BrokerError:
            return False

    def _broker_activities(self, since: date) -> list[CashActivity]:
        return cast(AccountActivities, self._broker).cash_activities(since)

    def account(self) -> BrokerAccount:
        return self._account()

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        return self._orders()

    def order(self, client_order_id: str) -> BrokerOrder | None:
        if client_order_id not in self._single:
            raise BrokerError(f"order {client_order_id} was not asked for")
        return self._single[client_order_id]()

    def positions(self) -> list[BrokerPosition]:
        return self._positions()

    def asked_activities(self) -> list[CashActivity] | None:
        """Return the activities; None: they were not asked for. Raises BrokerError."""
        return None if self._activities is None else self._activities()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


class SnapshotRequest:
    """One set of questions at a time, in a thread of its own."""

    def __init__(self, broker: Broker, question: BackgroundQuery[BrokerSnapshot]) -> None:
        self._broker = broker
        self._question = question

    @property
    def under_way(self) -> bool:
        """Whether questions were asked whose answers have not been taken yet."""
        return self._question.under_way

    def begin(
        self,
        since: datetime | None,
        ours: Collection[str],
        moved: CashQuestion | None = None,
    ) -> None:
        """Ask, also for each of our orders that may still change, by its id."""
        self._question.begin(lambda: BrokerSnapshot(self._broker, since, ours, moved))

    def take(self) -> Broker | None:
        """Return the answers once they are all there, else None. Raises what asking raised, where it
        was no BrokerError."""
        return cast(Broker, self._question.take_answer()) if self._question.answered else None


def _asked(question: Callable[[], T]) -> Callable[[], T]:
    """Ask, and return a function that gives the answer, or raises what was raised."""
    try:
        answer = question()
    except BrokerError as error:
        failure = error

        def fail() -> T:
            raise failure

        return fail
    return lambda: answer
