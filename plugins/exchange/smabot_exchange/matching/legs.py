"""Orders of several parts: an entry with its exits, and exits of which one cancels the other.

After docs.alpaca.markets/us/docs/orders-at-alpaca (bracket, OCO, OTO): exits are ``held`` until
the entry is filled; then the take-profit is ``new`` and the stop-loss stays ``held`` until its
stop price is reached. When one exit fills in part the other shrinks; when one is triggered,
filled or canceled the other is canceled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from smabot.provider import ZERO, Bar, Side
from smabot_exchange.matching.fill_prices import STOPS, fill_price, would_trigger
from smabot_exchange.matching.open_orders import OpenOrders
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderClass,
    OrderEvent,
    OrderRequest,
    OrderType,
    leg_client_id,
    order_id,
)


def make_legs(parent: ExchangeOrder, request: OrderRequest) -> list[ExchangeOrder]:
    """Return an accepted order's legs, the take-profit first. An OCO order's only leg is its stop."""
    legs = []
    profit, loss = request.take_profit, request.stop_loss
    if profit and profit.limit_price is not None and request.order_class is not OrderClass.OCO:
        legs.append(_leg(parent, "take-profit", OrderType.LIMIT, 1))
        legs[-1] = replace(legs[-1], limit_price=profit.limit_price)
    if loss and loss.stop_price is not None:
        kind = OrderType.STOP if loss.limit_price is None else OrderType.STOP_LIMIT
        leg = _leg(parent, "stop-loss", kind, len(legs) + 1)
        legs.append(replace(leg, stop_price=loss.stop_price, limit_price=loss.limit_price))
    return legs


def _leg(parent: ExchangeOrder, name: str, kind: OrderType, place: int) -> ExchangeOrder:
    exits = parent.order_class is OrderClass.OCO
    identity = order_id(f"{parent.id} {name}")
    opposite = Side.SELL if parent.side is Side.BUY else Side.BUY
    return replace(
        parent,
        id=identity,
        seq=parent.seq + place,
        place=parent.place + place,
        client_order_id=leg_client_id(identity),
        parent_id=parent.id,
        side=parent.side if exits else opposite,
        position_intent=parent.position_intent if exits else parent.position_intent.opposite,
        type=kind,
        limit_price=None,
        status=OrderStatus.HELD,
        hold_price=ZERO,
    )


def activate_exits(
    orders: OpenOrders, entry: ExchangeOrder, qty: Decimal, time: datetime
) -> list[OrderEvent]:
    """Activate the exits of a filled entry from ``time`` on, for ``qty`` shares."""
    events = []
    for leg in orders.others_of(entry):
        active = leg.not_before_submission(entry.updated_at)
        leg = replace(leg, qty=qty, opens_at=time, updated_at=active)
        if leg.type is OrderType.LIMIT:
            leg = replace(leg, status=OrderStatus.NEW)
            events.append(OrderEvent("new", active, leg))
        orders.put(leg)
    return events


def shrink_others(orders: OpenOrders, exit: ExchangeOrder) -> None:
    """Reduce an exit's counterpart to what the exit has left."""
    for other in orders.others_of(exit):
        changed = other.not_before_submission(exit.updated_at)
        orders.put(replace(other, qty=other.filled_qty + exit.remaining, updated_at=changed))


def yields_to_stop(
    orders: OpenOrders, order: ExchangeOrder, bar: Bar, half_spread: Decimal
) -> bool:
    """Whether a take-profit must let its stop go first, as the bar reaches both.

    Which came first is not known, so the worse one did, unless the bar opens at the profit.
    """
    if order.order_class is OrderClass.SIMPLE or order.type in STOPS:
        return False
    opens_there = bar._replace(high=bar.open, low=bar.open, close=bar.open)
    return fill_price(order, opens_there, half_spread) is None and any(
        other.type in STOPS and other.triggered_at is None and would_trigger(other, bar)
        for other in orders.others_of(order)
    )
