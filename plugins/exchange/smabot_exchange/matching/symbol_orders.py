"""The open orders of one symbol, so that a new one is checked against all of them in the same time, however
many there are."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from smabot.provider import ZERO, Side
from smabot_exchange.matching.orders import ExchangeOrder, PositionIntent


@dataclass(slots=True)
class _SideOrders:
    """The orders of one side that could trade: their limits in order, and how many have none."""

    limits: list[Decimal] = field(default_factory=list)
    unlimited: int = 0

    def add(self, limit: Decimal | None) -> None:
        if limit is None:
            self.unlimited += 1
        else:
            insort(self.limits, limit)

    def remove(self, limit: Decimal | None) -> None:
        if limit is None:
            self.unlimited -= 1
        else:
            del self.limits[bisect_left(self.limits, limit)]


class SymbolOrders:
    """Orders of one symbol, in the order they came in. Those that could trade are *counted*: exits whose
    entry has not filled yet are not."""

    def __init__(self) -> None:
        self.closing = ZERO
        """Shares that they are about to close; exits of a group share theirs."""
        self._orders: dict[UUID, ExchangeOrder] = {}
        self._counted: dict[UUID, ExchangeOrder] = {}
        self._sides = {Side.BUY: _SideOrders(), Side.SELL: _SideOrders()}
        self._intents = dict.fromkeys(PositionIntent, 0)
        self._groups: dict[UUID, dict[UUID, Decimal]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[ExchangeOrder]:
        return iter(self._orders.values())

    def put(self, order: ExchangeOrder, *, counted: bool) -> None:
        """Have an open order as it is now."""
        self._orders[order.id] = order
        before = self._counted.get(order.id)
        if before is order and counted:
            return
        if before is not None:
            self._discount(before)
        if counted:
            self._count(order)

    def remove(self, order_id: UUID) -> None:
        """Let go of an order that has ended."""
        self._orders.pop(order_id, None)
        if (before := self._counted.get(order_id)) is not None:
            self._discount(before)

    def intending(self, intent: PositionIntent) -> int:
        """Return how many of the counted orders intend this."""
        return self._intents[intent]

    def crosses(self, side: Side, limit: Decimal | None) -> bool:
        """Whether a new order of a side could trade with a counted one; ``limit`` None: at any price."""
        against = self._sides[Side.SELL if side is Side.BUY else Side.BUY]
        if against.unlimited:
            return True
        if not against.limits:
            return False
        if limit is None:
            return True
        return against.limits[0] <= limit if side is Side.BUY else against.limits[-1] >= limit

    def counted(self) -> list[ExchangeOrder]:
        """Return the orders that could trade, in the order they came in."""
        return [order for order in self._orders.values() if order.id in self._counted]

    def _count(self, order: ExchangeOrder) -> None:
        self._counted[order.id] = order
        self._sides[order.side].add(order.limit_price)
        self._intents[order.position_intent] += 1
        if order.closes:
            self._close(order.group, order.id, order.remaining)

    def _discount(self, order: ExchangeOrder) -> None:
        del self._counted[order.id]
        self._sides[order.side].remove(order.limit_price)
        self._intents[order.position_intent] -= 1
        if order.closes:
            self._close(order.group, order.id, None)

    def _close(self, group: UUID, order_id: UUID, shares: Decimal | None) -> None:
        """Have an order of a group close so many shares, or none any more."""
        members = self._groups.setdefault(group, {})
        self.closing -= max(members.values(), default=ZERO)
        if shares is None:
            members.pop(order_id, None)
        else:
            members[order_id] = shares
        self.closing += max(members.values(), default=ZERO)
        if not members:
            del self._groups[group]
