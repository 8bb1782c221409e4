"""What an order must satisfy to be accepted; refusals are coded and worded as Alpaca's."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from smabot.records import ZERO, Side
from smabot_exchange.orders import (
    DUPLICATE_ID,
    LONGEST_CLIENT_ID,
    ExchangeOrder,
    OrderRequest,
    OrderType,
    Refusal,
    TimeInForce,
    plain,
)

_FRACTION_DIGITS = 9
_LEAST_FRACTIONAL_VALUE = Decimal(1)
_MOST = Decimal(10) ** 12
"""Shares or dollars: beyond is a slip of the keyboard, and out of reach of exact arithmetic."""


def check_client_id(client_order_id: str) -> None:
    """Raises Refusal when the id is too long."""
    if len(client_order_id) > LONGEST_CLIENT_ID:
        raise _bad_parameter(f"client_order_id must be no more than {LONGEST_CLIENT_ID} characters")


def duplicate() -> Refusal:
    """Return the refusal of an id that is taken, also by an order that has ended."""
    return _bad_parameter(DUPLICATE_ID)


def check_request(request: OrderRequest, last_price: Decimal) -> None:
    """Raises Refusal when the order is malformed, whatever the account holds."""
    _check_limit_price(request)
    _check_qty(request, last_price)


def check_wash_trade(request: OrderRequest, open_orders: Iterable[ExchangeOrder]) -> None:
    """Raises Refusal when the order could trade against one of the account's own."""
    for order in open_orders:
        if order.side is request.side:
            continue
        if request.limit_price is None or order.limit_price is None:
            kind = "limit" if order.limit_price is not None else "market/stop"
        elif (request.limit_price - order.limit_price) * request.side.sign >= 0:
            kind = "limit"
        else:
            continue
        raise Refusal(
            403,
            40310000,
            "potential wash trade detected. use complex orders",
            existing_order_id=str(order.id),
            reject_reason=f"opposite side {kind} order exists",
        )


def check_funds(cost_basis: Decimal, buying_power: Decimal) -> None:
    """Raises Refusal when a buy order costs more than the buying power."""
    if cost_basis > buying_power:
        raise Refusal(
            403,
            40310000,
            "insufficient buying power",
            buying_power=plain(buying_power),
            cost_basis=plain(cost_basis),
        )


def check_shares(request: OrderRequest, held: Decimal, available: Decimal) -> None:
    """Raises Refusal when a sell order sells more than is there: there is no selling short."""
    if request.qty > available:
        raise Refusal(
            403,
            40310000,
            "insufficient qty available for order "
            f"(requested: {plain(request.qty)}, available: {plain(available)})",
            available=plain(available),
            existing_qty=plain(held),
            held_for_orders=plain(held - available),
            symbol=request.symbol,
        )


def _check_limit_price(request: OrderRequest) -> None:
    price = request.limit_price
    if request.type is OrderType.MARKET:
        if price is not None:
            raise _bad_parameter("market orders must not have a limit_price")
        return
    if price is None:
        raise _bad_parameter("limit orders require a limit_price")
    if not price.is_finite() or not 0 < price <= _MOST:
        raise _bad_parameter(f"limit_price must be > 0 and <= {_MOST}")
    if _digits(price) > (2 if price >= 1 else 4):
        raise Refusal(
            422,
            42210000,
            f"invalid limit_price {plain(price)}. "
            "sub-penny increment does not fulfill minimum pricing criteria",
        )


def _check_qty(request: OrderRequest, last_price: Decimal) -> None:
    qty = request.qty
    if not qty.is_finite() or not ZERO < qty <= _MOST:
        raise _bad_parameter(f"qty must be > 0 and <= {_MOST}")
    if _digits(qty) == 0:
        return
    if _digits(qty) > _FRACTION_DIGITS:
        raise _bad_parameter(f"qty must be limited to {_FRACTION_DIGITS} decimal places")
    if request.time_in_force is not TimeInForce.DAY:
        raise Refusal(422, 42210000, "fractional orders must be DAY orders")
    price = request.limit_price if request.limit_price is not None else last_price
    if request.side is Side.BUY and qty * price < _LEAST_FRACTIONAL_VALUE:
        raise Refusal(
            403, 40310000, "cost basis must be >= minimal amount of order 1",
            cost_basis=plain(qty * price),
        )  # fmt: skip


def _digits(value: Decimal) -> int:
    """Return the number of decimal places that a value needs."""
    _, _, places = plain(value).partition(".")
    return len(places)


def _bad_parameter(message: str) -> Refusal:
    return Refusal(422, 40010001, message)
