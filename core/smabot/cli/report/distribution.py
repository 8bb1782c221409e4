"""The distribution of trade results: how many trades made how much, in steps of round dollars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

MOST_STEPS = 24


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
        width = _round_width(max(results) - min(results))
        steps = [int((result / width).to_integral_value("ROUND_FLOOR")) for result in results]
        counts = [0] * (max(steps) - min(steps) + 1)
        for step in steps:
            counts[step - min(steps)] += 1
        return cls(min(steps) * width, width, counts)


def _round_width(spread: Decimal) -> Decimal:
    """Return the smallest of 1, 2 and 5 with any power of ten that cuts a spread into few steps."""
    least = max(spread / MOST_STEPS, Decimal("0.01"))
    power = Decimal(1).scaleb(least.adjusted())
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
