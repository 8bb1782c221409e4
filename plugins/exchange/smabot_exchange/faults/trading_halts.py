"""Symbols in which trading is halted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from threading import RLock

from smabot.provider import MINUTE
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion


class Halts:
    """Which symbols are halted, by faults or by a call; a restart of the exchange lifts them.

    Any thread may halt and resume; a lock keeps that apart from the thread that begins a minute.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._lock = RLock()
        self._until: dict[str, datetime | None] = {}
        self.symbols: frozenset[str] = frozenset()
        """Those that don't trade in the minute that was replayed last."""

    def halt(self, symbol: str, until: datetime | None = None) -> None:
        """Halt a symbol from the next minute on, until a time of the exchange or until it is resumed."""
        with self._lock:
            self._until[symbol] = until

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again from the next minute on."""
        with self._lock:
            self._until.pop(symbol, None)

    def begin_minute(
        self, start: datetime, symbols: Collection[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Begin a minute; return the symbols that are newly halted in it, and those that are resumed."""
        if not (self._plan or self._until or self.symbols):
            return (), ()
        with self._lock:
            for symbol, until in list(self._until.items()):
                if until is not None and until <= start:
                    del self._until[symbol]
            if self._plan:
                self._strike(start, symbols)
            before, self.symbols = self.symbols, frozenset(self._until)
            return tuple(sorted(self.symbols - before)), tuple(sorted(before - self.symbols))

    def _strike(self, start: datetime, symbols: Collection[str]) -> None:
        from smabot_exchange.faults.market_kinds import TradingHalt

        if not self._plan.any(TradingHalt):
            return
        for symbol in symbols:
            if symbol not in self._until:
                occasion = Occasion(f"halt {symbol} {start}", start, symbol=symbol)
                if fault := self._plan.first(TradingHalt, occasion):
                    self.halt(
                        symbol, None if fault.minutes is None else start + fault.minutes * MINUTE
                    )
