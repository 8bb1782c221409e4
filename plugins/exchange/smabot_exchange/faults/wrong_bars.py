"""Bars that are sent with wrong values; those that orders meet, and the ledger's, are right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from smabot.provider import Bar
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion


class WrongBars:
    """Which bars are sent wrong. A restart of the exchange ends it.

    The thread that replays a minute adds bars; threads that answer requests only look them up.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._kept: dict[tuple[str, datetime], Bar] = {}

    def as_sent(self, bar: Bar, occasion: Occasion | None = None) -> Bar:
        """Return a new bar as it is sent."""
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

    def as_stored(self, bars: Iterable[Bar]) -> list[Bar]:
        """Return bars as REST answers them later."""
        kept = self._kept
        return [kept.get((bar.symbol, bar.time), bar) for bar in bars] if kept else list(bars)
