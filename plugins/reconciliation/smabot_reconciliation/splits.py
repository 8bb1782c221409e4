"""Positions and orders over a split: which numbers of shares are no conflict, and when the broker has followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from smabot.provider import (
    Book,
    BrokerOrder,
    CorporateAction,
    Event,
    Order,
    Status,
    other_number,
    whole_shares,
)

SECOND = timedelta(seconds=1)
"""A fraction's adjustment comes after the split's, at a time of its own."""


def is_half_split(book: Book, symbol: str, there: Decimal, now: datetime) -> bool:
    """Whether the broker shows just the shares of the other side of a split that is under way."""
    action = book.splits.unconfirmed(symbol, now, book.calendar)
    return action is not None and there in other_number(action, book.net(symbol))


def followed_splits(
    book: Book,
    there: Callable[[str], Decimal],
    pay_fraction: Callable[[str, Decimal, datetime], Sequence[object]],
    now: datetime,
) -> Iterator[object]:
    """Yield the records of the splits that the broker has followed, by the positions that it shows.

    ``pay_fraction``: the records of shares that went for cash. A broker that shows what is held here has
    followed, or there was nothing to do.
    """
    for action in book.splits.open():
        if action.applied_at is None or now < action.effective_at:
            continue
        here, seen = book.net(action.symbol), there(action.symbol)
        if seen not in (here, whole_shares(here)) or (
            seen == _before(action, here) and not _is_late(action, book, now)
        ):
            continue
        if seen != here:
            yield from pay_fraction(action.symbol, seen - here, action.effective_at + SECOND)
        yield replace(action, confirmed_at=now)
        yield Event(
            now, "split_followed", action.symbol, f"the broker has followed the {action.text}"
        )


def _is_late(action: CorporateAction, book: Book, now: datetime) -> bool:
    """Whether the session of an ex-date is over: a share that the split makes one and a half is then one, and
    cash for the half."""
    session = book.calendar.session(action.ex_date)
    return session is None or now >= session.close


def _before(action: CorporateAction, here: Decimal) -> Decimal | None:
    """Return what a broker shows that has not followed, where that differs from what is held here."""
    before = action.old_qty(here)
    return None if before == here else before


def in_split_shares(book: Book, order: Order, seen: BrokerOrder, now: datetime) -> bool:
    """Whether an order differs from ours by a split alone, and nothing of it filled since."""
    action = book.splits.unconfirmed(order.symbol, now, book.calendar)
    if action is None or (seen.symbol, seen.side, seen.type) != (
        order.symbol,
        order.side,
        order.type,
    ):
        return False
    filled = (order.filled_qty, action.new_qty(order.filled_qty))
    return seen.qty in (order.qty, action.new_qty(order.qty)) and seen.filled_qty in filled


def successor_of(book: Book, seen: BrokerOrder, orders: Mapping[str, BrokerOrder]) -> Order | None:
    """Return the order of ours that a broker's order took the place of, as one of ours; None: it did of none.

    Whoever replaced it: the broker over a corporate action, or the account's holder.
    """
    if not seen.replaces:
        return None
    replaced = next((o for o in orders.values() if o.broker_order_id == seen.replaces), None)
    ours = book.order(replaced.client_order_id) if replaced is not None else None
    if ours is None:
        ours = next((o for o in book.open_orders() if o.broker_order_id == seen.replaces), None)
    if ours is None:
        return None
    return replace(
        ours, client_order_id=seen.client_order_id, broker_order_id=seen.broker_order_id, qty=seen.qty,
        type=seen.type, limit_price=seen.limit_price, time_in_force=seen.time_in_force,
        submitted_at=seen.submitted_at, status=Status.PENDING,
        filled_qty=Decimal(0), filled_avg_price=None, realized_pnl=Decimal(0), fees=Decimal(0),
        cancel_requested_at=None, cancel_reason="", given_up_at=None,
        reason=f"took the place of {ours.client_order_id}",
    )  # fmt: skip
