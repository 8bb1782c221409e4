"""Getting flat by the operator's word: `smabot flatten`.

It is kept as signal states with target 0 and the label `FLATTEN`, so it outlives the process that took
it. Until their positions are flat no strategy's signal replaces them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.calendar import MINUTE
from smabot.domain.frozen_classes import frozen
from smabot.domain.halts import halt
from smabot.domain.order_terms import Status
from smabot.domain.records import Holding, Order, SignalState
from smabot.errors import counted

FLATTEN = "FLATTEN"
"""The label of a target that the operator set; strategies don't change it."""


def flatten(book: Book, symbol: str = "") -> str:
    """Want all holdings flat, or those of a symbol; returns what that means, in a line.

    Without a symbol new entries are halted, too.
    """
    wanted = sorted(_concerned(book, symbol))
    for holding in wanted:
        book.apply(SignalState(*holding, FLATTEN, 0, _decided_at(book, *holding)))
    closing = sum(1 for holding in wanted if book.holding(*holding))
    entries = sum(
        1 for order in book.open_orders() if _in_scope(order, symbol) and not order.reduces
    )
    left_alone = f"entries in {symbol} are not halted"
    parts = [
        f"closes {counted(closing, 'position')}" if closing else "no open positions",
        f"cancels {entries} entr{'y' if entries == 1 else 'ies'}" if entries else "",
        closed_until(book),
        left_alone if symbol else "new entries are halted: `smabot resume` allows them again",
    ]
    answer = "; ".join(part for part in parts if part)
    book.apply(Event(book.now, "flatten", symbol, answer))
    if not symbol and not book.halted:
        halt(book, "flattened by hand")
    return answer


def being_flattened(book: Book, state: SignalState | None) -> bool:
    """Whether a target is the operator's, and its position not flat yet."""
    return (
        state is not None
        and state.last_signal == FLATTEN
        and state.strategy in book.unsettled().get(state.symbol, ())
    )


def closed_until(book: Book) -> str:
    """Say until when the market is closed; empty while it is open, or where nobody knows."""
    following = book.calendar.next_session(book.now)
    if following is None or following.open <= book.now:
        return ""
    return f"the market is closed until {following.open:%Y-%m-%d %H:%M} UTC, orders wait for it"


# -- what is not flat yet ------------------------------------------------------------------------------


@frozen
class Left:
    """A holding that is not flat, or an open order, and why."""

    strategy: str
    symbol: str
    qty: Decimal
    why: str
    blocked: bool = False
    """Whether a plugin lets no exit pass, so that waiting alone changes nothing."""


def left_over(book: Book, symbol: str = "") -> list[Left]:
    """Return what is not flat, of all symbols or of one."""
    working: dict[Holding, list[Order]] = {}
    for order in book.open_orders():
        working.setdefault((order.strategy, order.symbol), []).append(order)
    held = {holding for holding, position in book.positions.items() if position.qty}
    return [
        _left(book, *holding, working.get(holding, []))
        for holding in sorted(held | working.keys())
        if symbol in ("", holding[1])
    ]


def _left(book: Book, strategy: str, symbol: str, working: list[Order]) -> Left:
    latest = book.latest_order(strategy, symbol)
    why, blocked = "no exit was ordered yet", False
    if working:
        why = "; ".join(_at_work(order) for order in working)
    elif latest is not None and latest.reduces:
        why = f"its exit {latest.client_order_id} was {latest.status}"
        why += f": {latest.reason}" if latest.reason else ""
        blocked = latest.status is Status.BLOCKED
    return Left(strategy, symbol, book.holding(strategy, symbol), why, blocked)


def _at_work(order: Order) -> str:
    what = "exit" if order.reduces else "entry"
    text = f"its {what} {order.client_order_id} is {order.status}"
    if order.filled_qty:
        text += f", {order.filled_qty:f} of {order.qty:f} filled"
    if order.cancel_requested_at is not None:
        text += f", its cancel of {order.cancel_requested_at:%H:%M:%S} UTC is unanswered"
    return f"{text}: {order.reason}" if order.reason else text


# -- pieces ------------------------------------------------------------------------------------------


def _concerned(book: Book, symbol: str) -> set[Holding]:
    """Return the holdings that have shares, an open order, or a missed entry to be acted on late."""
    held = {holding for holding, position in book.positions.items() if position.qty}
    working = {(order.strategy, order.symbol) for order in book.open_orders()}
    missed = {holding for holding, state in book.signals.items() if state.missed and state.target}
    return {each for each in held | working | missed if symbol in ("", each[1])}


def _in_scope(order: Order, symbol: str) -> bool:
    return symbol in ("", order.symbol)


def _decided_at(book: Book, strategy: str, symbol: str) -> datetime:
    """Return the bar that counts as the one that decided: the last one, and none before an order's."""
    bar, latest = book.last.get(symbol), book.latest_order(strategy, symbol)
    known = [bar.time] if bar else []
    known += [latest.bar_time] if latest else []
    return max(known, default=book.now.replace(second=0, microsecond=0) - MINUTE)
