"""Applies the broker's order updates, calls the plugins' hooks, and says what starts a comparison."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.late_fills import may_be_counted
from smabot.domain.order_terms import RefusalCause, Status
from smabot.domain.records import Fill, Order, OrderUpdate
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.reconciling.conflict import (
    ReconciliationConflict,
    filled_after_its_end,
    filled_over_split,
)
from smabot.engine.reconciling.running_comparison import Comparison
from smabot.hooks.plugins import Plugins


class BrokerNews:
    """Applies order updates. Those of other orders start a comparison."""

    def __init__(
        self,
        bot: str,
        book: Book,
        plugins: Plugins,
        comparison: Comparison,
        equity: MarkToMarket,
        symbols: Collection[str],
    ) -> None:
        """``bot``: what our orders' ids begin with; ``symbols``: those whose bars come."""
        self._ours = f"{bot}-"
        self._book = book
        self._plugins = plugins
        self._comparison = comparison
        self._equity = equity
        self._followed = frozenset(symbols)

    def apply(self, updates: Sequence[OrderUpdate]) -> None:
        """Apply the broker's news, then mark equity once: in between it would be half of the news.

        Raises ReconciliationConflict for a fill of an order that was given up, unless it is late news.
        """
        times = [fill.time for update in updates if (fill := self._apply_one(update))]
        if times:
            self._equity.mark_at(max(times))

    def _apply_one(self, update: OrderUpdate) -> Fill | None:
        book, before = self._book, self._book.order(update.client_order_id)
        if before is None or (update.filled_qty > 0 and update.filled_avg_price is None):
            self._note_external(update)
            return None
        fill = book.fill_of(update)
        if fill is not None and before.given_up_at is not None:
            if not may_be_counted(book, before, update):
                raise ReconciliationConflict([filled_after_its_end(before, update)])
            self._comparison.external_activity_seen(before.symbol)
        if fill is not None and (
            split := book.splits.followed_since(fill.symbol, before.created_at)
        ):
            raise ReconciliationConflict([filled_over_split(before, update, split)])
        if not book.apply_update(update, fill):
            return None
        after = book.order(update.client_order_id)
        if after is not None and after.status is not before.status:
            self._note_unanswered(before, after)
            self._note_refused_exit(after)
            self._plugins.on_order(after, book)
        if fill is not None:
            self._plugins.on_fill(fill, book)
        return fill

    def _note_external(self, update: OrderUpdate) -> None:
        if update.client_order_id.startswith(self._ours):
            self._comparison.unknown_order_seen(update.client_order_id)
        elif update.symbol in self._followed or self._book.net(update.symbol):
            book = self._book
            text = f"external order {update.client_order_id} is {update.status}"
            book.apply(Event(book.now, "external_activity", update.symbol, text))
            self._comparison.external_activity_seen(update.symbol)

    def _note_unanswered(self, before: Order, after: Order) -> None:
        """Keep among the events that an order got no answer, and what was found out of it later."""
        book, name = self._book, after.client_order_id
        reason = f": {after.reason}" if after.reason else ""
        if after.status is Status.UNKNOWN:
            text = f"no answer, so its status is queried{reason}"
            book.apply(Event(book.now, "order_unanswered", name, text))
        elif before.status is Status.UNKNOWN:
            text = f"after no answer it is known to be {after.status}{reason}"
            book.apply(Event(book.now, "order_answered", name, text))

    def _note_refused_exit(self, order: Order) -> None:
        """Keep a refused exit among the events; one that the account contradicts starts a comparison."""
        if order.status is not Status.REJECTED or not order.reduces:
            return
        book = self._book
        book.apply(Event(book.now, "refused_exit", order.symbol, order.reason, grave=True))
        if order.cause is RefusalCause.POSITION:
            self._comparison.external_activity_seen(order.symbol)
