"""The wash-trade rule: no order that could trade against another one of the same account."""

from __future__ import annotations

from smabot_exchange.matching.order_validation import forbidden
from smabot_exchange.matching.orders import ExchangeOrder, OrderRequest, OrderType
from smabot_exchange.matching.symbol_orders import SymbolOrders

WASH_TRADE = "potential wash trade detected"
"""How the refusal begins, in Alpaca's words."""


def opposite_pair(request: OrderRequest, order: ExchangeOrder) -> str:
    """Return the name of a new order and one of the other side, like ``stop_sell_against_limit_buy``."""
    return f"{request.type}_{request.side}_against_{order.type}_{order.side}"


def orders_against(
    request: OrderRequest, orders: SymbolOrders, allowed: frozenset[str]
) -> SymbolOrders:
    """Return the open orders that a new one is checked against: none, where all pairs are allowed."""
    if not allowed:
        return orders
    opposite = [order for order in orders.counted() if order.side is not request.side]
    pairs = {opposite_pair(request, order) for order in opposite}
    return SymbolOrders() if pairs <= allowed else orders


def check_wash_trade(
    request: OrderRequest, open_orders: SymbolOrders, instead: ExchangeOrder | None = None
) -> None:
    """Raises RequestRefused when the order could trade against one of the account's own.

    ``instead`` is an open order whose place it takes. Orders with legs and trailing stops are exempt
    (docs.alpaca.markets/us/docs/user-protection).
    """
    if request.legged or request.type is OrderType.TRAILING_STOP:
        return
    if not open_orders.crosses(request.side, request.limit_price):
        return
    for order in open_orders.counted():
        if order.side is request.side or order is instead:
            continue
        if request.limit_price is None or order.limit_price is None:
            kind = "limit" if order.limit_price is not None else "market/stop"
        elif (request.limit_price - order.limit_price) * request.side.sign >= 0:
            kind = "limit"
        else:
            continue
        raise forbidden(
            f"{WASH_TRADE}. use complex orders",
            existing_order_id=str(order.id),
            reject_reason=f"opposite side {kind} order exists",
        )
