"""What the faults of a plan do to orders at the market itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from smabot.provider import MINUTE
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.matching.order_states import OrderStatus, StallReason
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderClass,
    TimeInForce,
    generated_client_id,
)

if TYPE_CHECKING:
    from types import ModuleType


class MarketFaults:
    """Each method returns the order as a fault leaves it. Orders with legs meet none."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan

    def on_accept(self, order: ExchangeOrder, now: datetime) -> ExchangeOrder:
        """Return an order that was just accepted, which may be rejected later, stay pending, or get lost."""
        kinds = self._kinds(order)
        if kinds is None:
            return order
        occasion = _occasion("submit", order, now)
        named = order.client_order_id != generated_client_id(
            order.seq
        )  # else no client could look it up
        if named and (lost := self._plan.first(kinds.LostAnswer, occasion)):
            return _stalled(order, StallReason.LOST, now, lost.minutes)
        if rejected := self._plan.first(kinds.RejectedLater, occasion):
            return _stalled(order, StallReason.REJECT, now, rejected.minutes)
        if pending := self._plan.first(kinds.StuckPending, occasion):
            stalled = _stalled(order, StallReason.PENDING, now, pending.minutes)
            return replace(stalled, status=OrderStatus.PENDING_NEW)
        return order

    def on_cancel(self, order: ExchangeOrder, now: datetime) -> ExchangeOrder | None:
        """Return an order that was to be canceled and is frozen instead; None: it is canceled."""
        kinds = self._kinds(order)
        if kinds is None:
            return None
        partly = order.filled_qty > 0
        for wanted in (True, False) if partly else (False,):
            occasion = _occasion("cancel", order, now)
            if fault := self._plan.first(kinds.FrozenCancel, occasion, partial=wanted):
                stalled = _stalled(order, StallReason.CANCEL, now, fault.minutes)
                requested = order.not_before_submission(now)
                return replace(stalled, status=OrderStatus.PENDING_CANCEL, updated_at=requested)
        return None

    def on_close(self, order: ExchangeOrder) -> ExchangeOrder | None:
        """Return a DAY order that its close leaves open; None: it ends."""
        kinds, close = self._kinds(order), order.expires_at
        if kinds is None or close is None or order.time_in_force is not TimeInForce.DAY:
            return None
        fault = self._plan.first(kinds.LeftAtClose, _occasion("close", order, close))
        if fault is None:
            return None
        return replace(
            order, status=OrderStatus(fault.value), updated_at=close, stall=StallReason.CLOSE
        )

    def _kinds(self, order: ExchangeOrder) -> ModuleType | None:
        """Return the kinds, which are only loaded where faults are set."""
        if not self._plan or order.order_class is not OrderClass.SIMPLE:
            return None
        from smabot_exchange.faults import market_kinds

        return market_kinds


def _stalled(
    order: ExchangeOrder, stall: StallReason, now: datetime, minutes: int | None
) -> ExchangeOrder:
    span: timedelta | None = None if minutes is None else minutes * MINUTE
    return replace(order, stall=stall, stalled_until=None if span is None else now + span)


def _occasion(what: str, order: ExchangeOrder, now: datetime) -> Occasion:
    return Occasion(
        f"{what} {order.client_order_id}",
        now,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
    )
