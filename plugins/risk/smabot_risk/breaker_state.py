"""What the circuit breaker remembers: one row of the book, kept over restarts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from smabot.api import Book, record, replace
from smabot_risk.external_cash import external_cash_since, opening_cash

RESET_COMMAND = "breaker reset"


@record(table="circuit_breaker", key=("name",))
class BreakerState:
    """All that the breaker remembers. Equities in US dollars, times of the exchange in UTC.

    ``failure_count`` counts failed submissions in a row, ``failed_orders`` names the last of them,
    newest last: an order that is unknown first and refused then has failed once, and so has one that
    is tried again and refused again. Refused exits count once a symbol. ``opening_cash`` is the
    account's, by which a deposit or withdrawal moves both equities. ``seen_at`` is when
    the rest changed last: the next start looks through what came after it.
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


def describe_breaker(state: BreakerState) -> str:
    """Say in a line whether the breaker is armed or tripped, and since when and why."""
    if state.tripped:
        return f"TRIPPED at {state.tripped_at:%Y-%m-%d %H:%M:%S} UTC: {state.reason}"
    return f"armed, {state.failure_count} failure{'' if state.failure_count == 1 else 's'}"


def breaker_state(book: Book) -> BreakerState:
    """Return the breaker's row, with its equities moved along by external cash since it was written."""
    state, opening = book.row(BreakerState, "main"), opening_cash(book)
    if state is None:
        return BreakerState("main", opening_cash=opening)
    if state.opening_cash == opening:
        return state
    moved = external_cash_since(state.opening_cash, book)
    session, peak = state.session_equity, state.peak_equity
    return replace(
        state,
        session_equity=None if session is None else session + moved,
        peak_equity=None if peak is None else peak + moved,
        opening_cash=opening,
    )


def save_breaker_state(state: BreakerState, book: Book, time: datetime | None = None) -> None:
    """Write what has changed, and that the breaker has seen all up to now, or to a later time.

    A later time is written in any case: what changes next may be of an earlier one.
    """
    seen = seen_until(state, book, time)
    if state != book.row(BreakerState, "main") or seen > book.now:
        book.apply(state if state.seen_at == seen else replace(state, seen_at=seen))


def seen_until(state: BreakerState, book: Book, time: datetime | None) -> datetime:
    """Return the time up to which the breaker has seen all."""
    seen = book.now
    if time is not None and time > seen:
        seen = time
    return state.seen_at if state.seen_at is not None and state.seen_at > seen else seen


def block_reason(state: BreakerState) -> str:
    """Return why orders are blocked, for a rejection and for the row of blocks."""
    return f"circuit breaker {describe_breaker(state)}; see `smabot breaker reset`"


def reset_breaker_state(state: BreakerState, equity: Decimal) -> BreakerState:
    """Return the state of a breaker that starts over from an equity: from the old baselines it would trip
    again at once."""
    return BreakerState(
        state.name,
        session_date=state.session_date,
        session_equity=equity,
        peak_equity=equity,
        opening_cash=state.opening_cash,
        seen_at=state.seen_at,
    )
