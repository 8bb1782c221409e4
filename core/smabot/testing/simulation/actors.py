"""Strategies that want what a schedule says, bar by bar: two of them in the same symbols."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from smabot.domain.order_terms import OrderType, Side
from smabot.domain.records import Bar, OrderIntent, Signal
from smabot.hooks.specifications import hookimpl

ACTORS = ("alpha", "zeta")
SHARES = Decimal(50)
LIMIT = Decimal("0.995")
Wants = dict[tuple[str, str, datetime], int]
"""The target that an actor wants in a symbol at the bar of a time."""


class Actor:
    """Signals what is wanted at a bar. `zeta` enters by limit orders, a little below the close."""

    def __init__(self, name: str, wants: Wants) -> None:
        self._name = name
        self._wants = wants

    @hookimpl
    def lookback(self) -> int:
        return 3

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._wants.get((self._name, bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.strategy != self._name or self._name != "zeta" or not signal.target:
            return None
        limit = (Decimal(repr(signal.price)) * LIMIT).quantize(Decimal("0.01"))
        return OrderIntent(signal.symbol, Side.BUY, SHARES, OrderType.LIMIT, limit)
