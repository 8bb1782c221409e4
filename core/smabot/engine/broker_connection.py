"""The way to the broker: what sends, status queries and cancels have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from smabot.domain.order_terms import Status
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.broker_access import Access
from smabot.engine.dispatcher import Dispatcher, Request
from smabot.engine.surroundings import Surroundings
from smabot.errors import BrokerError, NotAllowed
from smabot.hooks.optional_ports import BulkBroker
from smabot.hooks.ports import Broker, Clock, is_remote

NO_NEWS: Sequence[OrderUpdate] = ()
CANCEL, EXIT, ENTRY, QUERY, PAUSE = range(5)
"""What goes first. In process a status query goes before what is sent: it costs no time."""


@dataclass(frozen=True, slots=True)
class BrokerConnection:
    """The broker, who carries requests to it, and what its answers say about access.

    ``pauses``: seconds before each status query of an unanswered order; none in process. ``stepped``:
    whether the broker's market stands still between steps. ``bulk``: the broker, where it takes
    several orders at once in this process. ``begun``: when this process began. ``seconds``: a clock that
    never goes back.
    """

    broker: Broker
    clock: Clock
    access: Access
    dispatcher: Dispatcher
    pauses: tuple[float, ...]
    stepped: bool
    remote: bool
    bulk: BulkBroker | None
    begun: datetime
    seconds: Callable[[], float]

    @classmethod
    def to(
        cls, broker: Broker, clock: Clock, access: Access, surroundings: Surroundings
    ) -> BrokerConnection:
        """Return the connection to a broker."""
        pauses: tuple[float, ...] = ()
        stepped, remote, bulk = True, False, None
        if is_remote(broker):
            pauses = tuple(b - a for a, b in pairwise([0.0, *broker.lookups]))
            stepped, remote = broker.stepped, True
        elif isinstance(broker, BulkBroker):
            bulk = broker
        begun = clock.now()
        dispatcher = surroundings.dispatcher(broker)
        return cls(
            broker,
            clock,
            access,
            dispatcher,
            pauses,
            stepped,
            remote,
            bulk,
            begun,
            surroundings.seconds,
        )

    def put(self, request: Request, seconds: float | None = None) -> None:
        """Queue a request, to be made in so many seconds at the earliest; None: at once."""
        self.dispatcher.put(request, seconds)

    def note_failure(self, error: BrokerError) -> None:
        """Take note of a request that failed: perhaps the broker refuses the key."""
        if isinstance(error, NotAllowed):
            self.access.request_refused(error)

    def update(self, order: Order, status: Status, reason: str) -> OrderUpdate:
        """Return news of an order that do not come from the broker, at the time of the clock."""
        return OrderUpdate(order.client_order_id, status, self.clock.now(), reason=reason)


def turn(order: Order) -> tuple[Any, ...]:
    """Return an order's place among others: exits first, then by age; a restart finds it again."""
    return (not order.reduces, order.created_at, order.client_order_id)
