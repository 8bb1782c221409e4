"""What a broker tells of an account's past, as a protocol: cash that moved, and each execution.

A broker without it keeps working: cash that differs is then adopted without an explanation, and there is no audit.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeGuard, runtime_checkable

from smabot.domain.cash_movements import CashKind
from smabot.domain.frozen_classes import frozen
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO

_KINDS = {
    "CSD": CashKind.DEPOSIT,
    "CSW": CashKind.WITHDRAWAL,
    "ACATC": CashKind.JOURNAL,
    "JNL": CashKind.JOURNAL,
    "JNLC": CashKind.JOURNAL,
    "CGD": CashKind.DIVIDEND,
    "CFEE": CashKind.FEE,
    "FEE": CashKind.FEE,
    "PTC": CashKind.FEE,
}


def cash_kind(code: str) -> CashKind:
    """Return why cash moved, by the code that Alpaca gives an activity, as ``DIVNRA``.

    https://docs.alpaca.markets/docs/account-activities

    >>> cash_kind("DIVNRA"), cash_kind("CSD"), cash_kind("MISC")
    (<CashKind.DIVIDEND: 'dividend'>, <CashKind.DEPOSIT: 'deposit'>, <CashKind.OTHER: 'other'>)
    """
    if code.startswith("DIV"):
        return CashKind.DIVIDEND
    if code.startswith("INT"):
        return CashKind.INTEREST
    return _KINDS.get(code, CashKind.OTHER)


@frozen
class CashActivity:
    """Cash that came to the account, or left it, without a trade. ``amount`` is signed, US dollars.

    ``activity_id`` is the broker's, unique and the same each time; ``booked_on`` the broker's date.
    """

    activity_id: str
    kind: CashKind
    amount: Decimal
    booked_on: date
    symbol: str = ""
    description: str = ""


@frozen
class BrokerExecution:
    """One execution of an order: a fill may be many. ``time`` is UTC; ``price`` and ``fees`` are US dollars."""

    execution_id: str
    broker_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    time: datetime
    fees: Decimal = ZERO


@runtime_checkable
class AccountActivities(Protocol):
    """A broker that lists what has happened in the account. Core may call it from another thread."""

    def cash_activities(self, since: date) -> list[CashActivity]:
        """Return the movements of cash that are booked on a date or later, oldest first.

        One may appear later than it is dated, and later than the cash moved. Raises BrokerError.
        """
        ...

    def executions(self, since: datetime) -> list[BrokerExecution]:
        """Return the executions at a time or later, oldest first, also those of others' orders.

        Raises BrokerError.
        """
        ...


def tells_activities(broker: Any) -> TypeGuard[AccountActivities]:
    """Whether a broker lists the account's activities."""
    return hasattr(broker, "cash_activities") and hasattr(broker, "executions")
