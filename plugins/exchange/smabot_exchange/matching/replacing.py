"""Putting a changed order in the place of an open one (docs.alpaca.markets, replaceOrder)."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from smabot.provider import ZERO
from smabot_exchange.matching.fill_prices import trailing_stop
from smabot_exchange.matching.order_states import OrderStatus, StallReason
from smabot_exchange.matching.order_validation import bad_parameter, check_qty, unprocessable
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderType,
    rounded,
)


def check_replaceable(order: ExchangeOrder, change: OrderChange) -> None:
    """Raises RequestRefused when the order can't be replaced at all, or not in this."""
    if not order.open:
        raise unprocessable("unable to replace order, order is not open")
    if order.status in (OrderStatus.ACCEPTED, OrderStatus.PENDING_NEW):
        raise bad_parameter("unable to replace order, order isn't sent to exchange yet")
    if order.stall in (StallReason.CANCEL, StallReason.CLOSE):
        raise unprocessable(f'unable to replace order, order is in "{order.status}" state')
    if order.notional is not None:
        raise unprocessable("unable to replace order, notional orders can't be replaced")
    if change.qty is not None:
        check_qty(change.qty)
        if order.order_class is not OrderClass.SIMPLE and change.qty != order.qty:
            raise unprocessable("qty cannot be changed for advanced orders")
        if change.qty <= order.filled_qty:
            raise unprocessable("qty must be > filled_qty")
    if change.trail is not None and order.type is not OrderType.TRAILING_STOP:
        raise bad_parameter(f"{order.type.replace('_', ' ')} orders must not have trail")
    if not _changes(order, change):
        raise unprocessable("order parameters are not changed")


def changed_request(order: ExchangeOrder, change: OrderChange) -> OrderRequest:
    """Return the request of what an order has left, changed, as a simple one."""
    trailing = order.type is OrderType.TRAILING_STOP
    in_dollars = order.trail_price is not None
    own_stop = None if trailing else order.stop_price
    return OrderRequest(
        symbol=order.symbol,
        side=order.side,
        qty=(order.qty if change.qty is None else change.qty) - order.filled_qty,
        type=order.type,
        limit_price=order.limit_price if change.limit_price is None else change.limit_price,
        time_in_force=change.time_in_force or order.time_in_force,
        client_order_id=change.client_order_id,
        stop_price=own_stop if change.stop_price is None else change.stop_price,
        trail_price=change.trail if change.trail and in_dollars else order.trail_price,
        trail_percent=change.trail if change.trail and not in_dollars else order.trail_percent,
        extended_hours=order.extended_hours,
        position_intent=order.position_intent,
    )


def in_new_shares(order: ExchangeOrder, new: Decimal, old: Decimal) -> ExchangeOrder | None:
    """Return what an order has left in ``new`` shares for ``old`` ones, whole ones; None where that is none."""
    qty = (order.remaining * new / old).to_integral_value(ROUND_FLOOR)
    if order.notional is not None or not qty:
        return None

    def dollars(price: Decimal | None) -> Decimal | None:
        if price is None:
            return None
        exact = price * old / new
        return round(exact, 2 if exact >= 1 else 4)

    return replace(
        order,
        qty=qty,
        limit_price=dollars(order.limit_price),
        stop_price=dollars(order.stop_price),
        trail_price=dollars(order.trail_price),
        hwm=dollars(order.hwm),
        hold_price=rounded(order.hold_price * old / new),
        filled_qty=ZERO,
        filled_value=ZERO,
        filled_at=None,
        fees=ZERO,
        stall=None,
        stalled_until=None,
    )


def trail(order: ExchangeOrder, hwm: Decimal) -> ExchangeOrder:
    """Return a trailing stop order that continues from a best price so far."""
    stop = trailing_stop(order.side, hwm, order.trail_price, order.trail_percent)
    return replace(order, hwm=hwm, stop_price=stop)


def _changes(order: ExchangeOrder, change: OrderChange) -> bool:
    distance = order.trail_price if order.trail_price is not None else order.trail_percent
    return any(
        new not in (None, old)
        for new, old in (
            (change.qty, order.qty),
            (change.limit_price, order.limit_price),
            (change.stop_price, order.stop_price),
            (change.trail, distance),
            (change.time_in_force, order.time_in_force),
        )
    )
