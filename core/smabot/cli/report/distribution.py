"""The distribution of trade results: how many trades made how much, in steps of round dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

FEWEST_STEPS, MOST_STEPS = 10, 80


CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of results from ``begin`` on, each step ``width`` wide; its lower end belongs to a step.

    US dollars. 0 is between two steps.
    """

    begin: Decimal
    width: Decimal
    counts: Sequence[int]

    @classmethod
    def of(cls, results: Sequence[Decimal]) -> Distribution | None:
        """Return the distribution of results; None where there are none."""
        if not results:
            return None
        steps = min(max(len(results) // 4, FEWEST_STEPS), MOST_STEPS)
        width = _round_width((max(results) - min(results)) / steps)
        places = [int((result / width).to_integral_value("ROUND_FLOOR")) for result in results]
        counts = [0] * (max(places) - min(places) + 1)
        for place in places:
            counts[place - min(places)] += 1
        return cls(min(places) * width, width, counts)


def _round_width(least: Decimal) -> Decimal:
    """Return the smallest of 1, 2 and 5 with any power of ten that is at least so much, and a cent."""
    least = max(least, CENT)
    power = Decimal(1).scaleb(least.adjusted())
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
