"""What the broker says of a span: executions, moved cash, the orders' names, and the cash of now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from smabot.domain.frozen_classes import frozen
from smabot.errors import ConfigError, PartlyUnreadable
from smabot.hooks.account_activities import BrokerExecution, CashActivity, tells_activities
from smabot.hooks.ports import Broker

NO_ACTIVITIES = "does not list the account's activities: there is nothing to audit it by"


@frozen
class Statement:
    """The broker's account activities. ``names`` has the client order ids by the broker's."""

    account_id: str
    executions: tuple[BrokerExecution, ...]
    activities: tuple[CashActivity, ...]
    names: Mapping[str, str]
    cash: Decimal


def ask_statement(asked: Broker, since: datetime, cash_since: date | None) -> Statement:
    """Ask for all from a time on, and for movements of cash booked from a date on; None: for none.

    Raises BrokerError, and ConfigError where the broker lists no activities.
    """
    activities_of: Any = asked
    if not tells_activities(activities_of):
        raise ConfigError(f"the broker {asked.name} {NO_ACTIVITIES}")
    account = asked.account()
    executions = activities_of.executions(since)
    activities = [] if cash_since is None else activities_of.cash_activities(cash_since)
    try:
        orders = asked.orders(since) if executions else []
    except PartlyUnreadable as error:
        orders = error.readable
    names = {each.broker_order_id: each.client_order_id for each in orders}
    return Statement(account.account_id, tuple(executions), tuple(activities), names, account.cash)
