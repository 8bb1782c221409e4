"""Order events as messages of the trading stream, with the faults that strike it.

https://docs.alpaca.markets/docs/websocket-streaming
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from smabot.provider import MINUTE
from smabot_exchange.faults.fault_kinds import (
    UpdateDoubled,
    UpdateDropped,
    UpdateLate,
    UpdateReplayed,
    UpdateSwapped,
    UpdateUnknown,
)
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.json_forms import trading_json
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import OrderEvent, plain
from smabot_exchange.streams.order_visibility import OrderVisibility
from smabot_exchange.streams.timers import ExchangeTimers

SendMessage = Callable[[bytes, Occasion], None]


class OrderMessages:
    """Turns each event into the messages that are sent, now or later."""

    def __init__(
        self,
        plan: FaultPlan,
        visibility: OrderVisibility,
        timers: ExchangeTimers,
        send: SendMessage,
        *,
        announces_pending: bool = False,
    ) -> None:
        self._plan = plan
        self._visibility = visibility
        self._timers = timers
        self._send = send
        self._announces_pending = announces_pending
        self._held_back: list[tuple[bytes, Occasion]] = []

    def send_event(self, event: OrderEvent, now: datetime) -> None:
        """Send an event at a time of the exchange: a fill is known at its minute's end."""
        order, plan = event.order, self._plan
        key = f"{event.event} {order.client_order_id} {plain(order.filled_qty)}"
        occasion = Occasion(
            key, now, symbol=order.symbol, client_order_id=order.client_order_id,
            event=event.event,
        )  # fmt: skip
        if plan.first(UpdateDropped, occasion):
            return
        if self._announces_pending and event.event == "new" and event.time == order.submitted_at:
            pending = replace(order, status=OrderStatus.PENDING_NEW)
            self._send(self._message(replace(event, order=pending), pending.status, now), occasion)
        unknown = plan.first(UpdateUnknown, occasion)
        message = self._message(event, unknown.value if unknown else event.event, now)
        if replayed := plan.first(UpdateReplayed, occasion):
            self._timers.call_at(
                now + replayed.minutes * MINUTE, partial(self._send, message, occasion)
            )
        if late := plan.first(UpdateLate, occasion):
            self._timers.call_at(
                now + late.minutes * MINUTE, partial(self._send, message, occasion)
            )
        elif plan.first(UpdateSwapped, occasion):
            self._held_back.append((message, occasion))
        else:
            self._send(message, occasion)
            if plan.first(UpdateDoubled, occasion):
                self._send(message, occasion)
            self.send_held_back(now + MINUTE)

    def send_held_back(self, before: datetime) -> None:
        """Send what was held back for another update to overtake it, earlier than a time."""
        due = [held for held in self._held_back if held[1].time < before]
        self._held_back = [held for held in self._held_back if held[1].time >= before]
        for message, occasion in due:
            self._send(message, occasion)

    def _message(self, event: OrderEvent, name: str, now: datetime) -> bytes:
        order = self._visibility.as_shown(trading_json.order(event.order), now)
        data: dict[str, Any] = {
            "event": name,
            "timestamp": trading_json.moment(event.order, event.time),
            "order": order,
        }
        if event.execution is not None:
            data["execution_id"] = str(event.execution.id)
            data["price"] = plain(event.execution.price)
            data["qty"] = plain(event.execution.qty)
        if event.position_qty is not None:
            data["position_qty"] = plain(event.position_qty)
        return orjson.dumps({"stream": "trade_updates", "data": data})
