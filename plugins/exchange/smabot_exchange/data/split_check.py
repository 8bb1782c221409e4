"""Prices over the nights of a data file, and the splits that it lists: what looks like one, what does not."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime

from smabot.provider import (
    EXCHANGE_ZONE,
    ActionKind,
    CorporateAction,
    SuspectedSplit,
    split_ratio,
)

_MOST = 3
"""So many are named."""
_UNADJUSTED = "Prices are not adjusted, and what is held over it seems to lose or win"
_NOT_SHOWN = "the prices do not show it: list no split for bars that are adjusted for it, or correct its date"


class SplitCheck:
    """Looks at the first open of a symbol's day after the last close before."""

    def __init__(self, listed: Iterable[CorporateAction]) -> None:
        self._listed: dict[str, list[CorporateAction]] = defaultdict(list)
        for action in listed:
            if action.kind is ActionKind.SPLIT:
                self._listed[action.symbol].append(action)
        self._suspected: list[SuspectedSplit] = []
        self._not_shown: list[str] = []

    def look(self, symbol: str, before: int, close: float, stamp: int, open_: float) -> None:
        """Compare two prices; times are seconds since 1970."""
        listed = self._listed.get(symbol)
        ratio = split_ratio(close, open_)
        if listed is None and not ratio:
            return
        day, earlier = _day(stamp), _day(before)
        splits = [each for each in listed or () if earlier < each.ex_date <= day]
        if not splits:
            if ratio:
                self._suspected.append(SuspectedSplit(symbol, day, ratio, close, open_))
            return
        expected = math.log(math.prod(float(each.ratio) for each in splits))
        fallen = math.log(close / open_)
        if abs(fallen - expected) > abs(fallen):
            self._not_shown.append(
                f"{splits[0].text} is listed, and {symbol} opens at {open_:g} after {close:g}"
            )

    def notes(self) -> list[str]:
        """Return what an operator should know, a line each."""
        lines = [f"{split} {_UNADJUSTED}" for split in self._suspected[:_MOST]]
        if (more := len(self._suspected) - _MOST) > 0:
            lines.append(
                f"{more:,} more suspected split{'s' * (more > 1)}: see `smabot data check`"
            )
        return lines + [f"{each}: {_NOT_SHOWN}" for each in self._not_shown]


def _day(stamp: int) -> date:
    return datetime.fromtimestamp(stamp, UTC).astimezone(EXCHANGE_ZONE).date()
