"""The plugin: queries the broker and compares, at start, after a lost connection, on core's timer, on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import TypeVar

from loguru import logger

from smabot.provider import (
    ZERO,
    Adjustment,
    Book,
    Broker,
    BrokerError,
    BrokerOrder,
    Fill,
    NotAllowed,
    NotSent,
    Order,
    PartlyUnreadable,
    Provider,
    Reconciliation,
    Recovery,
    hookimpl,
    is_remote,
)
from smabot_reconciliation.conflict_table import ACCOUNT_MISMATCH, BrokerSnapshot, compare_book

T = TypeVar("T")
RETRY_SECONDS = (0.2, 0.5, 1.0)
FINAL = (NotAllowed, PartlyUnreadable)
"""Errors that an immediate retry does not change."""
EXPLAINED_BY = timedelta(days=1)
"""How much older than the last equity point an order may be that explains a position."""


class ReconciliationPlugin(Provider):
    """Queries the broker and compares. A failed query means unknown, never flat."""

    @hookimpl
    def reconcile(self, recovery: Recovery) -> Reconciliation:
        """Compare; a conflict only counts when it is still there after a while.

        Orders and positions are two answers, and a far broker's may be as far apart as an order needs
        to show up: a fill between them looks like a conflict.
        """
        if recovery.asked:
            return _compare(recovery, ())
        found = _compare(recovery, RETRY_SECONDS)
        if not found.conflicts:
            return found
        for pause in _conflict_pauses(recovery.broker):
            if all(conflict.kind == ACCOUNT_MISMATCH for conflict in found.conflicts):
                break
            recovery.wait(pause)
            found = _compare(recovery, RETRY_SECONDS)
        return found


def _conflict_pauses(broker: Broker) -> list[float]:
    """Return the pauses after which the comparison is repeated on a conflict, in seconds."""
    looks = set(broker.lookups) if is_remote(broker) else set()
    if max(looks, default=0.0) < RETRY_SECONDS[0]:
        looks.add(RETRY_SECONDS[0])
    return [later - before for before, later in pairwise([0.0, *sorted(looks)])]


def _compare(recovery: Recovery, pauses: Sequence[float]) -> Reconciliation:
    """Query and compare; a query without an answer is retried after each of the pauses."""
    broker, book = recovery.broker, recovery.book
    since = book.point.time if book.point else None

    def ask(what: str, question: Callable[[], T]) -> T:
        return _query(what, question, pauses, recovery.wait)

    def ours(name: str) -> bool:
        return name.startswith(f"{recovery.config.bot}-")

    def here(symbol: str) -> bool:
        return symbol in recovery.symbols or any(held == symbol for _, held in book.positions)

    def orders(since: datetime | None) -> list[BrokerOrder]:
        return _readable(partial(ask, "its orders", partial(broker.orders, since)), ours)

    recent = orders(since)
    known = {order.client_order_id: order for order in recent}
    for order in (*book.open_orders(), *book.unconfirmed()):
        if order.client_order_id not in known:
            found = ask("an order", partial(broker.order, order.client_order_id))
            if found is not None:
                known[order.client_order_id] = found
    by_age = sorted(known.values(), key=lambda order: order.submitted_at)
    snapshot = BrokerSnapshot(
        account=ask("the account", broker.account),
        orders={order.client_order_id: order for order in by_age},
        positions={
            p.symbol: p for p in _readable(partial(ask, "positions", broker.positions), here)
        },
        earlier=lambda: orders(_explained_since(book)),
        movements=recovery.movements,
    )

    def fills_of(order: Order) -> list[Fill]:
        fills = recovery.journal.rows(Fill, where={"client_order_id": order.client_order_id})
        return sorted(fills, key=lambda fill: fill.cumulative_qty)

    def accepted_of(order: BrokerOrder) -> list[Adjustment]:
        where = {"client_order_id": order.client_order_id}
        return recovery.journal.rows(Adjustment, where=where)

    def unexplained() -> Decimal:
        adopted = recovery.journal.rows(Adjustment, where={"symbol": ""})
        return sum((row.cash for row in adopted), ZERO)

    now = recovery.clock.now()
    return compare_book(
        recovery.config, book, snapshot, recovery.symbols, now, fills_of, accepted_of, unexplained
    )


def _readable(ask: Callable[[], list[T]], matters: Callable[[str], bool]) -> list[T]:
    """Return what can be read of a list. Raises BrokerError where the rest may matter: an order or a
    position that can't be read is unknown, never absent."""
    try:
        return ask()
    except PartlyUnreadable as error:
        if any(not name or matters(name) for name in error.names):
            raise
        logger.warning("left out of the comparison, as it is external: {}", error)
        return error.readable


def _explained_since(book: Book) -> datetime | None:
    """Return since when external orders may explain a position that differs: never before the database was
    bound to the account."""
    if book.account is None or book.point is None:
        return None
    return max(book.account.bound_at, book.point.time - EXPLAINED_BY)


def _query(
    what: str,
    question: Callable[[], T],
    pauses: Sequence[float],
    wait: Callable[[float], None],
) -> T:
    """Query the broker, and retry after a failure. Raises BrokerError when no answer comes."""
    for pause in pauses:
        try:
            return question()
        except FINAL:
            raise
        except BrokerError as error:
            if isinstance(error, NotSent) and error.wait > RETRY_SECONDS[-1]:
                raise _unanswered_error(what, error) from error  # it has waited for room already
            wait(pause)
    try:
        return question()
    except FINAL:
        raise
    except BrokerError as error:
        raise _unanswered_error(what, error) from error


def _unanswered_error(what: str, error: BrokerError) -> BrokerError:
    return BrokerError(f"the broker did not return {what}: {error}; nothing was changed")
