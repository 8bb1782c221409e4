"""How long the bars of a data file are, by the times at which they start."""

from __future__ import annotations

import math
from collections.abc import Collection
from itertools import pairwise

_DAY = 86_400
_MINUTE = 60
_CERTAIN = math.log(1e9)
"""Fewer bars may have started at multiples of some minutes by chance."""


def bar_length(starts: Collection[int]) -> int | None:
    """Return the minutes of a bar where they are certainly more than one: 1440 where it is a day.

    ``starts`` are seconds since 1970 UTC, of all bars or of many. A rarely traded symbol has gaps of all
    lengths; bars of 5 minutes have only gaps of 5, 10, 15 …
    """
    steps, days = 0, set()
    common = 0
    ordered = sorted(set(starts))
    for before, start in pairwise(ordered):
        if before // _DAY == start // _DAY:
            common = math.gcd(common, start - before)
            steps += 1
    days = {start // _DAY for start in ordered}
    if not steps and len(days) == len(ordered) and len(days) * math.log(_DAY // _MINUTE) > _CERTAIN:
        return _DAY // _MINUTE
    minutes = common // _MINUTE
    return minutes if minutes > 1 and steps * math.log(minutes) > _CERTAIN else None


def too_long(minutes: int) -> str:
    """Say that bars are longer than smabot can replay."""
    kind = "daily bars" if minutes == _DAY // _MINUTE else f"bars of {minutes} minutes"
    return f"has {kind}: smabot replays bars of 1 minute"
