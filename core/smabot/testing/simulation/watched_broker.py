"""A plugin's own broker, in the simulation: notes the exits and cancels that it turns away itself, and what it says
about the account."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar

from smabot.domain.calendar import Calendar
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import Order, OrderUpdate
from smabot.errors import AccountBlocked, BrokerError, NotSent
from smabot.hooks.account_activities import (
    AccountActivities,
    BrokerExecution,
    CashActivity,
    tells_activities,
)
from smabot.hooks.optional_ports import announces_actions
from smabot.hooks.ports import BrokerAccount, BrokerOrder, BrokerPosition, RemoteBroker
from smabot.hooks.simulated_machine import SimulatedClient, SimulatedMachine
from smabot.testing.simulation.wire import AccountWatch

T = TypeVar("T")


class TurnedAway(Protocol):
    """Is called with what was not sent (``exit`` or ``cancel``), its order, when it was asked for, and why."""

    def __call__(self, what: str, order: Order, begun: datetime, why: NotSent) -> None: ...


def watched_clients(
    clients: Callable[[SimulatedMachine], SimulatedClient],
    clock: Callable[[], datetime],
    turned_away: TurnedAway,
    account: AccountWatch,
) -> Callable[[SimulatedMachine], SimulatedClient]:
    """Return what makes the same clients, their remote brokers watched."""

    def client(machine: SimulatedMachine) -> SimulatedClient:
        made = clients(machine)
        if not isinstance(made.broker, RemoteBroker):
            return made
        return SimulatedClient(WatchedBroker(made.broker, clock, turned_away, account), made.feed)

    return client


class WatchedBroker:
    """`RemoteBroker`, all of it another one's."""

    def __init__(
        self,
        broker: RemoteBroker,
        clock: Callable[[], datetime],
        turned_away: TurnedAway,
        account: AccountWatch,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._turned_away = turned_away
        self._account = account
        self.name = broker.name

    @property
    def visibility_delay(self) -> timedelta | None:
        return self._broker.visibility_delay

    @property
    def stepped(self) -> bool:
        return self._broker.stepped

    @property
    def lookups(self) -> Sequence[float]:
        return self._broker.lookups

    def submit(self, order: Order) -> OrderUpdate:
        try:
            if not order.reduces:
                return self._broker.submit(order)
            return self._watched("exit", order, self._broker.submit)
        except AccountBlocked:
            self._account.account_refused()
            raise

    def cancel(self, order: Order) -> None:
        self._watched("cancel", order, self._broker.cancel)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._broker.order(client_order_id)

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        return self._broker.orders(since)

    def positions(self) -> list[BrokerPosition]:
        return self._broker.positions()

    def account(self) -> BrokerAccount:
        question = self._account.account_queried()
        account = self._broker.account()
        self._account.account_known(question, account.blocked)
        return account

    def cash_activities(self, since: date) -> list[CashActivity]:
        return self._activities.cash_activities(since)

    def executions(self, since: datetime) -> list[BrokerExecution]:
        return self._activities.executions(since)

    @property
    def _activities(self) -> AccountActivities:
        if not tells_activities(self._broker):
            raise BrokerError("the broker does not list the account's activities")
        return self._broker

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        if not announces_actions(self._broker):
            return []
        return self._broker.corporate_actions(symbols, since, until)

    def calendar(self) -> Calendar:
        return self._broker.calendar()

    def close(self) -> None:
        self._broker.close()

    def _watched(self, what: str, order: Order, ask: Callable[[Order], T]) -> T:
        begun = self._clock()
        try:
            return ask(order)
        except NotSent as why:
            self._turned_away(what, order, begun, why)
            raise
