"""The equity down to which no loss limit is near: one comparison decides for most points."""

from __future__ import annotations

from decimal import Decimal

from smabot.api import ZERO

MARGIN = Decimal(1)
"""Dollars above the equity at which a limit is reached: from there on down all is computed, and rounded, in full."""
NEVER = Decimal("-Infinity")


def equity_floor(base: Decimal | None, fraction: Decimal, dollars: Decimal = ZERO) -> Decimal:
    """Return an equity above which neither a fraction of a base nor so many dollars are lost; 0: no limit."""
    if base is None:
        return NEVER
    limits = [dollars] if dollars else []
    if fraction:
        limits.append(base * fraction)
    return base - min(limits) + MARGIN if limits else NEVER
