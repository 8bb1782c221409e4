"""Positions and orders over a split: which numbers of shares are no conflict, and when the broker has followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from smabot.provider import (
    ZERO,
    ActionKind,
    Book,
    BrokerOrder,
    CorporateAction,
    Event,
    Order,
    Status,
    on_other_side,
    same_shares,
    whole_shares,
)

DAY = timedelta(days=1)
MOST_AWAITED = timedelta(days=7)
"""A broker that has not followed a split so long after its ex-date began may never."""
SECOND = timedelta(seconds=1)
"""A fraction's adjustment comes after the split's, at a time of its own."""


def is_half_split(
    book: Book, symbol: str, there: Decimal, now: datetime, *, shared: bool = False
) -> bool:
    """Whether the broker shows just the shares of the other side of a split that is under way.

    It is not any more `MOST_AWAITED` after its ex-date began.
    ``shared``: the account may hold more than what is held here.
    """
    under_way = [
        action
        for action in book.splits.unconfirmed(symbol, now, book.calendar)
        if action.applied_at is None or now < action.effective_at + MOST_AWAITED
    ]
    here = book.net(symbol)
    if shared and any(action.new_qty(there) >= here for action in under_way if action.applied_at):
        return there * here > 0
    return bool(under_way) and on_other_side(under_way, here, there)


def is_half_renamed(
    book: Book, symbol: str, there: Callable[[str], Decimal], now: datetime
) -> bool:
    """Whether the broker shows the shares of a symbol that gets another name under either name."""
    action = book.splits.renaming(symbol, now, book.calendar)
    if action is None or (
        action.applied_at is not None and now >= action.effective_at + MOST_AWAITED
    ):
        return False
    names = (action.symbol, action.new_symbol)
    here = sum(map(book.net, names), ZERO)
    return same_shares(here, sum(map(there, names), ZERO))


def followed_splits(
    book: Book,
    there: Callable[[str], Decimal],
    pay_fraction: Callable[[str, Decimal, datetime], Sequence[object]],
    now: datetime,
    *,
    shared: bool = False,
) -> Iterator[object]:
    """Yield the records of the splits that the broker has followed, by the positions that it shows.

    ``pay_fraction``: the records of shares that went for cash. A broker that shows what is held here has
    followed, or there was nothing to do. ``shared``: the account may hold more; then the session of the ex-date
    must be over, as nothing else tells.
    """
    paid: set[str] = set()
    for action in book.splits.open():
        if action.applied_at is None or now < action.effective_at:
            continue
        if action.kind is ActionKind.RENAME:
            names = (action.symbol, action.new_symbol)
            if all(same_shares(there(name), book.net(name)) for name in names):
                yield replace(action, confirmed_at=now)
            continue
        here, seen = book.net(action.symbol), there(action.symbol)
        same, late = same_shares(seen, here), _is_late(action, book, now)
        has_more = shared and seen > here > 0 and late
        if not (same or has_more or seen == whole_shares(here)):
            continue
        if not same and not late and same_shares(action.new_qty(seen), here):
            continue  # it may be the number of before
        if seen != here and not has_more and action.symbol not in paid:
            paid.add(action.symbol)
            yield from pay_fraction(action.symbol, seen - here, action.effective_at + SECOND)
        yield replace(action, confirmed_at=now)
        yield Event(
            now, "split_followed", action.symbol, f"the broker has followed the {action.text}"
        )


def _is_late(action: CorporateAction, book: Book, now: datetime) -> bool:
    """Whether the session of an ex-date is over: a share that the split makes one and a half is then one, and
    cash for the half."""
    session = book.calendar.session(action.ex_date)
    return now >= (action.effective_at + DAY if session is None else session.close)


def in_split_shares(book: Book, order: Order, seen: BrokerOrder, now: datetime) -> bool:
    """Whether an order differs from ours by a split alone, and nothing of it filled since."""
    if (seen.symbol, seen.side, seen.type) != (
        order.symbol,
        order.side,
        order.type,
    ):
        return False
    return any(
        seen.qty in (order.qty, action.new_qty(order.qty))
        and seen.filled_qty in (order.filled_qty, action.new_qty(order.filled_qty))
        for action in book.splits.unconfirmed(order.symbol, now, book.calendar)
    )


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
