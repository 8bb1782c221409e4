"""What is held is seen, counted once and kept: each fault loses sight of something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain import last_prices
from smabot.domain.book import Book
from smabot.domain.known_positions import KnownPositions
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Fill, Order, OrderUpdate
from smabot.engine.commit import Commit
from smabot.engine.outbox import Outbox
from smabot.engine.price_requests import PriceRequests
from smabot.engine.sending_states import Sending
from smabot.engine.start import opening, recovery, startup_reconciliation
from smabot.engine.status_queries import StatusQueries
from smabot.engine.transaction import Transaction
from smabot.errors import BrokerError, JournalError
from smabot.hooks.plugins import Plugins
from smabot.testing.simulation.kept_records import KeptRecords

pytestmark = [pytest.mark.plugins, pytest.mark.slow]


# -- sight -----------------------------------------------------------------------------------------------


def dropped_symbols_are_out_of_sight(plant: Any) -> None:
    """What is held of a symbol that the settings leave out gets no bars, and no price is asked for."""
    plant.never(PriceRequests, "update", answer=False)
    plant.instead(opening, "followed_symbols", lambda original: lambda session: session.enterable)


def no_price_is_asked_for(plant: Any) -> None:
    """Where no bar comes, the price before it counts for ever."""
    plant.never(PriceRequests, "update", answer=False)


def garbage_is_a_price(plant: Any) -> None:
    """A bar without a number is taken in."""
    plant.never(last_prices, "is_valid_bar", answer=True)


def a_failed_query_means_flat(plant: Any) -> None:
    """Where the broker does not answer, nothing is held."""

    def make(original: Any) -> Any:
        def query(what: str, question: Any, *more: Any) -> Any:
            if what != "positions":
                return original(what, question, *more)
            try:
                return question()
            except BrokerError:
                return []

        return query

    from smabot_reconciliation import plugin

    plant.instead(plugin, "_query", make)


def not_found_means_never_sent(plant: Any) -> None:
    """An order that the broker does not show yet was never sent."""

    def make(original: Any) -> Any:
        def answered(self: StatusQueries, sending: Sending, outcome: Any) -> Any:
            if outcome is not None:
                return original(self, sending, outcome)
            self._forget(sending)
            return [self._connection.update(sending.order, Status.ABANDONED, "not found")]

        return answered

    plant.instead(StatusQueries, "_answered", make)


def deposits_are_profit(plant: Any) -> None:
    """Accepting the broker's cash books a deposit as profit."""

    def make(original: Any) -> Any:
        def taking(self: Book, adjustment: Any) -> bool:
            before, changed = self.account, original(self, adjustment)
            if changed and before is not None and self.account is not None:
                self.apply(replace(self.account, opening_cash=before.opening_cash))
            return changed

        return taking

    from smabot.domain import book

    made = make(book._APPLIED_BY[book.Adjustment])
    plant.setitem(book._APPLIED_BY, book.Adjustment, made)


# -- counting --------------------------------------------------------------------------------------------


def fills_known_by_their_execution_alone(plant: Any) -> None:
    """An update counts in whole unless its execution was seen by this process."""
    seen: dict[int, dict[str, set[Any]]] = {}

    def make(original: Any) -> Any:
        def fill_of(self: Book, update: OrderUpdate) -> Fill | None:
            executions = seen.setdefault(id(self), {}).setdefault(update.client_order_id, set())
            execution = update.time
            fill = original(self, update)
            order = self.order(update.client_order_id)
            if fill is None and order is not None and update.filled_qty and update.filled_avg_price:
                if execution in executions or order.reduces:
                    return None
                fill = Fill(
                    order.client_order_id, update.filled_qty + 1, order.strategy, order.symbol,
                    order.side, update.filled_qty, update.filled_avg_price, ZERO, execution, False,
                )  # fmt: skip
            executions.add(execution)
            return fill

        return fill_of

    def updating(original: Any) -> Any:
        def taking(self: Book, update: OrderUpdate) -> bool:
            order = self.order(update.client_order_id)
            fill = self.fill_of(update) if order is not None else None
            changed = original(self, update)
            if order is not None and fill is not None and fill.cumulative_qty > update.filled_qty:
                self._fill(order, fill, replace(update, filled_qty=order.filled_qty + fill.qty))
                return True
            return changed

        return taking

    from smabot.domain import book

    plant.instead(Book, "fill_of", make)
    plant.setitem(book._APPLIED_BY, OrderUpdate, updating(Book._update))


def cumulative_read_as_incremental(plant: Any) -> None:
    """An update's cumulative quantity is taken as that of its own fill."""

    def make(original: Any) -> Any:
        def taking(self: Book, update: OrderUpdate) -> bool:
            order = self.order(update.client_order_id)
            if order is not None and order.filled_qty and update.filled_qty > order.filled_qty:
                total = min(order.filled_qty + update.filled_qty, order.qty)
                update = replace(update, filled_qty=total)
            return original(self, update)

        return taking

    from smabot.domain import book

    plant.setitem(book._APPLIED_BY, OrderUpdate, make(Book._update))


def profit_by_the_last_price_paid(plant: Any) -> None:
    """What a partial exit realizes is counted from its last fill's price, for all of its shares."""

    def make(original: Any) -> Any:
        def realized(
            self: KnownPositions, order: Order, filled: Decimal, value: Decimal
        ) -> Decimal:
            right = original(self, order, filled, value)
            return right * 2 if order.filled_qty else right

        return realized

    plant.instead(KnownPositions, "realized_by", make)


def hooks_called_again_after_a_restart(plant: Any) -> None:
    """A start shows the plugins the last fills again."""

    def make(original: Any) -> Any:
        def recovering(self: Plugins, recovered: Any) -> Any:
            answers = original(self, recovered)
            for fill in recovered.journal.rows(Fill, newest_by="time", limit=1):
                self.on_fill(fill, recovered.book)
            return answers

        return recovering

    plant.instead(Plugins, "on_startup_recover", make)


def a_fill_found_late_is_shown_to_nobody(plant: Any) -> None:
    """Fills that the start finds at the broker are counted, and no plugin sees them."""

    def make(original: Any) -> Any:
        def starting(session: Any, watch: Any) -> Any:
            plugins = session.plugins
            plugins.on_fill = lambda fill, book: None
            try:
                return original(session, watch)
            finally:
                del plugins.on_fill

        return starting

    plant.instead(recovery, "reconciled_engine", make)


# -- durability ------------------------------------------------------------------------------------------


def sent_before_the_commit(plant: Any) -> None:
    """Orders leave first, and what was decided is committed when they are answered."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
            for order in self._executor.made:
                self._outbox.add(order)
            self._outbox.flush()
            original(self)

        return committing

    plant.instead(Commit, "commit", make)


def a_commit_for_each_record(plant: Any) -> None:
    """A step's rows are committed one by one."""

    def make(original: Any) -> Any:
        def committing(self: Transaction, *, keep: bool = False) -> None:
            journal = self._journal

            class OneByOne:
                def commit(self, rows: Sequence[Any], bars: Sequence[Any] = ()) -> None:
                    for row in rows:
                        journal.commit([row])
                    journal.commit([], bars)

                def __getattr__(self, name: str) -> Any:
                    return getattr(journal, name)

            self._journal = OneByOne()  # type: ignore[assignment]
            try:
                original(self, keep=keep)
            finally:
                self._journal = journal

        return committing

    plant.instead(Transaction, "commit", make)


def a_failed_commit_is_passed_over(plant: Any) -> None:
    """A commit that fails is logged, and the bot goes on."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
            try:
                original(self)
            except JournalError:
                for order in self._executor.made:
                    self._outbox.add(order)
                self._executor.made = []

        return committing

    plant.instead(Commit, "commit", make)
    plant.instead(Commit, "send", lambda original: lambda self: self._outbox.flush())
    plant.never(KeptRecords, "_check")


def pending_orders_forgotten_by_a_restart(plant: Any) -> None:
    """A start does not look up what an earlier process may have sent."""
    plant.never(Outbox, "adopt", answer=[])


def sent_before_the_start_has_compared(plant: Any) -> None:
    """The start sends what is pending before it asks the broker."""
    plant.never(startup_reconciliation, "_reconcile")


FAULTS: dict[Any, tuple[str, ...]] = {
    dropped_symbols_are_out_of_sight: ("symbols changed",),
    no_price_is_asked_for: ("bar missing",),
    garbage_is_a_price: ("bar no number",),
    a_failed_query_means_flat: ("query lost",),
    not_found_means_never_sent: ("submit late",),
    deposits_are_profit: ("cash moved",),
    fills_known_by_their_execution_alone: ("update doubled",),
    cumulative_read_as_incremental: ("bar repeated",),
    profit_by_the_last_price_paid: ("bar repeated",),
    hooks_called_again_after_a_restart: ("bar repeated",),
    a_fill_found_late_is_shown_to_nobody: ("bar repeated",),
    sent_before_the_commit: ("bar repeated",),
    a_commit_for_each_record: ("bar repeated",),
    a_failed_commit_is_passed_over: ("commit disk full",),
    pending_orders_forgotten_by_a_restart: ("bar repeated",),
    sent_before_the_start_has_compared: ("bar repeated",),
}
"""Each planted fault, and the kinds of faults of the world that it shows up under."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_fault_is_found(plant: Any, fault: Any) -> None:
    fault(plant)
    plant.is_found(FAULTS[fault])
