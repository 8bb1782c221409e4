"""The comparison of the book with a broker snapshot: pure, so that each row of its table can be tested."""

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
    CashMovement,
    Config,
    Conflict,
    Fill,
    Order,
    OrderUpdate,
    Reconciliation,
    Status,
    cash_differs,
    may_be_counted,
)
from smabot_reconciliation.adjustments import (
    PositionMismatch,
    fraction_adjustments,
    position_adjustments,
    round_trip_adjustments,
    split_hint,
)
from smabot_reconciliation.cash_explanation import ExplainedCash, explain_cash, moved_cash
from smabot_reconciliation.external_trades import AcceptedOf, ExternalTrade, unaccepted_trades
from smabot_reconciliation.order_conflicts import (
    ACCEPT,
    describe_payload,
    filled_after_its_end,
    order_mismatch,
    unknown_locally,
)
from smabot_reconciliation.splits import (
    followed_splits,
    in_split_shares,
    is_half_renamed,
    is_half_split,
    successor_of,
)

ACCOUNT_MISMATCH = "account_mismatch"
"""The conflict that no second comparison can resolve."""


@dataclass(frozen=True, slots=True)
class BrokerSnapshot:
    """What the broker answered: its open and recent orders and those queried by id, by their ids, oldest
    first; positions; cash that moved without a trade and is not booked yet; and, queried only where positions
    or cash differ, the orders of the last days."""

    account: BrokerAccount
    orders: Mapping[str, BrokerOrder]
    positions: Mapping[str, BrokerPosition]
    earlier: Callable[[], Sequence[BrokerOrder]] = tuple
    movements: Sequence[CashMovement] = ()


def compare_book(
    config: Config,
    book: Book,
    snapshot: BrokerSnapshot,
    symbols: Sequence[str],
    now: datetime,
    fills_of: Callable[[Order], Sequence[Fill]],
    accepted_of: AcceptedOf = lambda order: (),
    unexplained: Callable[[], Decimal] = lambda: ZERO,
) -> Reconciliation:
    """Compare the book with the broker; changes neither.

    Returns updates that bring the book up to date, or conflicts that only an operator can resolve.
    Each conflict's remedy is right once those before it are applied. ``fills_of`` gives the fills that
    the database has of an order, and ``accepted_of`` the adjustments that it has for an external
    order; ``unexplained`` the cash that was adopted without an explanation so far.
    """
    bound = book.account
    if bound is not None and bound.account_id != snapshot.account.account_id:
        return Reconciliation(conflicts=(_account_mismatch(bound, snapshot),))
    found = Findings(book)
    for order in book.open_orders():
        seen = snapshot.orders.get(order.client_order_id)
        if seen is None:
            found.add_conflict(_missing_at_broker(order, now))
        elif not seen.is_for(order) and in_split_shares(book, order, seen, now):
            found.add_update(_in_our_shares(order, seen))
        elif not seen.is_for(order) or seen.filled_qty < order.filled_qty:
            found.add_conflict(order_mismatch(found.after, order, seen, fills_of(order)))
        else:
            found.add_update(seen.update())
    for seen in snapshot.orders.values():
        here = book.order(seen.client_order_id)
        if here is None and (ours := successor_of(found.after, seen, snapshot.orders)) is not None:
            found.follow(ours, seen.update())
        elif here is None:
            found.add_conflict(_unwritten_order(config, found.after, seen, symbols))
        elif here.status.terminal:
            _compare_ended(found, here, seen, fills_of)
    shared = config.foreign == "ignore"

    def there(symbol: str) -> Decimal:
        position = snapshot.positions.get(symbol)
        return position.qty if position else ZERO

    _follow_splits(found, there, now, shared=shared)
    mismatches = [
        each
        for each in _position_mismatches(config, found.after, snapshot, symbols)
        if not is_half_split(found.after, each.symbol, each.there, now, shared=shared)
        and not is_half_renamed(found.after, each.symbol, there, now)
    ]
    cash, moved = snapshot.account.cash, moved_cash(snapshot.movements)
    if not mismatches and not cash_differs(found.after, cash - moved):
        return _result(book, found, ExplainedCash(tuple(snapshot.movements)))
    trades = unaccepted_trades(found.after, snapshot.earlier(), accepted_of)
    gone = round_trip_adjustments(
        _trades_that_count(config, found.after, trades, symbols), mismatches, now
    )
    cash -= sum((row.cash for row in gone), ZERO)
    remedies = position_adjustments(found.after, mismatches, cash - moved, trades, now)
    for mismatch, remedy in zip(mismatches, remedies, strict=True):
        found.add_conflict(_position_conflict(mismatch, remedy))
    explained = explain_cash(found.after, cash, snapshot.movements, unexplained, now)
    return _result(book, found, explained, gone)


class Findings:
    """The findings so far, and the book as it is once all of them are applied."""

    def __init__(self, book: Book) -> None:
        self.after = book
        self.updates: list[OrderUpdate] = []
        self.conflicts: list[Conflict] = []
        self.followed: list[object] = []
        self._book = book

    def add_update(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        if self.after.fill_of(update) is not None or update.status.terminal:
            self._apply(update)

    def follow(self, *records: object) -> None:
        """Note records that follow what the broker changed by itself."""
        self.followed += records
        self._apply(*records)

    def add_conflict(self, conflict: Conflict | None) -> None:
        if conflict is not None:
            self.conflicts.append(conflict)
            self._apply(*conflict.remedy)

    def _apply(self, *records: object) -> None:
        if self.after is self._book:
            self.after = self._book.copy()
        for record in records:
            self.after.apply(record)


def _follow_splits(
    found: Findings, there: Callable[[str], Decimal], now: datetime, *, shared: bool
) -> None:
    """Note the splits that the broker has followed."""

    def pay_fraction(symbol: str, change: Decimal, at: datetime) -> Sequence[object]:
        return fraction_adjustments(found.after, symbol, change, at)

    if rows := list(followed_splits(found.after, there, pay_fraction, now, shared=shared)):
        found.follow(*rows)


def _in_our_shares(order: Order, seen: BrokerOrder) -> OrderUpdate:
    """Return the news of an order that the broker has in new shares: how it stands, with the fills known here."""
    return replace(
        seen.update(), filled_qty=order.filled_qty, filled_avg_price=order.filled_avg_price, fees=order.fees
    )  # fmt: skip


def _missing_at_broker(order: Order, now: datetime) -> Conflict | None:
    """Return the conflict of an order of ours that the broker does not show.

    Core's outbox decides whether an unanswered one is sent again or given up: it knows when it was sent.
    """
    if order.status in (Status.PENDING, Status.UNKNOWN):
        return None
    gone = replace(
        order, status=Status.CANCELED, updated_at=now, reason="the broker does not know it"
    )
    return Conflict(
        "unknown_at_broker", order.client_order_id, f"{order.status} {describe_payload(order)}",
        "no such order", ACCEPT, (gone,),
    )  # fmt: skip


def _unwritten_order(
    config: Config, book: Book, seen: BrokerOrder, symbols: Sequence[str]
) -> Conflict | None:
    """An order at the broker that is not known here. One of ours that ended without a fill harmed
    nobody."""
    alive = not seen.status.terminal
    if seen.client_order_id.startswith(f"{config.bot}-"):
        return unknown_locally(book, seen, None) if alive or seen.filled_qty else None
    if alive and seen.symbol in symbols and config.foreign == "conflict":
        return Conflict(
            "foreign_activity", f"order {seen.client_order_id}", "external", describe_payload(seen),
            'cancel it at the broker, or set foreign = "ignore"',
        )  # fmt: skip
    return None


def _compare_ended(
    found: Findings,
    here: Order,
    seen: BrokerOrder,
    fills_of: Callable[[Order], Sequence[Fill]],
) -> None:
    """Compare an order that has ended here with what the broker knows of it."""
    alive, more = not seen.status.terminal, seen.filled_qty > here.filled_qty
    if seen.filled_qty < here.filled_qty:
        found.add_conflict(order_mismatch(found.after, here, seen, fills_of(here)))
    elif here.given_up_at is not None:
        counted = seen.is_for(here) and may_be_counted(found.after, here, seen.update())
        if more and not counted:
            found.add_conflict(filled_after_its_end(here, seen))
        elif more or not alive:
            found.add_update(seen.update())
    elif alive or (more and not (seen.is_for(here) and here.status is not Status.BLOCKED)):
        found.add_conflict(unknown_locally(found.after, seen, here))
    elif more:
        found.add_update(seen.update())


def _position_mismatches(
    config: Config, after: Book, snapshot: BrokerSnapshot, symbols: Sequence[str]
) -> list[PositionMismatch]:
    """Return the positions that differ once all updates are applied and our orders are adopted."""
    known = {symbol for _, symbol in after.positions}
    found = []
    for symbol in sorted({*known, *(s for s in snapshot.positions if s in symbols)}):
        position, here = snapshot.positions.get(symbol), after.net(symbol)
        there = position.qty if position else ZERO
        if here != there and not _may_be_external(config, symbols, symbol, here, there):
            price = position.avg_price if position else ZERO
            found.append(PositionMismatch(symbol, here, there, price, symbol in known))
    return found


def _trades_that_count(
    config: Config, after: Book, trades: Sequence[ExternalTrade], symbols: Sequence[str]
) -> list[ExternalTrade]:
    """Return the trades in symbols of ours: other external trades are no profit or loss of the bot."""
    if config.foreign == "ignore":
        return []
    known = {*symbols, *(symbol for _, symbol in after.positions)}
    return [trade for trade in trades if trade.symbol in known]


def _position_conflict(mismatch: PositionMismatch, remedy: Sequence[object]) -> Conflict:
    here, there = mismatch.here, mismatch.there
    return Conflict(
        "position_mismatch" if mismatch.known else "foreign_activity",
        mismatch.symbol, f"{here:f} shares", f"{there:f} shares",
        ACCEPT + split_hint(here, there), tuple(remedy),
    )  # fmt: skip


def _may_be_external(
    config: Config, symbols: Sequence[str], symbol: str, here: Decimal, there: Decimal
) -> bool:
    """Whether the account may hold our shares and external ones.

    Less than ours never is, nor shares sold short where we hold none: an exit of ours would sell what
    nobody holds.
    """
    if here == 0:
        return symbol not in symbols or (config.foreign == "ignore" and there > 0)
    return config.foreign == "ignore" and (there > here > 0 or there < here < 0)


def _account_mismatch(bound: Account, snapshot: BrokerSnapshot) -> Conflict:
    return Conflict(
        ACCOUNT_MISMATCH, "account", f"{bound.broker} {bound.account_id}", snapshot.account.account_id,
        "this database belongs to another account: use its account, or another --db",
    )  # fmt: skip


def _result(
    book: Book, found: Findings, cash: ExplainedCash, gone: tuple[Adjustment, ...] = ()
) -> Reconciliation:
    remedy = (*gone, *cash.adopted)
    return Reconciliation(
        tuple(found.updates),
        tuple(found.conflicts),
        tuple(_notes(book, found, cash, remedy)),
        remedy,
        tuple(found.followed),
        cash.booked,
    )


def _notes(
    book: Book, found: Findings, cash: ExplainedCash, adjustments: Sequence[Adjustment]
) -> list[str]:
    changed = [u for u in found.updates if _is_news(book, u)]
    notes = [f"{u.client_order_id} is {u.status}" for u in changed[:5]]
    if len(changed) > 5:
        notes.append(f"and {len(changed) - 5} more orders moved on")
    moved = [row for row in cash.booked if isinstance(row, CashMovement)]
    notes += [f"{each.kind} {each.amount:+,.2f} on {each.booked_on}" for each in moved[:5]]
    if len(moved) > 5:
        notes.append(f"and {len(moved) - 5} more movements of cash")
    for symbol in sorted({row.symbol for row in adjustments}):
        amount = sum((row.cash for row in adjustments if row.symbol == symbol), ZERO)
        why = f"others traded {symbol}" if symbol else "deposits, fees, dividends?"
        notes.append(f"cash differs by {amount:,.2f} ({why}): {ACCEPT}")
    return notes


def _is_news(book: Book, update: OrderUpdate) -> bool:
    order = book.order(update.client_order_id)
    return order is not None and (
        order.status is not update.status or order.filled_qty != update.filled_qty
    )
