"""What an order must satisfy given the account's money, shares and other orders."""

from __future__ import annotations

from decimal import Decimal

from smabot.provider import ZERO, Side
from smabot_exchange.matching.account import AccountState
from smabot_exchange.matching.fill_prices import ask, bid_or_ask
from smabot_exchange.matching.order_validation import digits, forbidden, unprocessable
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderClass,
    OrderRequest,
    PositionIntent,
    plain,
)
from smabot_exchange.matching.symbol_orders import SymbolOrders

INTENT_MISMATCH = "position intent mismatch"
TOO_FEW_SHARES = "insufficient qty available for order"
"""How refusals begin that a client must distinguish, in Alpaca's words."""

_SHORT_MARGIN = Decimal("1.03")
"""A short sale is valued at 3 % above the ask at least (docs.alpaca.markets, orders-at-alpaca)."""


_OPPOSED = {
    PositionIntent.BUY_TO_OPEN: PositionIntent.SELL_TO_OPEN,
    PositionIntent.SELL_TO_OPEN: PositionIntent.BUY_TO_OPEN,
}


def intent(request: OrderRequest, held: Decimal, account: AccountState) -> PositionIntent:
    """Return what an order does to the account's net position, ``held`` signed shares.

    Raises RequestRefused when the client specified another intent. Without one, a sale in a cash account
    that holds nothing closes: it is refused for want of shares.
    """
    specified = request.position_intent
    if request.side is Side.BUY:
        found = PositionIntent.BUY_TO_CLOSE if held < 0 else PositionIntent.BUY_TO_OPEN
    elif held > 0 or (not held and specified is None and account.multiplier <= 1):
        found = PositionIntent.SELL_TO_CLOSE
    else:
        found = PositionIntent.SELL_TO_OPEN
    if specified not in (None, found):
        raise unprocessable(f"{INTENT_MISMATCH}, inferred: {found}, specified: {specified}")
    return found


def hold_price(
    request: OrderRequest,
    intent: PositionIntent,
    last_price: Decimal,
    stop: Decimal | None,
    half_spread: Decimal,
) -> Decimal:
    """Return what each share takes from the buying power of an order that opens a position.

    Without a limit a purchase pays the ask.
    """
    price = request.limit_price or stop or last_price
    if intent is PositionIntent.SELL_TO_OPEN:
        return max(price, ask(last_price, half_spread) * _SHORT_MARGIN)
    if intent is PositionIntent.BUY_TO_OPEN and request.limit_price is None:
        return bid_or_ask(price, request.side, half_spread)
    return price


def check_opening(
    request: OrderRequest,
    intent: PositionIntent,
    account: AccountState,
    open_orders: SymbolOrders,
    instead: ExchangeOrder | None = None,
) -> None:
    """Raises RequestRefused when the account may not open such a position.

    ``instead`` is an open order whose place the order takes.
    """
    opposing = open_orders.intending(_OPPOSED[intent])
    if instead is not None and instead.position_intent is _OPPOSED[intent]:
        opposing -= 1
    if intent is PositionIntent.BUY_TO_OPEN:
        if opposing:
            raise forbidden("cannot open a long buy while a short sell order is open")
        return
    if request.notional is not None or digits(request.qty or ZERO):
        raise unprocessable("fractional orders cannot be sold short")
    if not account.shorting_enabled:
        raise forbidden("account is not allowed to short")
    if opposing:
        raise forbidden("cannot open a short sell while a long buy order is open")


def check_funds(cost_basis: Decimal, buying_power: Decimal) -> None:
    """Raises RequestRefused when an order costs more than the buying power."""
    if cost_basis > buying_power:
        raise forbidden(
            "insufficient buying power",
            buying_power=plain(buying_power),
            cost_basis=plain(cost_basis),
        )


def check_shares(symbol: str, qty: Decimal, held: Decimal, available: Decimal) -> None:
    """Raises RequestRefused when an order closes more than is there; all quantities without a sign."""
    if qty > available:
        raise forbidden(
            f"{TOO_FEW_SHARES} (requested: {plain(qty)}, available: {plain(available)})",
            available=plain(available),
            existing_qty=plain(held),
            held_for_orders=plain(held - available),
            symbol=symbol,
        )


def check_purpose(request: OrderRequest, intent: PositionIntent, held: Decimal) -> None:
    """Raises RequestRefused when an order with legs is for a position that it can't be for."""
    if request.order_class is OrderClass.OCO:
        if intent.opens or not held:
            raise unprocessable("oco orders must be exit orders")
    elif request.legged and not intent.opens:
        raise unprocessable(f"{request.order_class} orders must be entry orders")
