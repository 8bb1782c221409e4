"""What fills at the built-in exchange cost by their prices: half the spread, and slippage.

A market order there fills at the open of a bar, which is a mid price, made worse by both. So the bars that are stored
tell the costs to the cent. A limit order's mid price is not known when it fills at its limit: it counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from smabot.domain.order_terms import OrderType
from smabot.domain.records import ZERO, Account, Fill, Order, money
from smabot.hooks.optional_ports import BarRows

EXCHANGE = "exchange"
"""The broker whose fills come from its bars. Elsewhere a minute's open is not the price that an order met."""


def price_costs(rows: Any, fills: Iterable[Fill]) -> Decimal | None:
    """Return what market orders' fills paid more than the mid price, in US dollars.

    None where that is not known: at another broker, and of fills whose bars were pruned.
    """
    if {account.broker for account in rows.rows(Account)} != {EXCHANGE}:
        return None
    limited = rows.rows(Order, where={"type": OrderType.LIMIT})
    uncounted = {order.client_order_id for order in limited}
    if not isinstance(rows, BarRows):
        return None
    costs = ZERO
    for fill in fills:
        if fill.client_order_id in uncounted:
            continue
        minute = fill.time.replace(second=0, microsecond=0)
        bars = rows.bars_within(minute, minute, fill.symbol)
        if not bars:
            return None
        costs += (fill.price - Decimal(repr(bars[0].open))) * fill.qty * fill.side.sign
    return money(costs)
