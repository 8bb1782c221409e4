"""External trades: what others traded in the account, by their orders. Each share counts once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from smabot.provider import ZERO, Adjustment, Book, BrokerOrder, money

AcceptedOf = Callable[[BrokerOrder], Sequence[Adjustment]]


@dataclass(frozen=True, slots=True)
class ExternalTrade:
    """What an external order has filled since it was last accepted: signed shares, and the signed cash that
    came to the account by them, less fees."""

    client_order_id: str
    symbol: str
    qty: Decimal
    cash: Decimal


def unaccepted_trades(
    book: Book, orders: Sequence[BrokerOrder], accepted_of: AcceptedOf
) -> list[ExternalTrade]:
    """Return the external trades that no adjustment has accepted yet, oldest first."""
    trades = []
    for order in sorted(orders, key=lambda o: o.filled_at or o.updated_at):
        if not order.filled_qty or book.order(order.client_order_id) is not None:
            continue
        accepted = accepted_of(order)
        qty = order.filled_qty * order.side.sign
        value = money(qty * (order.filled_avg_price or ZERO))
        qty -= sum((row.qty for row in accepted), ZERO)
        cash = -value - order.fees - sum((row.cash for row in accepted), ZERO)
        if qty * cash < 0:
            trades.append(ExternalTrade(order.client_order_id, order.symbol, qty, cash))
    return trades


def newest_trades_making(
    trades: Sequence[ExternalTrade], change: Decimal
) -> Sequence[ExternalTrade] | None:
    """Return the newest of a symbol's trades that together make a change of its shares; None: none do."""
    shares = ZERO
    for start in reversed(range(len(trades))):
        shares += trades[start].qty
        if shares == change:
            return trades[start:]
    return None


def trades_without_change(
    trades: Sequence[ExternalTrade], change: Decimal
) -> Sequence[ExternalTrade]:
    """Return a symbol's trades that together left no share, before those that made its change."""
    made = newest_trades_making(trades, change) if change else ()
    if made is None:
        return ()
    before = trades[: len(trades) - len(made)]
    shares, begin = ZERO, len(before)
    for start in reversed(range(len(before))):
        shares += before[start].qty
        if not shares:
            begin = start
    return before[begin:]
