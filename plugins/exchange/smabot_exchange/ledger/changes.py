"""What is written to the ledger at once, and what moved the account in the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from smabot.provider import Bar
from smabot_exchange.matching.account import ExchangePosition, LastDay
from smabot_exchange.matching.open_orders import ChangedOrders
from smabot_exchange.matching.orders import Execution


class OutsideChange(NamedTuple):
    """What came from outside: signed shares of a symbol at a cost, or cash; US dollars."""

    symbol: str | None
    qty: Decimal
    price: Decimal
    cash: Decimal


class AccountMovement(NamedTuple):
    """Signed shares and cash that came to the account at a time."""

    time: datetime
    symbol: str | None
    qty: Decimal
    cash: Decimal
    from_outside: bool


@dataclass(frozen=True, slots=True)
class LedgerChange:
    """What is committed at once. A position that is closed is None.

    ``withheld`` are bars that are no more, as their symbol was halted.
    """

    now: datetime
    minutes_played: int
    cash: Decimal
    last_day: LastDay
    orders: ChangedOrders
    executions: Sequence[Execution] = ()
    positions: Mapping[str, ExchangePosition | None] | None = None
    adjustment: OutsideChange | None = None
    withheld: Sequence[Bar] = ()
