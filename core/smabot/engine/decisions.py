"""What a step decides: strategies, missed signals and prices, then what execution makes of it."""

from __future__ import annotations

from typing import Any

from smabot.domain.book import Book
from smabot.domain.records import Bar, Batch
from smabot.engine.execution.executor import Executor
from smabot.engine.execution.targets import Targets
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.price_requests import PriceRequests
from smabot.hooks.plugins import Plugins


class Decisions:
    """Marks equity first, then asks the strategies, then pursues what is wanted."""

    def __init__(
        self,
        book: Book,
        plugins: Plugins,
        equity: MarkToMarket,
        prices: PriceRequests,
        targets: Targets,
        executor: Executor,
    ) -> None:
        self.started = False
        """Whether the start is over. Before, positions are pursued at fresh bars alone: what the start
        still has to tell may change what is wanted."""
        self._book = book
        self._plugins = plugins
        self._equity = equity
        self._prices = prices
        self._targets = targets
        self._executor = executor

    def decide(self, batch: Batch, *, fresh: bool, flatten: bool) -> None:
        """Take a minute's bars in and decide on them where they are ``fresh``.

        ``flatten``: the operator wants flat just now.
        """
        bars, answers = self._show(batch, fresh)
        self._pursue(bars, answers, fresh=fresh, flatten=flatten)

    def decide_calmly(self, minute: Batch, *, fresh: bool) -> None:
        """Do the same where all was at rest before: only a signal, or what a plugin changed, has to be pursued."""
        bars, answers = self._show(minute, fresh, calm=True)
        if answers or not self._book.at_rest:
            self._pursue(bars, answers, fresh=fresh, flatten=False)

    def _show(
        self, batch: Batch, fresh: bool, *, calm: bool = False
    ) -> tuple[list[Bar], list[tuple[str, Any]]]:
        """Take bars in, value the account, and ask the strategies; returns the new bars and their answers."""
        book = self._book
        bars = book.apply_bars(batch.bars)
        asks = self.started or (fresh and self._prices.is_now(batch.time))
        asked = asks and self._prices.update()
        if bars:
            self._equity.mark_minute(batch.time, calm=calm)
            return bars, self._plugins.on_bar(bars, book)
        if asked:
            self._equity.mark_at(book.now)
        return bars, []

    def _pursue(
        self, bars: list[Bar], answers: list[tuple[str, Any]], *, fresh: bool, flatten: bool
    ) -> None:
        """Keep what the strategies want, and go after it."""
        decided = self._targets.take_signals(answers, fresh) if answers else []
        if fresh and bars:
            decided += self._targets.late_entries(bars)
        if fresh or flatten or (self.started and not bars):
            self._executor.pursue_targets(at_once=flatten)
            for signal in decided:
                self._executor.enter(signal)
