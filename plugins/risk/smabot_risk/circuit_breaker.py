"""The circuit breaker: stops entries when submissions keep failing or equity falls too far.

Once tripped it stays so, over restarts too, until a person resets it or a set time has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from smabot.api import (
    A_YEAR,
    Book,
    Command,
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
    record,
)
from smabot_risk.blocks import lift_block, put_block
from smabot_risk.common import DayStart, RiskSettings, from_outside, opening_cash
from smabot_risk.daily_totals import Today

if TYPE_CHECKING:
    import click

FAILED = (Status.REJECTED, Status.UNKNOWN)
WORKED = (Status.ACCEPTED, Status.PARTIALLY_FILLED, Status.FILLED)
NAME = "risk.circuit_breaker"
RESET = "breaker reset"
MOST_NAMED = 100
EXIT = "exit:"
"""Before the symbol whose exits were refused, among the failures."""


@record(table="circuit_breaker", key=("name",))
class BreakerState:
    """All that the breaker has to remember. Equities in US dollars, times of the exchange in UTC.

    ``failure_count`` counts failed submissions in a row, ``failed_orders`` names the last of them,
    newest last: an order that is unknown first and refused then has failed once, and so has one that
    is tried again and refused again. Refused exits count once a symbol. ``opening_cash`` is the
    account's, by which a deposit or withdrawal moves both equities along. ``seen_at`` is when
    the rest changed last: what came after it is looked through at the next start.
    """

    name: str
    failure_count: int = 0
    tripped: bool = False
    tripped_at: datetime | None = None
    reason: str = ""
    failed_orders: str = ""
    session_date: date | None = None
    session_equity: Decimal | None = None
    peak_equity: Decimal | None = None
    opening_cash: Decimal | None = None
    seen_at: datetime | None = None


def in_words(state: BreakerState) -> str:
    """Say in a line whether the breaker is armed or tripped, and since when and why."""
    if state.tripped:
        return f"TRIPPED at {state.tripped_at:%Y-%m-%d %H:%M:%S} UTC: {state.reason}"
    return f"armed, {state.failure_count} failure{'' if state.failure_count == 1 else 's'}"


class BreakerSettings(RiskSettings):
    """What trips the breaker; 0 switches a cause off."""

    max_failures: int = Field(5, ge=0, le=1_000_000)
    """Submissions that fail in a row."""
    max_session_drawdown: Decimal = Field(Decimal("0.05"), ge=0, lt=1)
    """Fraction lost since the session's start."""
    max_peak_drawdown: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """Fraction lost since the highest equity."""
    cool_down_minutes: int = Field(0, ge=0, le=A_YEAR)
    """Minutes of exchange time after which a tripped breaker resets itself; 0: never."""


class CircuitBreaker(Rule):
    """The plugin. Its state is one row of the book."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._cool_down = timedelta(minutes=settings.cool_down_minutes)
        self._start = DayStart()

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
        self._start.see(book.point, book)
        state = _state(book)
        if state.seen_at is not None or book.row(BreakerState, "main") is None:
            state = self._caught_up(state, Today(recovery), book)
        _keep(state, book)
        self._tell_core(state, book, book.now)
        return RecoveryStep(in_words(state))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "breaker", in_words(_state(book))

    @hookimpl
    def may_leave(self, order: Order, book: Book) -> Veto | None:
        state = _state(book)
        if not state.tripped or self._is_cool(state, book.now) or self._settings.lets_pass(order):
            return None
        return Veto(_why(state))

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        state = _state(book)
        if order.status in WORKED:
            if state.failure_count:
                state = replace(state, failure_count=0, failed_orders="")
        elif order.status in FAILED and order.cause is not RefusalCause.POSITION:
            failure, failed = _failure(order), state.failed_orders.split()
            if failure not in failed:
                count = state.failure_count + 1
                state = self._counted(state, count, [*failed, failure], order, book)
        _keep(state, book, order.updated_at)

    def _counted(
        self, state: BreakerState, count: int, failed: list[str], last: Order, book: Book
    ) -> BreakerState:
        """Return the state with so many failures in a row, the last of them ``last``'s."""
        named = failed[-MOST_NAMED:]
        counted = replace(state, failure_count=count, failed_orders=" ".join(named))
        alone = len(named) == 1 and named[0].startswith(EXIT)
        most = self._settings.max_failures
        if not most or count < most or alone or state.tripped:
            return counted
        why = f", the last one {last.status}: {last.reason or 'no reason given'}"
        return self._trip(counted, book, book.now, f"{count} submissions failed in a row{why}")

    def _caught_up(self, state: BreakerState, today: Today, book: Book) -> BreakerState:
        """Take in what came while this plugin was not part of the run.

        Of orders that is the trading date's, but a peak may be of any date since.
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
        for time, order in sorted(_outcomes(today.orders()), key=lambda outcome: outcome[0]):
            if time <= seen_at:
                continue
            if order.status in FAILED:
                failed[_failure(order)] = order
            else:
                worked, failed = True, {}
        if worked:
            state = replace(state, failure_count=0, failed_orders="")
        known = state.failed_orders.split()
        if news := [name for name in failed if name not in known]:
            count = state.failure_count + len(news)
            state = self._counted(state, count, [*known, *news], failed[news[-1]], book)
        return state

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> None:
        state = self._begin(_state(book), book.calendar.trading_date(point.time), book)
        self._start.see(point, book)
        equity = point.equity
        if state.peak_equity is None or equity > state.peak_equity:
            seen = _seen(state, book, point.time)  # at once: a row is made anew at each peak
            state = replace(state, peak_equity=equity, seen_at=seen)
        if state.tripped:
            if self._is_cool(state, point.time):
                state = _armed(state, equity)
                self._tell_core(state, book, point.time)
                text = f"armed again: {self._settings.cool_down_minutes} minutes have passed"
                book.apply(Event(point.time, "breaker_reset", NAME, text))
        elif reason := self._fall(state, equity):
            state = self._trip(state, book, point.time, reason)
        _keep(state, book, point.time)

    @hookimpl
    def on_command(self, command: Command, book: Book) -> str | None:
        if command.verb != RESET:
            return None
        before = _state(book)
        after = _armed(before, _last_equity(book))
        _keep(after, book)
        self._tell_core(after, book, book.now)
        book.apply(
            Event(book.now, "breaker_reset", NAME, f"by the operator; was: {in_words(before)}")
        )
        return f"the circuit breaker is reset; it was: {in_words(before)}"

    def _begin(self, state: BreakerState, day: date, book: Book) -> BreakerState:
        """Take the session's baseline at the first event of a trading date."""
        if state.session_date is not None and day <= state.session_date:
            return state
        return replace(state, session_date=day, session_equity=self._start.equity(book))

    def _fall(self, state: BreakerState, equity: Decimal) -> str:
        """Return how equity fell too far, or an empty string."""
        settings = self._settings
        for what, base, limit in (
            ("the session's start", state.session_equity, settings.max_session_drawdown),
            ("the peak", state.peak_equity, settings.max_peak_drawdown),
        ):
            if limit and base is not None and base > 0 and base - equity >= base * limit:
                fell = f"equity fell {(base - equity) / base:.2%} from {what}"
                return f"{fell} ({base:,.2f} to {equity:,.2f}), the limit is {limit:.2%}"
        return ""

    def _trip(self, state: BreakerState, book: Book, now: datetime, reason: str) -> BreakerState:
        tripped = replace(state, tripped=True, tripped_at=now, reason=reason)
        self._tell_core(tripped, book, now)
        book.apply(Event(now, "breaker_tripped", NAME, reason, grave=True))
        return tripped

    def _tell_core(self, state: BreakerState, book: Book, now: datetime) -> None:
        """Keep core's row of blocks as the breaker is: core reads it also where this plugin is not."""
        if not state.tripped or state.tripped_at is None:
            lift_block(book, NAME, now)
            return
        until = state.tripped_at + self._cool_down if self._cool_down else None
        put_block(book, NAME, self._settings.block, _why(state), state.tripped_at, until)

    def _is_cool(self, state: BreakerState, now: datetime) -> bool:
        return bool(
            self._cool_down and state.tripped_at and now - state.tripped_at >= self._cool_down
        )


def _state(book: Book) -> BreakerState:
    state, opening = book.row(BreakerState, "main"), opening_cash(book)
    if state is None:
        return BreakerState("main", opening_cash=opening)
    if state.opening_cash == opening:
        return state
    moved = from_outside(state.opening_cash, book)
    session, peak = state.session_equity, state.peak_equity
    return replace(
        state,
        session_equity=None if session is None else session + moved,
        peak_equity=None if peak is None else peak + moved,
        opening_cash=opening,
    )


def _keep(state: BreakerState, book: Book, time: datetime | None = None) -> None:
    """Keep what has changed, and that the breaker has seen all up to now, or to a later time."""
    if state != book.row(BreakerState, "main"):
        seen = _seen(state, book, time)
        book.apply(state if state.seen_at == seen else replace(state, seen_at=seen))


def _seen(state: BreakerState, book: Book, time: datetime | None) -> datetime:
    return max(each for each in (book.now, time, state.seen_at) if each is not None)


def _why(state: BreakerState) -> str:
    return f"circuit breaker {in_words(state)}; see `smabot breaker reset`"


def _failure(order: Order) -> str:
    """Return what counts once: a decision, whatever its attempts, or a symbol's refused exits."""
    if order.reduces and order.status is Status.REJECTED:
        return f"{EXIT}{order.symbol}"
    return order.client_order_id.rpartition("-")[0] or order.client_order_id


def _armed(state: BreakerState, equity: Decimal) -> BreakerState:
    """Start anew from an equity: measured from the old baselines it would trip again at once."""
    return BreakerState(
        state.name,
        session_date=state.session_date,
        session_equity=equity,
        peak_equity=equity,
        opening_cash=state.opening_cash,
    )


def _outcomes(orders: Iterable[Order]) -> Iterator[tuple[datetime, Order]]:
    """Yield the submissions that failed or worked, each with the time that it did."""
    for order in orders:
        if order.status is Status.UNKNOWN:
            yield order.created_at, order
        elif order.status is Status.REJECTED:
            if order.cause is not RefusalCause.POSITION:
                yield order.updated_at or order.created_at, order
        elif order.status in WORKED:
            yield order.updated_at or order.created_at, order
        elif order.submitted_at is not None:
            yield order.submitted_at, order


def _last_equity(book: Book) -> Decimal:
    return book.point.equity if book.point else book.equity()
