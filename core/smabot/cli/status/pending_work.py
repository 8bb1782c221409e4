"""What the bot still has to do: pending exits, open orders, and why a signal's position is not as wanted.

Texts have UTC times; screens show them in their own zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smabot.cli.status.market_time import MarketTime
    from smabot.domain.book import Book
    from smabot.domain.records import Order, Position, SignalState


@dataclass(frozen=True, slots=True)
class Pending:
    """Shares that are still to be traded: ``kind`` is ``exit`` (not ordered yet) or ``order`` (open).

    ``again_at`` is when the bot tries a failed exit again, on the market's clock; None: in its next step.
    """

    kind: str
    strategy: str
    symbol: str
    side: str
    qty: Decimal
    why: str
    client_order_id: str | None = None
    again_at: datetime | None = None


def pending_work(book: Book, market: MarketTime) -> list[Pending]:
    """Return what is still to be traded: exits first, as the bot does."""
    exits = [
        _pending_exit(book, position, market)
        for _, position in sorted(book.positions.items())
        if _is_wanted_flat(book, position)
    ]
    orders = sorted(book.open_orders(), key=lambda order: (not order.reduces, order.created_at))
    return [each for each in exits if each is not None] + [_open_order(order) for order in orders]


def why_not_as_wanted(book: Book, rows: Any, state: SignalState, market: MarketTime) -> str:
    """Return why a signal's position is not as it wants; empty where it is."""
    held = book.holding(state.strategy, state.symbol)
    if (held != 0) == (state.target != 0):
        return ""
    from smabot.cli.records.order_outcome import GONE, order_words
    from smabot.domain.order_terms import Status

    order = order_of(book, rows, state)
    if split := book.split_holds(state.symbol):
        return f"{split}: it is acted on then"
    if order is None:
        return "missed while no bot ran" if state.missed else "no order was made for it"
    if state.target == 0 and order.status.terminal:
        return _why_exit_waits(book, state, order, market)[0]
    return order_words(order) + (GONE if order.status is Status.FILLED else "")


def order_of(book: Book, rows: Any, state: SignalState) -> Order | None:
    """Return the newest order that a signal led to, or None."""
    from smabot.domain.records import Order

    order = book.latest_order(state.strategy, state.symbol)
    if order is None:
        where = {"strategy": state.strategy, "symbol": state.symbol}
        order = next(iter(rows.rows(Order, where=where, newest_by="created_at", limit=1)), None)
    return None if order is None or order.bar_time < state.bar_time else order


def _open_order(order: Order) -> Pending:
    from smabot.cli.records.order_outcome import where_it_is

    price = f" {order.limit_price:f}" if order.limit_price is not None else ""
    terms = f"{order.type.value}{price}, {order.time_in_force.value}"
    return Pending(
        "order", order.strategy, order.symbol, order.side.value, abs(order.open_qty),
        f"{terms}: {where_it_is(order).removeprefix('is ')}", order.client_order_id,
    )  # fmt: skip


def _is_wanted_flat(book: Book, position: Position) -> bool:
    state = book.signals.get((position.strategy, position.symbol))
    return position.qty != 0 and state is not None and state.target == 0


def _pending_exit(book: Book, position: Position, market: MarketTime) -> Pending | None:
    """Return what of a position is wanted flat and not ordered yet; None: open exits sell it all."""
    state = book.signals[position.strategy, position.symbol]
    leaving = _selling(book.working(position.symbol), position.strategy)
    missing = abs(position.qty) - leaving
    if missing <= 0:
        return None
    why, again_at = _why_exit_waits(
        book, state, book.latest_order(position.strategy, position.symbol), market
    )
    side = "sell" if position.qty > 0 else "buy"
    return Pending(
        "exit", position.strategy, position.symbol, side, missing, why, again_at=again_at
    )


def _selling(orders: Iterable[Order], strategy: str) -> Decimal:
    exits = [o for o in orders if o.reduces and o.strategy == strategy]
    return sum((abs(order.open_qty) for order in exits), Decimal(0))


def _why_exit_waits(
    book: Book, state: SignalState, last: Order | None, market: MarketTime
) -> tuple[str, datetime | None]:
    """Return why shares that are wanted flat are not sold yet, and when the bot tries it again."""
    from smabot.cli.records.order_outcome import order_words
    from smabot.domain.order_terms import Status
    from smabot.engine.execution.flattening import FLATTEN
    from smabot.engine.execution.next_action import retry_at

    if book.holding(state.strategy, state.symbol) < 0 and state.last_signal != FLATTEN:
        return "short, and a SELL buys nothing back: `smabot flatten` does", None
    if split := book.split_holds(state.symbol):
        return split, None
    if state.missed:
        return "its signal was missed while no bot ran: the next run acts at its first bar", None
    if last is None or not last.reduces or last.bar_time < state.bar_time:
        return "no exit was ordered yet", None
    if not last.status.terminal or last.status is Status.FILLED:
        return "the rest of it is not ordered yet", None
    session = market.session
    next_open = session.open if session is not None and not market.is_open else None
    again = retry_at(last, next_open)
    return f"{order_words(last)}; tried again from {again:%Y-%m-%d %H:%M} UTC on", again
