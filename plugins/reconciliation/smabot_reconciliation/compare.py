"""The comparison itself: pure, so that each row of its table can be read and tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from smabot.provider import (
    ZERO,
    Account,
    Adjustment,
    Book,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    Config,
    Conflict,
    Fill,
    Order,
    OrderUpdate,
    Reconciliation,
    Status,
    may_be_counted,
)
from smabot_reconciliation.adjustments import (
    Mismatch,
    adjust,
    cash_differs,
    cash_left,
    round_trips,
    split_hint,
)
from smabot_reconciliation.adopting import (
    ACCEPT,
    filled_after_its_end,
    payload,
    taken,
    unknown_locally,
)
from smabot_reconciliation.external_trades import TakenOf, Trade, untaken

ACCOUNT_MISMATCH = "account_mismatch"
"""The conflict that no second look can clear up."""


@dataclass(frozen=True, slots=True)
class BrokerView:
    """What the broker said: its open and recent orders and those that were looked up, by their ids,
    oldest first; positions; and, asked only where positions or cash differ, the orders of the last days."""

    account: BrokerAccount
    orders: Mapping[str, BrokerOrder]
    positions: Mapping[str, BrokerPosition]
    earlier: Callable[[], Sequence[BrokerOrder]] = tuple


def compare(
    config: Config,
    book: Book,
    view: BrokerView,
    symbols: Sequence[str],
    now: datetime,
    fills_of: Callable[[Order], Sequence[Fill]],
    taken_of: TakenOf = lambda order: (),
) -> Reconciliation:
    """Compare the book with the broker; changes neither.

    Returns updates that bring the book up to date, or conflicts that nobody but a person can resolve.
    Each conflict's remedy is right once those before it are applied. ``fills_of`` gives the fills that
    the database has of an order, and ``taken_of`` what it has taken over of an order of others.
    """
    bound = book.account
    if bound is not None and bound.account_id != view.account.account_id:
        return Reconciliation(conflicts=(_account_mismatch(bound, view),))
    found = Found(book)
    for order in book.open_orders():
        seen = view.orders.get(order.client_order_id)
        if seen is None:
            found.conflict(_missing(order, now))
        elif not seen.is_for(order) or seen.filled_qty < order.filled_qty:
            found.conflict(taken(found.after, order, seen, fills_of(order)))
        else:
            found.update(seen.update())
    for seen in view.orders.values():
        here = book.order(seen.client_order_id)
        if here is None:
            found.conflict(_never_written(config, found.after, seen, symbols))
        elif here.status.terminal:
            _ended_here(found, here, seen, fills_of)
    mismatches = _positions(config, found.after, view, symbols)
    cash, trades = view.account.cash, list[Trade]()
    if mismatches or cash_differs(found.after, cash):
        trades = untaken(found.after, view.earlier(), taken_of)
    gone = round_trips(_watched(config, found.after, trades, symbols), mismatches, now)
    cash -= sum((row.cash for row in gone), ZERO)
    remedies = adjust(found.after, mismatches, cash, trades, now)
    for mismatch, remedy in zip(mismatches, remedies, strict=True):
        found.conflict(_other_position(mismatch, remedy))
    besides = (*gone, *cash_left(found.after, cash, now))
    return Reconciliation(
        tuple(found.updates), tuple(found.conflicts), tuple(_notes(book, found, besides)), besides
    )


class Found:
    """What was found so far, and the book as it is once all of that is applied."""

    def __init__(self, book: Book) -> None:
        self.after = book
        self.updates: list[OrderUpdate] = []
        self.conflicts: list[Conflict] = []
        self._book = book

    def update(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        if self.after.fill_of(update) is not None:
            self._apply(update)

    def conflict(self, conflict: Conflict | None) -> None:
        if conflict is not None:
            self.conflicts.append(conflict)
            self._apply(*conflict.remedy)

    def _apply(self, *records: object) -> None:
        if self.after is self._book:
            self.after = self._book.copy()
        for record in records:
            self.after.apply(record)


def _missing(order: Order, now: datetime) -> Conflict | None:
    """An order of ours that the broker does not show.

    Whether one that nobody answered is sent again or given up is for who sends it: core's outbox
    knows when it was sent last.
    """
    if order.status in (Status.PENDING, Status.UNKNOWN):
        return None
    gone = replace(
        order, status=Status.CANCELED, updated_at=now, reason="the broker does not know it"
    )
    return Conflict(
        "unknown_at_broker", order.client_order_id, f"{order.status} {payload(order)}",
        "no such order", ACCEPT, (gone,),
    )  # fmt: skip


def _never_written(
    config: Config, book: Book, seen: BrokerOrder, symbols: Sequence[str]
) -> Conflict | None:
    """An order at the broker that is not known here. One of ours that ended without a fill harmed
    nobody."""
    alive = not seen.status.terminal
    if seen.client_order_id.startswith(f"{config.bot}-"):
        return unknown_locally(book, seen, None) if alive or seen.filled_qty else None
    if alive and seen.symbol in symbols and config.foreign == "conflict":
        return Conflict(
            "foreign_activity", f"order {seen.client_order_id}", "not ours", payload(seen),
            'cancel it at the broker, or set foreign = "ignore"',
        )  # fmt: skip
    return None


def _ended_here(
    found: Found,
    here: Order,
    seen: BrokerOrder,
    fills_of: Callable[[Order], Sequence[Fill]],
) -> None:
    """What the broker knows of an order that has ended here."""
    alive, more = not seen.status.terminal, seen.filled_qty > here.filled_qty
    if seen.filled_qty < here.filled_qty:
        found.conflict(taken(found.after, here, seen, fills_of(here)))
    elif here.given_up_at is not None:
        counted = seen.is_for(here) and may_be_counted(found.after, here, seen.update())
        if more and not counted:
            found.conflict(filled_after_its_end(here, seen))
        elif more or not alive:
            found.update(seen.update())
    elif alive or (more and not (seen.is_for(here) and here.status is not Status.BLOCKED)):
        found.conflict(unknown_locally(found.after, seen, here))
    elif more:
        found.update(seen.update())


def _positions(
    config: Config, after: Book, view: BrokerView, symbols: Sequence[str]
) -> list[Mismatch]:
    """Positions that differ once all updates are applied, and orders of ours taken over."""
    known = {symbol for _, symbol in after.positions}
    found = []
    for symbol in sorted({*known, *(s for s in view.positions if s in symbols)}):
        position, here = view.positions.get(symbol), after.net(symbol)
        there = position.qty if position else ZERO
        if here != there and not _is_beside_ours(config, symbols, symbol, here, there):
            price = position.avg_price if position else ZERO
            found.append(Mismatch(symbol, here, there, price, symbol in known))
    return found


def _watched(
    config: Config, after: Book, trades: Sequence[Trade], symbols: Sequence[str]
) -> list[Trade]:
    """The trades in symbols of ours: what others trade beside the bot is no profit or loss of it."""
    if config.foreign == "ignore":
        return []
    known = {*symbols, *(symbol for _, symbol in after.positions)}
    return [trade for trade in trades if trade.symbol in known]


def _other_position(mismatch: Mismatch, remedy: Sequence[object]) -> Conflict:
    here, there = mismatch.here, mismatch.there
    return Conflict(
        "position_mismatch" if mismatch.known else "foreign_activity",
        mismatch.symbol, f"{here:f} shares", f"{there:f} shares",
        ACCEPT + split_hint(here, there), tuple(remedy),
    )  # fmt: skip


def _is_beside_ours(
    config: Config, symbols: Sequence[str], symbol: str, here: Decimal, there: Decimal
) -> bool:
    """Whether what the account holds can be ours and somebody else's shares beside them.

    Less than ours never is, nor shares sold short where we hold none: an exit of ours would sell what
    nobody holds.
    """
    if here == 0:
        return symbol not in symbols or (config.foreign == "ignore" and there > 0)
    return config.foreign == "ignore" and (there > here > 0 or there < here < 0)


def _account_mismatch(bound: Account, view: BrokerView) -> Conflict:
    return Conflict(
        ACCOUNT_MISMATCH, "account", f"{bound.broker} {bound.account_id}", view.account.account_id,
        "this database belongs to another account: use its account, or another --db",
    )  # fmt: skip


def _notes(book: Book, found: Found, besides: Sequence[Adjustment]) -> list[str]:
    changed = [u for u in found.updates if _news(book, u)]
    notes = [f"{u.client_order_id} is {u.status}" for u in changed[:5]]
    if len(changed) > 5:
        notes.append(f"and {len(changed) - 5} more orders moved on")
    for symbol in sorted({row.symbol for row in besides}):
        cash = sum((row.cash for row in besides if row.symbol == symbol), ZERO)
        why = f"others traded {symbol}" if symbol else "deposits, fees, dividends?"
        notes.append(f"cash differs by {cash:,.2f} ({why}): {ACCEPT}")
    return notes


def _news(book: Book, update: OrderUpdate) -> bool:
    order = book.order(update.client_order_id)
    return order is not None and (
        order.status is not update.status or order.filled_qty != update.filled_qty
    )
