"""The plugin: compares at start, after a lost connection, on core's timer, and on demand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TypeVar

from loguru import logger

from smabot.errors import BrokerError, NotAllowed, PartlyUnreadable
from smabot.hookspecs import Reconciliation, Recovery, hookimpl
from smabot.ports import Broker, RemoteBroker
from smabot.records import Event
from smabot_reconciliation.compare import ACCOUNT_MISMATCH, BrokerView, compare

T = TypeVar("T")
RETRY_SECONDS = (0.2, 0.5, 1.0)
FINAL = (NotAllowed, PartlyUnreadable)
"""Errors of which asking again at once changes nothing."""
GIVEN_UP_LATELY = timedelta(days=7)
"""How long an order that was ended here, and perhaps not there, is asked for."""


class ReconciliationPlugin:
    """Asks the broker what it knows and compares. A question that failed is unknown, never flat."""

    @hookimpl
    def reconcile(self, recovery: Recovery) -> Reconciliation:
        """Compare; a conflict only counts when it is still there after a while.

        Orders and positions are two answers, and a far broker's may be as far apart as an order needs
        to show up: a fill between them looks like a conflict.
        """
        if recovery.asked:
            return _compare(recovery, ())
        found = _compare(recovery, RETRY_SECONDS)
        for pause in _patience(recovery.broker):
            if all(conflict.kind == ACCOUNT_MISMATCH for conflict in found.conflicts):
                break
            time.sleep(pause)
            found = _compare(recovery, RETRY_SECONDS)
        return found


def _patience(broker: Broker) -> list[float]:
    """Return the pauses after which a conflict is looked at again, in seconds."""
    looks = set(broker.lookups) if isinstance(broker, RemoteBroker) else set()
    if max(looks, default=0.0) < RETRY_SECONDS[0]:
        looks.add(RETRY_SECONDS[0])
    return [later - before for before, later in pairwise([0.0, *sorted(looks)])]


def _compare(recovery: Recovery, pauses: Sequence[float]) -> Reconciliation:
    """Ask and compare; a question without an answer is asked again after each of the pauses."""
    broker, book = recovery.broker, recovery.book
    since = book.point.time if book.point else None

    def ask(what: str, question: Callable[[], T]) -> T:
        return _ask(what, question, pauses)

    def ours(name: str) -> bool:
        return name.startswith(f"{recovery.config.bot}-")

    def here(symbol: str) -> bool:
        return symbol in recovery.symbols or any(held == symbol for _, held in book.positions)

    recent = _readable(partial(ask, "its orders", partial(broker.orders, since)), ours)
    known = {order.client_order_id: order for order in recent}
    for order in book.open_orders():
        if order.client_order_id not in known:
            found = ask("an order", partial(broker.order, order.client_order_id))
            if found is not None:
                known[order.client_order_id] = found
    if not recovery.asked:
        for name in _given_up(recovery) - known.keys():
            found = ask("an order", partial(broker.order, name))
            if found is not None:
                recent.append(found)
    view = BrokerView(
        account=ask("the account", broker.account),
        recent=tuple(sorted(recent, key=lambda order: order.submitted_at)),
        orders=known,
        positions={
            p.symbol: p for p in _readable(partial(ask, "positions", broker.positions), here)
        },
    )
    return compare(recovery.config, book, view, recovery.symbols, recovery.clock.now())


def _readable(ask: Callable[[], list[T]], matters: Callable[[str], bool]) -> list[T]:
    """Return what can be read of a list. Raises BrokerError where the rest may matter: an order or a
    position that can't be read is unknown, never absent."""
    try:
        return ask()
    except PartlyUnreadable as error:
        if any(not name or matters(name) for name in error.names):
            raise
        logger.warning("left out of the comparison, as it is not ours: {}", error)
        return error.readable


def _given_up(recovery: Recovery) -> set[str]:
    """Return the ids of orders that were ended here, lately, without the broker's word.

    They are older than what the broker tells of its own accord, and may have filled since.
    """
    lately = recovery.clock.now() - GIVEN_UP_LATELY
    events = recovery.journal.rows(Event, where={"kind": "given_up"}, since=("time", lately))
    orders = [recovery.book.order(event.subject) for event in events]
    return {o.client_order_id for o in orders if o is not None and o.given_up_at is not None}


def _ask(what: str, question: Callable[[], T], pauses: Sequence[float]) -> T:
    """Ask the broker, again after a failure. Raises BrokerError when it stays without an answer."""
    for pause in pauses:
        try:
            return question()
        except FINAL:
            raise
        except BrokerError:
            time.sleep(pause)
    try:
        return question()
    except FINAL:
        raise
    except BrokerError as error:
        raise BrokerError(
            f"the broker did not tell {what}: {error}; nothing was changed"
        ) from error
