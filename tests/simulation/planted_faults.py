"""Faults that a bot like this one has had, or could have: each patches the real classes, and nothing of it ships.

They are parted by what they break: the gate, exits, commands, sight, counting, and durability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial, wraps
from typing import Any

import pytest

from smabot.domain import last_prices
from smabot.domain.book import Book
from smabot.domain.known_blocks import KnownBlocks
from smabot.domain.known_positions import KnownPositions
from smabot.domain.order_terms import Status
from smabot.domain.records import ZERO, Fill, Order, OrderUpdate
from smabot.domain.risk_answers import Check
from smabot.engine import operator_commands, step
from smabot.engine.cancels import Cancels
from smabot.engine.commit import Commit
from smabot.engine.dispatcher import Request
from smabot.engine.execution import executor, next_action
from smabot.engine.execution.executor import Executor
from smabot.engine.gate import GO, Answer, Gate, Verdict
from smabot.engine.loop import Engine
from smabot.engine.mark_to_market import MarkToMarket
from smabot.engine.outbox import Outbox
from smabot.engine.price_requests import PriceRequests
from smabot.engine.reconciling.conflict import ReconciliationConflict
from smabot.engine.reconciling.running_comparison import Comparison
from smabot.engine.sending_states import Sending, State
from smabot.engine.start import opening, recovery, startup_reconciliation
from smabot.engine.status_queries import StatusQueries
from smabot.errors import BrokerError, JournalError
from smabot.hooks.plugins import Plugins
from smabot.testing.simulation.kept_records import KeptRecords

Patch = pytest.MonkeyPatch
PlantedFault = Callable[[Patch], None]


def instead(patch: Patch, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function by what ``make`` makes of it; a hook stays one."""
    original = getattr(owner, name)
    patch.setattr(owner, name, wraps(original)(make(original)))


def never(patch: Patch, owner: Any, name: str, answer: Any = None) -> None:
    """Let a function do nothing and give an answer."""
    instead(patch, owner, name, lambda original: lambda *args, **kwargs: answer)


# -- the gate -----------------------------------------------------------------------------------------


def judged_once(patch: Patch) -> None:
    """An order is judged when it is made, and never again."""
    making: list[Order] = []

    def admit(original: Any) -> Any:
        def admitting(self: Gate, order: Order) -> Any:
            making.append(order)
            try:
                return original(self, order)
            finally:
                making.pop()

        return admitting

    def may_leave(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            return original(self, order, left=left) if making else GO

        return judging

    instead(patch, Gate, "admit", admit)
    instead(patch, Gate, "may_leave", may_leave)


def sent_again_unjudged(patch: Patch) -> None:
    """What may have left is sent again whatever has happened since: a trip, a halt."""

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            return GO if left else original(self, order)

        return judging

    instead(patch, Gate, "may_leave", make)


def sent_again_while_entries_wait(patch: Patch) -> None:
    """An unanswered entry is sent again though order updates are down."""

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            verdict = original(self, order, left=left)
            return GO if left and verdict.answer is Answer.WAIT else verdict

        return judging

    instead(patch, Gate, "may_leave", make)


def left_unjudged_after_a_wait(patch: Patch) -> None:
    """An entry that waited leaves as soon as its cause is over, whatever was decided meanwhile."""
    waited: set[str] = set()

    def make(original: Any) -> Any:
        def judging(self: Gate, order: Order, *, left: bool = False) -> Verdict:
            name, verdict = order.client_order_id, original(self, order, left=left)
            if verdict.answer is Answer.WAIT:
                waited.add(name)
                return verdict
            return GO if name in waited and not self.standing.degraded else verdict

        return judging

    instead(patch, Gate, "may_leave", make)


def no_epochs(patch: Patch) -> None:
    """What was granted leaves, though it waited behind others."""
    never(patch, Outbox, "end_grants")
    never(patch, Outbox, "_end_grants_that_do_not_hold")


def retried_by_the_courier(patch: Patch) -> None:
    """What found no room under the rate limit is sent after a pause, without another grant."""

    def make(original: Any) -> Any:
        def paused(self: Outbox, sending: Sending, error: Any) -> Any:
            ask = partial(self._connection.broker.submit, sending.order)
            request = Request((2,), ask, partial(self._sent, sending))
            sending.state = State.GRANTED
            self._connection.put(request, error.wait)
            return ()

        return paused

    instead(patch, Outbox, "_paused", make)


def sent_after_a_conflict(patch: Patch) -> None:
    """A conflict is kept among the events, and the bot trades on."""

    def make(original: Any) -> Any:
        def comparing(self: Engine) -> None:
            try:
                original(self)
            except ReconciliationConflict:
                self.gate.standing.conflict = ""

        return comparing

    instead(patch, Engine, "compare", make)


def blocks_of_absent_plugins_ignored(patch: Patch) -> None:
    """A block counts only where its plugin is part of the run."""
    never(patch, recovery, "require_blocking_plugins")
    begun: list[Plugins] = []

    def init(original: Any) -> Any:
        def making(
            self: Gate, config: Any, book: Any, plugins: Plugins, *more: Any, **kw: Any
        ) -> None:
            begun[:] = [plugins]
            original(self, config, book, plugins, *more, **kw)

        return making

    def holding(original: Any) -> Any:
        def held(self: KnownBlocks, now: datetime, *, reduces: bool) -> Any:
            names = {"core", *begun[0].names} if begun else {"core"}
            return [b for b in original(self, now, reduces=reduces) if b.plugin in names]

        return held

    instead(patch, Gate, "__init__", init)
    instead(patch, KnownBlocks, "holding", holding)


def no_price_collar(patch: Patch) -> None:
    """A bad print is a price as any."""
    never(patch, last_prices.LastPrices, "jumped_from")


def stale_entries_leave(patch: Patch) -> None:
    """An entry never gets too old."""

    def make(original: Any) -> Any:
        def judging(self: Gate, entry: Order) -> Verdict:
            verdict = original(self, entry)
            return GO if "too long" in verdict.why else verdict

        return judging

    instead(patch, Gate, "_entry", make)


def entered_in_the_last_minute(patch: Patch) -> None:
    """An entry is made that can only fill in a later session."""
    never(patch, Gate, "_last_minutes", Check("last_entry_minutes", True))


def entered_beside_an_unknown_order(patch: Patch) -> None:
    """A symbol is entered though nobody knows what became of another order in it."""
    never(patch, Gate, "_unknown", Check("unknown_order", True))


def entries_while_updates_are_missing(patch: Patch) -> None:
    """Entries go on while the stream of order updates is down."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
            self._feed_trouble = ""
            original(self)

        return committing

    instead(patch, Commit, "commit", make)


def not_compared_after_a_reconnect(patch: Patch) -> None:
    """When the stream is back the bot goes on as if nothing was missed."""

    def make(original: Any) -> Any:
        return lambda self, batch: original(self, replace(batch, resync=False))

    instead(patch, Engine, "take", make)


def symbols_entered_that_were_dropped(patch: Patch) -> None:
    """Whatever has bars may be entered, though the settings leave it out."""

    def make(original: Any) -> Any:
        def making(self: Gate, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **{**kwargs, "enterable": ("AAA", "BBB")})

        return making

    instead(patch, Gate, "__init__", make)


# -- exits and cancels -----------------------------------------------------------------------------------


def sold_unasked(patch: Patch) -> None:
    """An exit sells what the bot believes to hold, whatever was sold by hand."""
    never(patch, Comparison, "external_activity_seen")
    patch.setattr("smabot_exchange.in_process._intent", lambda order: None)


def own_entries_in_the_way(patch: Patch) -> None:
    """An exit does not cancel what rests in its way."""
    instead(
        patch,
        Executor,
        "_situation",
        lambda original: lambda *args: replace(original(*args), opposing=()),
    )


def resting_entries_stay(patch: Patch) -> None:
    """A halt, a trip or a limit leaves the entries that rest at the broker."""
    never(patch, Executor, "_entries_blocked", "")


def entries_live_for_ever(patch: Patch) -> None:
    """A market entry that does not fill is never canceled."""
    never(patch, next_action, "timeout_of", timedelta(0))


def an_unanswered_cancel_is_waited_for(patch: Patch) -> None:
    """An exit waits until a canceled entry has ended, however long that takes."""

    def make(original: Any) -> Any:
        def clearing(s: Any) -> Any:
            asked = [o for o in (*s.orders, *s.opposing) if not o.reduces]
            return next_action.Wait(None, "a cancel") if asked else original(s)

        return clearing

    instead(patch, next_action, "_clear_the_way", make)


def yesterday_s_exit_counts(patch: Patch) -> None:
    """An order that is left open at its session's close stays open."""
    never(patch, next_action, "_overdue")
    never(patch, next_action, "needs_comparison", answer=False)


def exit_made_twice(patch: Patch) -> None:
    """An exit that was not answered is made anew at once, under another id."""

    def make(original: Any) -> Any:
        def is_lost(exit_: Order, now: datetime) -> bool:
            return exit_.status is Status.UNKNOWN

        return is_lost

    instead(patch, next_action, "lost", make)
    instead(patch, executor, "lost", make)


def a_cancel_s_answer_ends_an_order(patch: Patch) -> None:
    """A cancel that was accepted counts as the order's end."""

    def make(original: Any) -> Any:
        def requesting(self: Cancels, order: Order, tries: int = 0) -> Any:
            request = original(self, order, tries)

            def take(outcome: Any) -> Any:
                if isinstance(outcome, BrokerError):
                    return request.take(outcome)
                now = self._connection.clock.now()
                return [OrderUpdate(order.client_order_id, Status.CANCELED, now)]

            return replace(request, take=take)

        return requesting

    instead(patch, Cancels, "_request", make)


def cancels_forgotten_by_a_restart(patch: Patch) -> None:
    """That a cancel was asked for is known to the process alone, and not asked for again."""
    never(patch, Cancels, "start_over")

    def make(original: Any) -> Any:
        def dropping(self: Cancels) -> None:
            if not hasattr(self, "_known"):
                self._known = set(self._book.canceling)  # type: ignore[attr-defined]
            now = self._connection.clock.now()
            self._asked.update(dict.fromkeys(self._known & self._book.canceling.keys(), now))  # type: ignore[attr-defined]
            original(self)

        return dropping

    instead(patch, Cancels, "request_due", make)


def a_halt_stops_exits(patch: Patch) -> None:
    """A block of entries holds exits, too."""

    def make(original: Any) -> Any:
        return lambda self, now, *, reduces: original(self, now, reduces=False)

    instead(patch, KnownBlocks, "holding", make)


def a_revoked_key_refuses_orders(patch: Patch) -> None:
    """A refused key is taken as the refusal of the order."""

    def make(original: Any) -> Any:
        def taking(self: Outbox, sending: Sending, error: Any) -> Any:
            self._forget(sending)
            return [self._connection.update(sending.order, Status.REJECTED, str(error))]

        return taking

    instead(patch, Outbox, "_turned_away", make)


# -- the operator and the risk plugins --------------------------------------------------------------------


def first_word_last(patch: Patch) -> None:
    """Commands that waited are carried out in another order than they were given."""
    instead(
        patch,
        step,
        "carry_out",
        lambda original: lambda commands, *more: original(commands[::-1], *more),
    )


def commands_never_expire(patch: Patch) -> None:
    """A resume or a flatten of an hour ago is carried out."""
    never(patch, operator_commands, "_expired", answer=False)


def resume_lifts_every_block(patch: Patch) -> None:
    """The operator's resume ends a trip and a reached limit, too."""

    def make(original: Any) -> Any:
        def resuming(book: Book) -> None:
            original(book)
            for block in list(book.blocks.values()):
                book.apply(replace(block, until=book.now))

        return resuming

    def no_veto(original: Any) -> Any:
        return lambda self, order, book: None

    from smabot_risk.circuit_breaker import CircuitBreaker

    instead(patch, operator_commands, "resume", make)
    instead(patch, CircuitBreaker, "may_leave", no_veto)


def breaker_reset_at_start(patch: Patch) -> None:
    """Each start arms the circuit breaker again."""
    from smabot_risk.breaker_state import reset_breaker_state
    from smabot_risk.circuit_breaker import CircuitBreaker, breaker_state, save_breaker_state

    def make(original: Any) -> Any:
        def recovering(self: CircuitBreaker, recovery: Any) -> Any:
            answer, book = original(self, recovery), recovery.book
            state = breaker_state(book)
            if state.tripped:
                save_breaker_state(reset_breaker_state(state, book.equity()), book)
                self._sync_block(breaker_state(book), book, book.now)
            return answer

        return recovering

    instead(patch, CircuitBreaker, "on_startup_recover", make)


def daily_count_in_memory(patch: Patch) -> None:
    """The orders of the date are counted by the process, not in the database."""
    from smabot_risk.daily_limits import DailyLimits

    def describing(original: Any) -> Any:
        def recovering(self: DailyLimits, recovery: Any) -> Any:
            answer, book = original(self, recovery), recovery.book
            counts = self._counts(book.trading_date, book)
            if counts.order_count:
                book.apply(replace(counts, order_count=0, trade_count=0))
            return answer

        return recovering

    instead(patch, DailyLimits, "on_startup_recover", describing)


def not_counted_while_the_limits_were_off(patch: Patch) -> None:
    """Orders of runs without the plugin are not among its counts."""
    from smabot_risk.daily_limits import DailyLimits

    never(patch, DailyLimits, "_recount")


def not_marked_after_a_fill(patch: Patch) -> None:
    """A minute is not marked where a fill of a later second was."""

    def make(original: Any) -> Any:
        def marking(self: MarkToMarket, time: datetime) -> None:
            last = self._book.point
            if last is None or last.time < time:
                original(self, time)

        return marking

    instead(patch, MarkToMarket, "mark_minute", make)


def marked_every_hour(patch: Patch) -> None:
    """Losses are looked at only where a point of the curve is due."""

    def make(original: Any) -> Any:
        def marking(self: MarkToMarket, time: datetime) -> None:
            if time.minute == 0:
                original(self, time)

        return marking

    instead(patch, MarkToMarket, "mark_minute", make)


# -- sight ------------------------------------------------------------------------------------------------


def dropped_symbols_are_out_of_sight(patch: Patch) -> None:
    """What is held of a symbol that the settings leave out gets no bars, and no price is asked for."""
    never(patch, PriceRequests, "update", answer=False)
    instead(patch, opening, "followed_symbols", lambda original: lambda session: session.enterable)


def no_price_is_asked_for(patch: Patch) -> None:
    """Where no bar comes, the price before it counts for ever."""
    never(patch, PriceRequests, "update", answer=False)


def garbage_is_a_price(patch: Patch) -> None:
    """A bar without a number is taken in."""
    never(patch, last_prices, "is_valid_bar", answer=True)


def a_failed_query_means_flat(patch: Patch) -> None:
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

    instead(patch, plugin, "_query", make)


def not_found_means_never_sent(patch: Patch) -> None:
    """An order that the broker does not show yet was never sent."""
    never(patch, StatusQueries, "is_absence_proven", answer=True)


def deposits_are_profit(patch: Patch) -> None:
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
    patch.setitem(book._APPLIED_BY, book.Adjustment, made)


# -- counting -----------------------------------------------------------------------------------------------


def fills_known_by_their_execution_alone(patch: Patch) -> None:
    """An update counts in whole unless its execution was seen by this process."""
    seen: dict[int, dict[str, set[Any]]] = {}

    def make(original: Any) -> Any:
        def fill_of(self: Book, update: OrderUpdate) -> Fill | None:
            executions = seen.setdefault(id(self), {}).setdefault(update.client_order_id, set())
            execution = update.filled_at or update.time
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

    instead(patch, Book, "fill_of", make)
    patch.setitem(book._APPLIED_BY, OrderUpdate, updating(Book._update))


def cumulative_read_as_incremental(patch: Patch) -> None:
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

    patch.setitem(book._APPLIED_BY, OrderUpdate, make(Book._update))


def profit_by_the_last_price_paid(patch: Patch) -> None:
    """What a partial exit realizes is counted from its last fill's price, for all of its shares."""

    def make(original: Any) -> Any:
        def realized(
            self: KnownPositions, order: Order, filled: Decimal, value: Decimal
        ) -> Decimal:
            right = original(self, order, filled, value)
            return right * 2 if order.filled_qty else right

        return realized

    instead(patch, KnownPositions, "realized_by", make)


def hooks_called_again_after_a_restart(patch: Patch) -> None:
    """A start shows the plugins the last fills again."""

    def make(original: Any) -> Any:
        def recovering(self: Plugins, recovered: Any) -> Any:
            answers = original(self, recovered)
            for fill in recovered.journal.rows(Fill, newest_by="time", limit=1):
                self.on_fill(fill, recovered.book)
            return answers

        return recovering

    instead(patch, Plugins, "on_startup_recover", make)


def a_fill_found_late_is_shown_to_nobody(patch: Patch) -> None:
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

    instead(patch, recovery, "reconciled_engine", make)


# -- durability ----------------------------------------------------------------------------------------------


def sent_before_the_commit(patch: Patch) -> None:
    """Orders leave first, and what was decided is committed when they are answered."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
            for order in self._executor.made:
                self._outbox.add(order)
            self._outbox.flush()
            original(self)

        return committing

    instead(patch, Commit, "commit", make)


def a_commit_for_each_record(patch: Patch) -> None:
    """A step's rows are committed one by one."""

    def make(original: Any) -> Any:
        def committing(self: Commit) -> None:
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
                original(self)
            finally:
                self._journal = journal

        return committing

    instead(patch, Commit, "commit", make)


def a_failed_commit_is_passed_over(patch: Patch) -> None:
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

    instead(patch, Commit, "commit", make)
    instead(patch, Commit, "send", lambda original: lambda self: self._outbox.flush())
    never(patch, KeptRecords, "_check")


def pending_orders_forgotten_by_a_restart(patch: Patch) -> None:
    """A start does not look up what an earlier process may have sent."""
    never(patch, Outbox, "adopt", answer=[])


def sent_before_the_start_has_compared(patch: Patch) -> None:
    """The start sends what is pending before it asks the broker."""
    never(patch, startup_reconciliation, "_reconcile")


CALM = ("bar repeated",)
LINE = ("submit lost", "submit unanswered", "submit late")
MISSING = ("stream down",)
STOPS = ("stopped and started",)
THEMES: dict[PlantedFault, tuple[str, ...]] = {
    judged_once: MISSING, sent_again_unjudged: LINE, sent_again_while_entries_wait: (*LINE, *MISSING),
    left_unjudged_after_a_wait: MISSING, no_epochs: ("dispatcher busy",),
    retried_by_the_courier: ("submit full", "stream down"), sent_after_a_conflict: ("bought by hand", "bar repeated"),
    blocks_of_absent_plugins_ignored: ("plugins changed", "bar repeated", "bar revised"), no_price_collar: ("bar bad print",),
    stale_entries_leave: MISSING, entered_in_the_last_minute: CALM,
    entered_beside_an_unknown_order: LINE, entries_while_updates_are_missing: MISSING,
    not_compared_after_a_reconnect: MISSING, symbols_entered_that_were_dropped: ("symbols changed",),
    sold_unasked: ("sold by hand",), own_entries_in_the_way: CALM, resting_entries_stay: CALM,
    entries_live_for_ever: ("exchange halt", "exchange stuck_pending"),
    an_unanswered_cancel_is_waited_for: ("exchange frozen_cancel",),
    yesterday_s_exit_counts: ("exchange left_at_close", "exchange halt"), exit_made_twice: LINE,
    a_cancel_s_answer_ends_an_order: ("exchange frozen_cancel",),
    cancels_forgotten_by_a_restart: ("cancel lost",), a_halt_stops_exits: CALM,
    a_revoked_key_refuses_orders: ("key refused",), first_word_last: STOPS,
    commands_never_expire: ("clock steps",), resume_lifts_every_block: CALM, breaker_reset_at_start: CALM,
    daily_count_in_memory: CALM, not_counted_while_the_limits_were_off: ("plugins changed",), not_marked_after_a_fill: ("bar late",),
    marked_every_hour: CALM, dropped_symbols_are_out_of_sight: ("symbols changed",),
    no_price_is_asked_for: ("bar missing",), garbage_is_a_price: ("bar no number",),
    a_failed_query_means_flat: ("query lost",), not_found_means_never_sent: ("submit late",),
    deposits_are_profit: ("cash moved",), fills_known_by_their_execution_alone: ("update doubled",),
    cumulative_read_as_incremental: CALM, profit_by_the_last_price_paid: CALM,
    hooks_called_again_after_a_restart: CALM, a_fill_found_late_is_shown_to_nobody: CALM,
    sent_before_the_commit: CALM, a_commit_for_each_record: CALM,
    a_failed_commit_is_passed_over: ("commit disk full",), pending_orders_forgotten_by_a_restart: CALM,
    sent_before_the_start_has_compared: CALM,
}  # fmt: skip
"""Each fault with the kinds of faults of the world that it shows up under."""
