"""Splits that prices were not adjusted for, as far as prices tell: an open that is a simple part of the close before.

The bot trades at prices as they are; over an unadjusted split a position seems to lose or to win what nobody
lost or won.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from smabot.domain.calendar import new_york_date
from smabot.domain.records import Bar

OVERNIGHT = timedelta(hours=3)
"""After so long without a bar the next one may be of another day, with extended hours or without."""

_RATIOS = (1.5, *range(2, 21), 25, 30, 40, 50, 100)
"""New shares for one that splits usually give, and old ones for one in a reverse split."""
_NEAR = 0.03
"""How far an open may lie from a split's, as a fraction: a night's move of a calm share."""


@dataclass(frozen=True, slots=True)
class SuspectedSplit:
    """A symbol's open that looks like a split; ``ratio`` is new shares to old ones, as ``4:1``."""

    symbol: str
    date: date
    ratio: str
    close: float
    """The price before it, in US dollars."""
    open: float

    def __str__(self) -> str:
        return (
            f"{self.symbol} {self.date}: opens at {self.open:g} after {self.close:g}: "
            f"a {self.ratio} split?"
        )


def split_between(before: Bar, bar: Bar) -> SuspectedSplit | None:
    """Return the split that two bars of a symbol, one after the other, look like; None within a session."""
    if bar.time - before.time < OVERNIGHT:
        return None
    ratio = split_ratio(before.close, bar.open)
    if not ratio:
        return None
    return SuspectedSplit(bar.symbol, new_york_date(bar.time), ratio, before.close, bar.open)


def split_ratio(close: float, open_: float) -> str:
    """Return the split that a change of price overnight looks like, as ``4:1``; else an empty text."""
    grown = max(open_ / close, close / open_)
    nearest = min(_RATIOS, key=lambda ratio: abs(grown / ratio - 1))
    if abs(grown / nearest - 1) >= _NEAR:
        return ""
    old, new = (2, 3) if nearest == 1.5 else (1, int(nearest))
    return f"{new}:{old}" if open_ < close else f"{old}:{new}"
