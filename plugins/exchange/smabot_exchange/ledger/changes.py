"""What is written to the ledger at once, and what moved the account in the past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from smabot.provider import ZERO, Bar
from smabot_exchange.data.corporate_actions import ListedAction
from smabot_exchange.matching.account import ExchangePosition, LastDay
from smabot_exchange.matching.activity_notes import ActivityNote
from smabot_exchange.matching.open_orders import ChangedOrders
from smabot_exchange.matching.orders import Execution


class CashActivityEntry(NamedTuple):
    """Cash that moved without a trade: ``number`` is its place among all that came from outside."""

    number: int
    time: datetime
    cash: Decimal
    note: ActivityNote

    def is_shown(self, now: datetime) -> bool:
        """Whether it is listed at a time."""
        after = self.note.shown_after
        return after is not None and self.time + after <= now


class OutsideChange(NamedTuple):
    """What came from outside: signed shares of a symbol at a cost, or cash; US dollars."""

    symbol: str | None
    qty: Decimal
    price: Decimal
    cash: Decimal
    activity: ActivityNote | None = None


class AccountMovement(NamedTuple):
    """Signed shares and cash that came to the account at a time."""

    time: datetime
    symbol: str | None
    qty: Decimal
    cash: Decimal
    from_outside: bool


def movements(
    executions: Iterable[Execution],
    outside: Iterable[AccountMovement],
    actions: Iterable[ListedAction] = (),
) -> list[AccountMovement]:
    """Return all that ever moved shares or cash: fills, what came from outside, splits; by time."""
    fills = [
        AccountMovement(
            fill.time, fill.symbol, fill.qty * fill.side.sign,
            -fill.qty * fill.price * fill.side.sign - fill.fees, from_outside=False,
        )
        for fill in executions
    ]  # fmt: skip
    return sorted(
        [*fills, *outside, *exchanged_shares(actions)], key=lambda movement: movement.time
    )


def exchanged_shares(actions: Iterable[ListedAction]) -> Iterator[AccountMovement]:
    """Yield what corporate actions took and gave: shares of one symbol for those of the same or another."""
    for each in actions:
        if each.followed_at is not None and each.qty_before:
            action, time = each.action, each.followed_at
            for symbol, qty in (
                (action.symbol, -each.qty_before),
                (action.new_symbol or action.symbol, each.qty_after),
            ):
                yield AccountMovement(time, symbol, qty, ZERO, from_outside=False)


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
    actions: Sequence[ListedAction] = ()
