"""The wash-trade rule: no order that could trade against another one of the same account."""

from __future__ import annotations

from collections.abc import Iterable

from smabot_exchange.matching.order_validation import forbidden
from smabot_exchange.matching.orders import ExchangeOrder, OrderRequest, OrderType

WASH_TRADE = "potential wash trade detected"
"""How the refusal begins, in Alpaca's words."""


def check_wash_trade(request: OrderRequest, open_orders: Iterable[ExchangeOrder]) -> None:
    """Raises RequestRefused when the order could trade against one of the account's own.

    Orders with legs and trailing stops are exempt (docs.alpaca.markets/us/docs/user-protection).
    """
    if request.legged or request.type is OrderType.TRAILING_STOP:
        return
    for order in open_orders:
        if order.side is request.side:
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
