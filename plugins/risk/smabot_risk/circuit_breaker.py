"""The circuit breaker: stops entries when submissions keep failing or equity falls too far.

Once tripped it stays tripped, across restarts too, until an operator resets it or a set time has passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from smabot.api import (
    Book,
    Command,
    EquityBounds,
    EquityPoint,
    Event,
    Order,
    Recovery,
    RecoveryStep,
    RefusalCause,
    Rule,
    Status,
    Veto,
    hookimpl,
    replace,
)
from smabot_risk.blocks import lift_block, put_block
from smabot_risk.breaker_state import (
    RESET_COMMAND,
    BreakerState,
    block_reason,
    breaker_state,
    describe_breaker,
    reset_breaker_state,
    save_breaker_state,
)
from smabot_risk.day_start import DayStart
from smabot_risk.quiet_points import QuietPoints
from smabot_risk.settings import CircuitBreakerSettings
from smabot_risk.trading_day import TradingDay

if TYPE_CHECKING:
    import click

FAILED = (Status.REJECTED, Status.UNKNOWN)
WORKED = (Status.ACCEPTED, Status.PARTIALLY_FILLED, Status.FILLED)
NAME = "risk.circuit_breaker"
MOST_NAMED = 100
EXIT_PREFIX = "exit:"
"""Before the symbol whose exits were refused, among the failures."""


class CircuitBreaker(Rule):
    """The plugin. Its state is one row of the book, `BreakerState`."""

    def __init__(self, settings: CircuitBreakerSettings) -> None:
        self._settings = settings
        self._cool_down = timedelta(minutes=settings.cool_down_minutes)
        self._day_start = DayStart()
        self._quiet_points = QuietPoints(settings)

    @hookimpl
    def records(self) -> list[type]:
        return [BreakerState]

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_risk.commands import breaker_group

        cli.add_command(breaker_group(self._settings))

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
        book = recovery.book
        self._day_start.note_point(book.point, book.account)
        state = breaker_state(book)
        if state.seen_at is not None or book.row(BreakerState, "main") is None:
            state = self._catch_up(state, TradingDay(recovery), book)
        save_breaker_state(state, book)
        self._sync_block(state, book, book.now)
        return RecoveryStep(describe_breaker(state))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "breaker", describe_breaker(breaker_state(book))

    @hookimpl
    def may_leave(self, order: Order, book: Book) -> Veto | None:
        state = breaker_state(book)
        if (
            not state.tripped
            or self._has_cooled_down(state, book.now)
            or self._settings.exempts_order(order)
        ):
            return None
        return Veto(block_reason(state))

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        state = breaker_state(book)
        if order.status in WORKED:
            if state.failure_count:
                state = replace(state, failure_count=0, failed_orders="")
        elif order.status in FAILED and order.cause is not RefusalCause.POSITION:
            failure, failed = _failure_key(order), state.failed_orders.split()
            if failure not in failed:
                count = state.failure_count + 1
                state = self._with_failures(state, count, [*failed, failure], order, book)
        save_breaker_state(state, book, order.updated_at)

    def _with_failures(
        self, state: BreakerState, count: int, failed: list[str], last: Order, book: Book
    ) -> BreakerState:
        """Return the state with so many failures in a row, the last of them ``last``'s."""
        named = failed[-MOST_NAMED:]
        counted = replace(state, failure_count=count, failed_orders=" ".join(named))
        alone = len(named) == 1 and named[0].startswith(EXIT_PREFIX)
        most = self._settings.max_failures
        if not most or count < most or alone or state.tripped:
            return counted
        why = f", the last one {last.status}: {last.reason or 'no reason given'}"
        return self._trip(counted, book, book.now, f"{count} submissions failed in a row{why}")

    def _catch_up(self, state: BreakerState, today: TradingDay, book: Book) -> BreakerState:
        """Apply what happened while this plugin was not part of the run.

        Orders count for the trading date, but a peak may be of any date since.
        """
        seen_at = state.seen_at or today.begin
        if missed := [worth.equity for worth in today.curve(seen_at) if worth.time > seen_at]:
            peak = max([*missed, *([state.peak_equity] if state.peak_equity is not None else [])])
            state = replace(state, peak_equity=peak)
        is_new = state.session_date is None or state.session_date < today.date
        if is_new and today.curve():
            start = today.start_equity()
            state = replace(state, session_date=today.date, session_equity=start)
        failed: dict[str, Order] = {}
        worked = False
        for time, failure in sorted(_outcomes(today), key=lambda outcome: outcome[0]):
            if time <= seen_at:
                continue
            if failure is not None:
                failed[_failure_key(failure)] = failure
            else:
                worked, failed = True, {}
        if worked:
            state = replace(state, failure_count=0, failed_orders="")
        known = state.failed_orders.split()
        if news := [name for name in failed if name not in known]:
            count = state.failure_count + len(news)
            state = self._with_failures(state, count, [*known, *news], failed[news[-1]], book)
        return state

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> EquityBounds | None:
        account = book.account
        if not self._quiet_points.take(point, account, book):
            self._decide(point, book)
            self._quiet_points.begin(book)
        self._day_start.note_point(point, account)
        return self._quiet_points.bounds

    def _decide(self, point: EquityPoint, book: Book) -> None:
        day = book.calendar.trading_date(point.time)
        state = self._with_session_start(breaker_state(book), day, point, book)
        equity = point.equity
        if state.peak_equity is None or equity > state.peak_equity:
            state = replace(state, peak_equity=equity)
        if state.tripped:
            if self._has_cooled_down(state, point.time):
                state = reset_breaker_state(state, equity)
                self._sync_block(state, book, point.time)
                text = (
                    f"armed again: its cool-down of {self._settings.cool_down_minutes} min is over"
                )
                book.apply(Event(point.time, "breaker_reset", NAME, text))
        elif reason := self._drawdown_reason(state, equity):
            state = self._trip(state, book, point.time, reason)
        save_breaker_state(state, book, point.time)

    @hookimpl
    def on_command(self, command: Command, book: Book) -> str | None:
        if command.verb != RESET_COMMAND:
            return None
        before = breaker_state(book)
        after = reset_breaker_state(before, _newest_equity(book))
        save_breaker_state(after, book)
        self._sync_block(after, book, book.now)
        book.apply(
            Event(
                book.now, "breaker_reset", NAME, f"by the operator; was: {describe_breaker(before)}"
            )
        )
        return f"the circuit breaker is reset; it was: {describe_breaker(before)}"

    def _with_session_start(
        self, state: BreakerState, day: date, point: EquityPoint, book: Book
    ) -> BreakerState:
        """Set the session opening equity at the first event of a trading date."""
        if state.session_date is not None and day <= state.session_date:
            return state
        return replace(state, session_date=day, session_equity=self._day_start.equity(book, point))

    def _drawdown_reason(self, state: BreakerState, equity: Decimal) -> str:
        """Return why the drawdown trips the breaker, or an empty string."""
        settings = self._settings
        for what, base, limit in (
            ("the session opening equity", state.session_equity, settings.max_session_drawdown),
            ("the peak", state.peak_equity, settings.max_peak_drawdown),
        ):
            if limit and base is not None and base > 0 and base - equity >= base * limit:
                fell = f"equity fell {(base - equity) / base:.2%} from {what}"
                return f"{fell} ({base:,.2f} to {equity:,.2f}), the limit is {limit:.2%}"
        return ""

    def _trip(self, state: BreakerState, book: Book, now: datetime, reason: str) -> BreakerState:
        tripped = replace(state, tripped=True, tripped_at=now, reason=reason)
        self._sync_block(tripped, book, now)
        book.apply(Event(now, "breaker_tripped", NAME, reason, grave=True))
        return tripped

    def _sync_block(self, state: BreakerState, book: Book, now: datetime) -> None:
        """Write core's row of blocks as the breaker is: core reads it also in a run without this plugin."""
        if not state.tripped or state.tripped_at is None:
            lift_block(book, NAME, now)
            return
        until = state.tripped_at + self._cool_down if self._cool_down else None
        put_block(book, NAME, self._settings.block, block_reason(state), state.tripped_at, until)

    def _has_cooled_down(self, state: BreakerState, now: datetime) -> bool:
        return bool(
            self._cool_down and state.tripped_at and now - state.tripped_at >= self._cool_down
        )


def _failure_key(order: Order) -> str:
    """Return what counts once: a decision, whatever its attempts, or a symbol's refused exits."""
    if order.reduces and order.status is Status.REJECTED:
        return f"{EXIT_PREFIX}{order.symbol}"
    return order.client_order_id.rpartition("-")[0] or order.client_order_id


def _outcomes(today: TradingDay) -> Iterator[tuple[datetime, Order | None]]:
    """Yield when submissions failed or worked: with the order that failed, or None where one worked.

    Later news of an order that is still open moves none of these times: else a start would take it for a
    success that came after a failure.
    """
    first_fills = {fill.client_order_id: fill.time for fill in today.fills() if fill.first}
    for order in today.orders():
        if order.status is Status.UNKNOWN:
            yield order.created_at, order
        elif order.status is Status.REJECTED:
            if order.cause is not RefusalCause.POSITION:
                yield order.updated_at or order.created_at, order
        elif order.status in WORKED:
            yield order.submitted_at or order.created_at, None
        if order.client_order_id in first_fills:
            yield first_fills[order.client_order_id], None
        if order.status is Status.FILLED:
            yield order.updated_at or order.created_at, None


def _newest_equity(book: Book) -> Decimal:
    return book.point.equity if book.point else book.equity()
