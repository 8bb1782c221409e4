"""Bars that are told with wrong values; those that were matched against, and the ledger's, are right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from smabot.provider import Bar
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion


class WrongBars:
    """Which bars are told wrong. A restart of the exchange ends it."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._kept: dict[tuple[str, datetime], Bar] = {}

    def told(self, bar: Bar, occasion: Occasion | None = None) -> Bar:
        """Return a new bar as it is told."""
        if not self._plan:
            return bar
        from smabot_exchange.faults.market_kinds import BarWrong

        occasion = occasion or Occasion(f"{bar.symbol} {bar.time}", bar.end, symbol=bar.symbol)
        fault = self._plan.first(BarWrong, occasion)
        if fault is None:
            return bar
        changed: dict[str, Any] = {fault.field: fault.value}
        wrong = bar._replace(**changed)
        if fault.rest:
            self._kept[bar.symbol, bar.time] = wrong
        return wrong

    def again(self, bars: Iterable[Bar]) -> list[Bar]:
        """Return bars as they are told when they are asked for later."""
        kept = self._kept
        return [kept.get((bar.symbol, bar.time), bar) for bar in bars] if kept else list(bars)
