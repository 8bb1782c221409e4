"""The default sizer: how many shares a signal's target means."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from smabot.domain.book import Book
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO, OrderIntent, Signal
from smabot.hooks.specifications import hookimpl
from smabot.settings.model import Sizing


class DefaultSizer:
    """Orders the target's size less what is held and what open orders may still bring."""

    def __init__(self, sizing: Sizing) -> None:
        self.sizing = sizing

    @hookimpl(trylast=True)
    def on_signal(self, signal: Signal, book: Book) -> OrderIntent | None:
        held = book.holding(signal.strategy, signal.symbol)
        coming = book.open_qty(signal.strategy, signal.symbol)
        target, why = self._size(signal, book) if signal.target else (ZERO, "the target is flat")
        change = target - (held + coming)
        if change == 0 or (signal.target and change < 0):
            return None
        side = Side.BUY if change > 0 else Side.SELL
        have = f"{held:f} held" + (f", {coming:f} in open orders" if coming else "")
        return OrderIntent(signal.symbol, side, abs(change), reason=f"{why}; {have}")

    def _size(self, signal: Signal, book: Book) -> tuple[Decimal, str]:
        """Return the shares for a target of 1, and how they come."""
        if self.sizing.method == "shares":
            return Decimal(self.sizing.shares), f"sizing.shares {self.sizing.shares}"
        price = max(Decimal(repr(signal.price)), book.jumped_from(signal.symbol) or ZERO)
        dollars, why = self.sizing.notional, f"sizing.notional {self.sizing.notional:,.2f}"
        if self.sizing.method == "fraction":
            equity = book.equity()
            dollars = self.sizing.fraction * equity
            why = f"sizing.fraction {self.sizing.fraction:f} of {equity:,.2f}"
        shares = max((dollars / price).to_integral_value(ROUND_DOWN), ZERO)
        return shares, f"{why} at {price:,.2f}"
