"""What it would have made to buy at the beginning and hold: the measure of every strategy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from math import fsum, prod
from typing import Any

from smabot.cli.performance import ratios
from smabot.domain.book_view import EPOCH
from smabot.domain.calendar import end_of, new_york_date
from smabot.domain.corporate_actions import ActionKind, CorporateAction
from smabot.domain.records import Bar

RATIOS = (
    "return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "max_drawdown",
)  # fmt: skip


class BuyAndHold:
    """Equal money in each symbol, from its first bar's open to its last one's close. No costs.

    The money of a symbol that has no bar yet is idle. Shares follow the splits that the bot follows.
    """

    def __init__(self, symbols: int) -> None:
        """``symbols``: how many there are."""
        self._count = symbols
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._splits: dict[str, dict[str, CorporateAction]] = {}
        self._days: dict[date, float] = {}
        self._day, self._day_ends = date.min, EPOCH
        self._peak = 1.0
        self.drawdown = 0.0
        """The largest fall from a peak between two minutes' closes, as a positive fraction."""

    def take_splits(self, rows: Sequence[Any]) -> None:
        """Take in the splits among a step's rows that the bot follows just now."""
        for row in rows:
            if type(row) is CorporateAction and row.kind is ActionKind.SPLIT and row.applied_at:
                known = self._splits.setdefault(row.symbol, {})
                known[row.action_id] = row

    def take(self, bars: Sequence[Bar]) -> None:
        """Take the bars of whole minutes in, oldest minute first, as a database has them."""
        if not bars:
            return
        time, first, last = bars[0].time, self._first, self._last
        for bar in bars:
            if bar.time is not time and bar.time != time:
                self._note_value(time)
                time = bar.time
            symbol = bar.symbol
            shares = self._shares(bar) if symbol in self._splits else 1.0
            if symbol not in first:
                first[symbol] = bar.open * shares
            last[symbol] = bar.close * shares
        self._note_value(time)

    def _note_value(self, time: datetime) -> None:
        value = self._value()
        if value > self._peak:
            self._peak = value
        elif (fall := 1 - value / self._peak) > self.drawdown:
            self.drawdown = fall
        if time >= self._day_ends:
            self._day = new_york_date(time)
            self._day_ends = end_of(self._day)
        self._days[self._day] = value

    def _shares(self, bar: Bar) -> float:
        """What one share of before all splits is at a bar."""
        splits = self._splits[bar.symbol].values()
        return float(prod(each.ratio for each in splits if bar.time >= each.effective_at))

    def _value(self) -> float:
        """What a dollar at the beginning is worth."""
        first = self._first
        worth = fsum([close / first[symbol] for symbol, close in self._last.items()])
        return (worth + self._count - len(first)) / self._count

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols that had a bar."""
        return frozenset(self._first)

    @property
    def returns(self) -> list[float]:
        """Each session's return, as a fraction."""
        before, found = 1.0, []
        for value in self._days.values():
            found.append(value / before - 1)
            before = value
        return found

    @property
    def figures(self) -> dict[str, float | None]:
        """The ratios, by the names that those of a strategy have; None where no symbol had a bar."""
        returns = self.returns
        if not returns:
            return dict.fromkeys(RATIOS)
        return {
            "return": ratios.total_return(returns),
            "annual_return": ratios.annual_return(returns),
            "volatility": ratios.volatility(returns),
            "sharpe": ratios.sharpe(returns),
            "sortino": ratios.sortino(returns),
            "calmar": ratios.calmar(returns, self.drawdown),
            "max_drawdown": self.drawdown,
        }
