"""Splits of the simulated market: ``split=SPY@2026-03-03@2:1``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from smabot_exchange.data.corporate_actions import ListedAction, listed_action, positive_shares
from smabot_exchange.data.ticker_names import ticker


class SimulatedSplit(NamedTuple):
    """From ``ex_date`` on ``new`` shares are what ``old`` ones were."""

    symbol: str
    ex_date: date
    new: Decimal
    old: Decimal

    @classmethod
    def parse(cls, text: str) -> SimulatedSplit:
        """Read ``SPY@2026-03-03@2:1``. Raises ValueError that says what is wrong."""
        symbol, _, rest = text.partition("@")
        day, _, ratio = rest.partition("@")
        new_text, _, old_text = ratio.partition(":")
        new, old = positive_shares(new_text), positive_shares(old_text)
        try:
            ex_date = date.fromisoformat(day)
        except ValueError:
            new = None
        if new is None or old is None or new == old:
            raise ValueError(f"{text!r} is not like SPY@2026-03-03@2:1, new shares for old ones")
        return cls(ticker(symbol), ex_date, new, old)

    def listed(self) -> ListedAction:
        return listed_action(self.symbol, self.ex_date, self.new, self.old)

    def __str__(self) -> str:
        return f"{self.symbol}@{self.ex_date}@{self.new:f}:{self.old:f}"


def split_ratios(splits: Iterable[SimulatedSplit], day: date) -> dict[str, float]:
    """Return how many shares of a day there are for one of before all splits, of each symbol that was split."""
    ratios: dict[str, Decimal] = {}
    for split in splits:
        if split.ex_date <= day:
            ratios[split.symbol] = ratios.get(split.symbol, Decimal(1)) * split.new / split.old
    return {symbol: float(ratio) for symbol, ratio in ratios.items()}
