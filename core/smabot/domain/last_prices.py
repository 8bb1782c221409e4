"""The last price of each symbol: a bar's close, a price that was asked for, or a fill's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from smabot.domain.bar_checks import is_valid_bar
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.known_splits import split_bar, split_mark, split_price
from smabot.domain.records import Bar, Mark


@lru_cache(maxsize=8_192, typed=True)
def decimal_price(price: float) -> Decimal:
    """Return a bar's price as money, by its shortest decimal form. The same prices come again and again."""
    return Decimal(repr(price))


class LastPrices:
    """Last prices and when they are from, and jumps between two bars. Prices in US dollars."""

    def __init__(self, collar: Decimal) -> None:
        """``collar``: the fraction that a close may be away from the one before; 0: any."""
        self.collar = collar
        self._collar = float(collar)
        self.bars: dict[str, Bar] = {}
        self.marks: dict[str, Mark] = {}
        """Prices that the bot requested because no bar came, by symbol."""
        self._fills: dict[str, Decimal] = {}
        self._before: dict[str, float] = {}

    def take_bars(self, bars: Iterable[Bar], refuse: Callable[[Bar], None]) -> list[Bar]:
        """Take bars in and return those that were not known; ``refuse`` is given each invalid one."""
        last, before, collar = self.bars, self._before, self._collar
        new = []
        for bar in bars:
            symbol = bar.symbol
            known = last.get(symbol)
            if not is_valid_bar(bar):
                refuse(bar)
            elif known is None or bar.time > known.time:
                last[symbol] = bar
                new.append(bar)
                if (
                    collar
                    and known is not None
                    and abs(bar.close - known.close) > collar * known.close
                ):
                    before[symbol] = known.close
                elif symbol in before:
                    del before[symbol]
        if self._fills:
            for bar in new:
                self._fills.pop(bar.symbol, None)
        return new

    def take_mark(self, mark: Mark) -> bool:
        """Take a price in that was asked for. False: a newer one is known."""
        known = self.marks.get(mark.symbol)
        if known is not None and mark.time <= known.time:
            return False
        self.marks[mark.symbol] = mark
        self._fills.pop(mark.symbol, None)
        return True

    def take_fill(self, symbol: str, price: Decimal, time: datetime) -> bool:
        """Take a fill's price in, which values the symbol until its next bar. False: a bar is newer."""
        bar = self.bars.get(symbol)
        if bar is not None and time < bar.end:
            return False
        self._fills[symbol] = price
        return True

    def split(self, action: CorporateAction) -> None:
        """Count a symbol's last prices of before a split in shares of after it."""
        symbol, at = action.symbol, action.effective_at
        bar, mark, fill = self.bars.get(symbol), self.marks.get(symbol), self._fills.get(symbol)
        if bar is not None and bar.time < at:
            self.bars[symbol] = split_bar(bar, action)
            self._before.pop(symbol, None)
        if fill is not None:
            self._fills[symbol] = split_price(fill, action)
        if mark is not None and mark.time < at:
            self.marks[symbol] = split_mark(mark, action)

    def price(self, symbol: str) -> Decimal | None:
        """Return the last bar's close, or what was asked for since; None before the first."""
        bar, mark = self.bars.get(symbol), self.marks.get(symbol) if self.marks else None
        if mark is not None and (bar is None or mark.time > bar.end):
            return mark.price
        return decimal_price(bar.close) if bar else None

    def value_price(self, symbol: str) -> Decimal | None:
        """Return what values a share: a fill's price where no bar came since, else the last price."""
        if self._fills or self.marks:
            return self._fills.get(symbol) or self.price(symbol)
        bar = self.bars.get(symbol)
        return decimal_price(bar.close) if bar else None

    def priced_at(self, symbol: str) -> datetime | None:
        """Return when a symbol had its last price, or None before its first one."""
        bar, mark = self.bars.get(symbol), self.marks.get(symbol)
        if bar is None or mark is None:
            return bar.end if bar else mark.time if mark else None
        return max(bar.end, mark.time)

    def jumped_from(self, symbol: str) -> Decimal | None:
        """Return the close before the last bar where that bar is outside the price collar."""
        before = self._before.get(symbol)
        return None if before is None else decimal_price(before)
