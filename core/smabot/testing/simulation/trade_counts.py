"""Who traded in a simulation: orders and fills by strategy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from smabot.domain.records import Fill, Order
from smabot.testing.simulation.databases import Database


@dataclass
class TradeCounts:
    """Orders that left and fills, by strategy."""

    orders: Counter[str] = field(default_factory=Counter)
    fills: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, database: Database) -> TradeCounts:
        """Return what a bot's database has."""
        sent = (order for order in database.rows(Order) if order.submitted_at is not None)
        return TradeCounts(
            Counter(order.strategy for order in sent),
            Counter(fill.strategy for fill in database.rows(Fill)),
        )
