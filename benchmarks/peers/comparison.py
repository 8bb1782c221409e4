"""Are the trades of two backtesters the same?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import NamedTuple


class Trade(NamedTuple):
    """A fill: the start of the bar it is of, in seconds since 1970, ``buy`` or ``sell``, US dollars."""

    time: int
    side: str
    price: float

    def __str__(self) -> str:
        return f"{self.side} at {self.price} in {datetime.fromtimestamp(self.time, UTC):%F %R}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a driver has printed: how many bars, the processor seconds of the backtest alone, its fills."""

    bars: int
    cpu: float
    trades: tuple[Trade, ...]

    @classmethod
    def of(cls, line: str) -> Answer:
        said = json.loads(line)
        trades = tuple(Trade(*each) for each in said["trades"])
        return cls(said["bars"], said["cpu"], trades)


def difference(ours: Sequence[Trade], theirs: Sequence[Trade]) -> str:
    """Return the first difference in words; nothing where all trades are the same."""
    for number, (own, other) in enumerate(zip_longest(ours, theirs), 1):
        if own != other:
            return f"trade {number}: smabot {own or 'has none'}, it {other or 'has none'}"
    return ""
