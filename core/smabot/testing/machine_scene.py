"""What a run of the state machine begins with: its files, and strategies that follow a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from smabot.domain.order_terms import OrderType, Side
from smabot.domain.records import Bar, OrderIntent, Signal
from smabot.hooks.specifications import hookimpl

STRATEGIES = ("alpha", "zeta")
Schedule = dict[tuple[str, str, datetime], int]
"""The target that a strategy wants in a symbol at the bar of a time."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Files to begin from, made once and copied for each run: a database, a ledger, and their data."""

    database: Path
    ledger: Path
    data: str
    symbols: tuple[str, ...]
    settings: Mapping[str, Any]
    drawdown: Decimal
    """The fraction of the opening cash at whose loss the breaker trips."""


class ScheduledStrategy:
    """A strategy that signals what the schedule says, by its bar; `zeta` enters by limit orders."""

    def __init__(self, name: str, schedule: Schedule) -> None:
        self._name = name
        self._schedule = schedule

    @hookimpl
    def lookback(self) -> int:
        return 3

    @hookimpl
    def on_bar(self, bar: Bar) -> Signal | None:
        target = self._schedule.get((self._name, bar.symbol, bar.time))
        if target is None:
            return None
        return Signal.long(bar) if target else Signal.flat(bar)

    @hookimpl
    def on_signal(self, signal: Signal) -> OrderIntent | None:
        if signal.strategy != self._name or self._name != "zeta" or not signal.target:
            return None
        limit = (Decimal(repr(signal.price)) * Decimal("0.99")).quantize(Decimal("0.01"))
        return OrderIntent(signal.symbol, Side.BUY, Decimal(50), OrderType.LIMIT, limit)
