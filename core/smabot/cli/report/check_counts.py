"""How often each risk check was asked about an order, and how often it bound: it blocked the order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from smabot.domain.records import Order
from smabot.domain.risk_answers import SIZE, read_checks


@dataclass(frozen=True, slots=True)
class CheckCount:
    """One check over all orders of a span. ``last_bound`` in UTC."""

    name: str
    asked: int
    bound: int
    last_bound: datetime | None


def check_counts(orders: Iterable[Order]) -> list[CheckCount]:
    """Return the checks of orders, oldest first, those that bound most often first."""
    asked: dict[str, int] = {}
    bound: dict[str, int] = {}
    last: dict[str, datetime] = {}
    for order in orders:
        for check in read_checks(order.checks):
            if check.name == SIZE:
                continue
            asked[check.name] = asked.get(check.name, 0) + 1
            if not check.passed:
                bound[check.name] = bound.get(check.name, 0) + 1
                last[check.name] = order.created_at
    found = [CheckCount(name, n, bound.get(name, 0), last.get(name)) for name, n in asked.items()]
    return sorted(found, key=lambda each: -each.bound)
