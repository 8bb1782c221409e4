"""Between which values of equity a plugin need not be told of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from smabot.domain.calendar import NEVER
from smabot.domain.frozen_classes import frozen


@frozen
class EquityBounds:
    """A point of equity above ``floor``, not above ``ceiling`` (US dollars), and before ``until`` (UTC) tells a
    plugin nothing that it acts on or keeps.

    It answers so in `on_equity`, for the minutes to come in which nothing but bars comes. A later point outside
    is told, and `book.point_before` is the last one that was not.
    """

    floor: Decimal = Decimal("-Infinity")
    ceiling: Decimal = Decimal("Infinity")
    until: datetime = NEVER

    def holds(self, equity: Decimal, time: datetime) -> bool:
        """Whether a point is within."""
        return self.floor < equity <= self.ceiling and time < self.until

    def within(self, other: EquityBounds) -> EquityBounds:
        """Return what both hold."""
        return EquityBounds(
            max(self.floor, other.floor),
            min(self.ceiling, other.ceiling),
            min(self.until, other.until),
        )


ANY = EquityBounds()
"""Where nobody wants to be told."""
