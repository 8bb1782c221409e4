"""What the strategies want: their signals become targets, which outlive the process."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from inspect import iscoroutine
from typing import Any

from smabot.domain.book import Book
from smabot.domain.frozen_classes import replace
from smabot.domain.records import Bar, Signal, SignalState
from smabot.engine.execution.flattening import being_flattened
from smabot.errors import PluginFault
from smabot.settings.model import Config


class Targets:
    """Takes signals in, and acts late on what was missed while the bot was down."""

    def __init__(self, config: Config, book: Book, symbols: Collection[str]) -> None:
        self._config = config
        self._book = book
        self._symbols = frozenset(symbols)

    def take_signals(self, answers: Iterable[tuple[str, Any]], decide: bool) -> list[Signal]:
        """Keep the strategies' answers to a minute; returns those that are to be gone after now.

        A signal equal to the last one is ignored. Without ``decide`` all are missed, and with it those of a
        symbol that a split holds. Raises PluginFault for an answer that is none.
        """
        kept = [
            self._keep(strategy, signal, decide)
            for strategy, answer in answers
            for signal in _signals(strategy, answer)
        ]
        return [signal for signal in kept if signal is not None]

    def late_entries(self, bars: Sequence[Bar]) -> list[Signal]:
        """Act on missed signals of the symbols that have a fresh bar; returns the entries among them.

        A missed exit is always acted on, a missed entry where `act_on_missed_entries` says so.
        """
        book, unsettled = self._book, self._book.unsettled()
        entries: list[Signal] = []
        if not unsettled:
            return entries
        for bar in bars:
            if bar.symbol not in unsettled or book.split_holds(bar.symbol):
                continue
            for _, state in sorted(unsettled[bar.symbol].items()):
                if state.missed and (signal := self._late(state, bar)) is not None:
                    book.apply(signal)
                    entries.append(signal)
        return entries

    def _keep(self, strategy: str, signal: Signal, decide: bool) -> Signal | None:
        book = self._book
        if signal.symbol not in self._symbols:
            raise PluginFault(
                f"plugin '{strategy}' signalled {signal.symbol}, which is not traded in this run"
            )
        state = book.signals.get((strategy, signal.symbol))
        if state is not None and state.target == signal.target and not state.missed:
            return None
        decide = decide and not book.split_holds(signal.symbol)
        label = signal.label or ("BUY" if signal.target else "SELL")
        signal = replace(signal, strategy=strategy, missed=not decide, label=label)
        book.apply(signal)
        if being_flattened(book, state):
            return None
        book.apply(
            SignalState(strategy, signal.symbol, label, signal.target, signal.bar_time, not decide)
        )
        return signal if decide else None

    def _late(self, state: SignalState, bar: Bar) -> Signal | None:
        book = self._book
        holding = (state.strategy, state.symbol)
        working = any(order.strategy == state.strategy for order in book.working(state.symbol))
        if state.target == 0 and book.holding(*holding) == 0 and not working:
            book.apply(replace(state, missed=False))
            return None
        if state.target and not self._config.act_on_missed_entries:
            return None
        book.apply(replace(state, missed=False, bar_time=bar.time))
        return Signal(
            state.symbol, state.target, bar.time, bar.close, state.strategy,
            reason="acts late on a missed signal", label=state.last_signal,
        )  # fmt: skip


def _signals(plugin: str, answer: Any) -> list[Signal]:
    """Return the signals of an answer. Raises PluginFault for what is none, or contradicts itself."""
    signals = answer if isinstance(answer, list) else [answer]
    targets: dict[str, int] = {}
    for signal in signals:
        if not isinstance(signal, Signal):
            if iscoroutine(signal):
                signal.close()
            raise PluginFault(
                f"plugin '{plugin}': on_bar answered {signal!r}: return a Signal, a list or None"
            )
        if targets.setdefault(signal.symbol, signal.target) != signal.target:
            raise PluginFault(
                f"plugin '{plugin}': on_bar answered both targets of {signal.symbol}, long and flat: "
                "return one Signal for each symbol"
            )
        if signal.target not in (0, 1):
            raise PluginFault(
                f"plugin '{plugin}': on_bar answered target {signal.target}: use 1 (long) or 0 (flat)"
            )
    return signals
