"""The circuit breaker: stops entries when submissions keep failing or equity falls too far.

Once tripped it stays so, over restarts too, until a person resets it or a set time has passed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from smabot.book import Book
from smabot.hookspecs import Recovery, RecoveryStep, hookimpl
from smabot.records import Command, EquityPoint, Event, Fill, Order, Status, Veto
from smabot.tables import record
from smabot_risk.common import DayStart, RiskSettings

if TYPE_CHECKING:
    import click

FAILED = (Status.REJECTED, Status.UNKNOWN)
WORKED = (Status.ACCEPTED, Status.PARTIALLY_FILLED, Status.FILLED)
RESET = "breaker reset"
MOST_NAMED = 100


@record(table="circuit_breaker", key=("name",))
class BreakerState:
    """All that the breaker has to remember. Equities in US dollars, times of the exchange in UTC.

    ``failure_count`` counts failed submissions in a row, ``failed_orders`` names the last of them,
    newest last: an order that is unknown first and refused then has failed once.
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


def in_words(state: BreakerState) -> str:
    """Say in a line whether the breaker is armed or tripped, and since when and why."""
    if state.tripped:
        return f"TRIPPED at {state.tripped_at:%Y-%m-%d %H:%M:%S} UTC: {state.reason}"
    return f"armed, {state.failure_count} failure{'' if state.failure_count == 1 else 's'}"


class BreakerSettings(RiskSettings):
    """What trips the breaker; 0 switches a cause off."""

    max_failures: int = Field(5, ge=0)
    """Submissions that fail in a row."""
    max_session_drawdown: Decimal = Field(Decimal("0.05"), ge=0, lt=1)
    """Fraction lost since the session's start."""
    max_peak_drawdown: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """Fraction lost since the highest equity."""
    cool_down_minutes: int = Field(0, ge=0)
    """Minutes of exchange time after which a tripped breaker resets itself; 0: never."""


class CircuitBreaker:
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
        self._start.see(book.point)
        state = _state(book)
        book.apply(state)
        return RecoveryStep(in_words(state))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "breaker", in_words(_state(book))

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> Veto | None:
        state = _state(book)
        if not state.tripped:
            return None
        if self._is_cool(state, book.now):
            book.apply(_armed(state, _last_equity(book)))
            return None
        if self._settings.lets_pass(order):
            return None
        return Veto(f"circuit breaker {in_words(state)}; see `smabot breaker reset`")

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        state = _state(book)
        if order.status in WORKED:
            if state.failure_count:
                book.apply(replace(state, failure_count=0, failed_orders=""))
        elif order.status in FAILED and order.client_order_id not in state.failed_orders.split():
            count = state.failure_count + 1
            failed = [*state.failed_orders.split(), order.client_order_id][-MOST_NAMED:]
            counted = replace(state, failure_count=count, failed_orders=" ".join(failed))
            if self._settings.max_failures and count >= self._settings.max_failures:
                why = f", the last one {order.status}: {order.reason or 'no reason given'}"
                counted = _trip(counted, book.now, f"{count} submissions failed in a row{why}")
            book.apply(counted)

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        # Fills that a start finds at the broker are told before on_startup_recover: only here the
        # book still has the point that a new session begins from.
        state = _state(book)
        begun = self._begin(state, book.calendar.trading_date(fill.time), book)
        if begun is not state:
            book.apply(begun)

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> None:
        before = _state(book)
        state = self._begin(before, book.calendar.trading_date(point.time), book)
        self._start.see(point)
        equity = point.equity
        if state.peak_equity is None or equity > state.peak_equity:
            state = replace(state, peak_equity=equity)
        if state.tripped:
            if self._is_cool(state, point.time):
                state = _armed(state, equity)
        elif reason := self._fall(state, equity):
            state = _trip(state, point.time, reason)
        if state is not before:
            book.apply(state)

    @hookimpl
    def on_command(self, command: Command, book: Book) -> str | None:
        if command.verb != RESET:
            return None
        state = _state(book)
        book.apply(_armed(state, _last_equity(book)))
        book.apply(Event(book.now, "breaker_reset", "risk.circuit_breaker", in_words(state)))
        return f"the circuit breaker is reset; it was: {in_words(state)}"

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

    def _is_cool(self, state: BreakerState, now: datetime) -> bool:
        return bool(
            self._cool_down and state.tripped_at and now - state.tripped_at >= self._cool_down
        )


def _state(book: Book) -> BreakerState:
    return book.row(BreakerState, "main") or BreakerState("main")


def _trip(state: BreakerState, now: datetime, reason: str) -> BreakerState:
    """Trip; a breaker that has tripped keeps its first cause."""
    return state if state.tripped else replace(state, tripped=True, tripped_at=now, reason=reason)


def _armed(state: BreakerState, equity: Decimal) -> BreakerState:
    """Start anew from an equity: measured from the old baselines it would trip again at once."""
    return BreakerState(
        state.name, session_date=state.session_date, session_equity=equity, peak_equity=equity
    )


def _last_equity(book: Book) -> Decimal:
    return book.point.equity if book.point else book.equity()
