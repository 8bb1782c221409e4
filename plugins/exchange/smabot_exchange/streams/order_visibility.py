"""Orders that the API shows otherwise than they are: not yet, stuck, or in an unknown state."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.faults.fault_kinds import OrderHidden, UnknownStatus
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.json_forms.order_as_seen import changes_orders, order_as_seen
from smabot_exchange.matching.order_states import OPEN_STATUSES

PENDING_CANCEL = "pending_cancel"
_OPEN = frozenset([*map(str, OPEN_STATUSES), "pending_new", "pending_replace", PENDING_CANCEL])

Json = dict[str, Any]


class OrderVisibility:
    """Works on orders as JSON. Belongs to the server's event loop."""

    def __init__(
        self,
        plan: FaultPlan,
        as_seen: AsSeen | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._as_seen = as_seen or AsSeen()
        self._clock = clock
        self._hidden: dict[str, tuple[float, float]] = {}
        """Until when an order is hidden from queries of one order, and from lists."""
        self._cancel_pending: set[str] = set()
        self._unknown: dict[str, tuple[int, str]] = {}

    @property
    def may_differ(self) -> bool:
        """Whether an order may have to be shown otherwise than it is."""
        seen = self._as_seen
        return bool(
            self._hidden
            or self._cancel_pending
            or self._plan.any(UnknownStatus)
            or changes_orders(seen)
            or seen.visible_after_seconds
            or seen.listed_after_seconds
        )

    def register(self, order: Json, now: datetime) -> None:
        """Register an order that was just accepted: it may stay hidden for a while."""
        fault = self._plan.first(OrderHidden, _occasion(order, now))
        least = 0.0 if fault is None else fault.seconds
        alone = max(least, self._as_seen.visible_after_seconds)
        listed = max(least, self._as_seen.listed_after_seconds)
        if alone or listed:
            accepted = self._clock()
            self._hidden[order["id"]] = accepted + alone, accepted + listed

    def hides(self, order: Json, *, listed: bool = False) -> bool:
        """Whether a status query, or a list, must not show an order yet."""
        until = self._hidden.get(order["id"])
        if until is None:
            return False
        if self._clock() < until[listed]:
            return True
        if self._clock() >= max(until):
            del self._hidden[order["id"]]
        return False

    def show_cancel_pending(self, order_id: str) -> bool:
        """Show an order as `pending_cancel` from now on; return whether it was not yet."""
        new = order_id not in self._cancel_pending
        self._cancel_pending.add(order_id)
        return new

    def end_cancel_pending(self, order_id: str) -> None:
        self._cancel_pending.discard(order_id)

    def as_shown(self, order: Json, now: datetime) -> Json:
        """Return an order as it is to be shown. One that has ended has its own status."""
        if changes_orders(self._as_seen):
            order = order_as_seen(self._as_seen, order)
        if order["status"] not in _OPEN:
            self.end_cancel_pending(order["id"])
            return order
        status = self._unknown_status(order, now) or (
            PENDING_CANCEL if order["id"] in self._cancel_pending else ""
        )
        return {**order, "status": status} if status else order

    def _unknown_status(self, order: Json, now: datetime) -> str:
        """Return the unknown status of an order, decided when it is first seen."""
        plan = self._plan
        if not plan.any(UnknownStatus):
            return ""
        version, word = self._unknown.get(order["id"], (-1, ""))
        if not word and version != plan.version:
            fault = plan.first(UnknownStatus, _occasion(order, now))
            word = fault.value if fault else ""
            self._unknown[order["id"]] = (plan.version, word)
        return word


def _occasion(order: Json, now: datetime) -> Occasion:
    client_order_id = order["client_order_id"]
    return Occasion(client_order_id, now, symbol=order["symbol"], client_order_id=client_order_id)
