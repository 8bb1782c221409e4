"""What others traded in the account, by their orders: each share counts once, however it filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from smabot.provider import ZERO, Adjustment, Book, BrokerOrder, money

TakenOf = Callable[[BrokerOrder], Sequence[Adjustment]]


@dataclass(frozen=True, slots=True)
class Trade:
    """What an order of somebody else has filled since it was last taken over: signed shares, and the
    signed cash that came to the account by them."""

    client_order_id: str
    symbol: str
    qty: Decimal
    cash: Decimal


def untaken(book: Book, orders: Sequence[BrokerOrder], taken_of: TakenOf) -> list[Trade]:
    """Return what others have traded and no adjustment has taken over yet, oldest first."""
    trades = []
    for order in sorted(orders, key=lambda o: o.filled_at or o.updated_at):
        if not order.filled_qty or book.order(order.client_order_id) is not None:
            continue
        taken = taken_of(order)
        qty = order.filled_qty * order.side.sign
        value = money(qty * (order.filled_avg_price or ZERO))
        qty -= sum((row.qty for row in taken), ZERO)
        cash = -value - sum((row.cash for row in taken), ZERO)
        if qty * cash < 0:
            trades.append(Trade(order.client_order_id, order.symbol, qty, cash))
    return trades


def newest(trades: Sequence[Trade], change: Decimal) -> Sequence[Trade] | None:
    """Return the newest of a symbol's trades that together make a change of its shares."""
    shares = ZERO
    for start in reversed(range(len(trades))):
        shares += trades[start].qty
        if shares == change:
            return trades[start:]
    return None


def come_and_gone(trades: Sequence[Trade], change: Decimal) -> Sequence[Trade]:
    """Return a symbol's trades that together left no share, before those that made its change."""
    made = newest(trades, change) if change else ()
    if made is None:
        return ()
    before = trades[: len(trades) - len(made)]
    shares, begin = ZERO, len(before)
    for start in reversed(range(len(before))):
        shares += before[start].qty
        if not shares:
            begin = start
    return before[begin:]
