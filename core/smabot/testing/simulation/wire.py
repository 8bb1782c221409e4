"""The line to the broker: what is lost, late or refused on the way, and who may look at what leaves.

A request is judged when it is handed to the transport, is carried out when it arrives, and its answer takes
time, too. On the near line, to an exchange in the bot's process, nothing takes time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Generic, NamedTuple, Protocol, TypeVar

from smabot.domain.calendar import Calendar
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, OrderUpdate
from smabot.errors import AccountBlocked, BrokerError, KeyRefused, NotSent, UnknownOutcome
from smabot.hooks.optional_ports import announces_actions
from smabot.hooks.ports import Broker, BrokerAccount, BrokerOrder, BrokerPosition
from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.kill_points import after, before
from smabot.testing.simulation.points import Points
from smabot.testing.simulation.timeline import Timeline

T = TypeVar("T")
GIVES_UP = timedelta(minutes=6)
SURVIVES = 0.5
"""The share of requests that arrive though their process has died while they were on their way."""
TIMEOUT = 6.0
"""Seconds after which a client gives an answer up."""
REQUESTS = ("submit", "cancel", "query")


class AccountWatch(Protocol):
    """What is shown that says whether the account may trade."""

    def account_refused(self) -> None:
        """An order was refused, as the account may not trade."""
        ...

    def account_queried(self) -> int:
        """The account is queried; returns the query's number."""
        ...

    def account_known(self, question: int, blocked: str) -> None:
        """That query was answered."""
        ...


class RequestWatch(AccountWatch, Protocol):
    """What is shown each request of interest."""

    def handed_over(self, order: Order) -> None:
        """An order is handed to the transport."""
        ...

    def cancel_handed_over(self, order: Order) -> None:
        """A cancel is handed to the transport."""
        ...

    def refused(self, order: Order) -> None:
        """The exchange has refused an order."""
        ...

    def positions_queried(self) -> int:
        """Positions are queried; returns the query's number."""
        ...

    def positions_known(self, question: int) -> None:
        """That query was answered."""
        ...


class Refusal(NamedTuple):
    """The ``key`` is refused, and so is every request; or the ``account``, and orders alone."""

    what: str
    until: datetime


class Wire:
    """The state of the line. It outlives each process."""

    def __init__(
        self, timeline: Timeline, exchange: SimulatedExchange, points: Points, chance: random.Random
    ) -> None:
        self.faults: dict[str, list[str]] = {request: [] for request in REQUESTS}
        """What befalls the next requests of each kind: ``lost`` on the way there, ``unanswered``; ``late``: it
        arrives when the client has given it up; ``full``: no room under the rate limit; ``slow``."""
        self.refusal: Refusal | None = None
        """The last time that the key, or the account, was refused."""
        self.struck: Callable[[str], None] = lambda fault: None
        """Called with each fault that strikes."""
        self.watch: RequestWatch | None = None
        """Sees what leaves."""
        self.arrived: Callable[[], None] = lambda: None
        """Called when the exchange has carried a request out."""
        self.down = False
        """Whether no request reaches the exchange."""
        self.busy = False
        """Whether requests wait behind others before they leave."""
        self.life = 0
        """Counts the processes."""
        self.points = points
        self.timeline = timeline
        self.exchange = exchange
        self.chance = chance

    @property
    def refused_lately(self) -> bool:
        """Whether the key or the account was refused within the time after which a bot gives up."""
        return self.refusal is not None and self.timeline.now < self.refusal.until + GIVES_UP

    def busy_seconds(self) -> float:
        """Return how long a request waits until a worker is free."""
        return self.chance.uniform(0.3, 3.0) if self.busy else self.chance.uniform(0.0, 0.01)

    @property
    def account_is_refused(self) -> bool:
        """Whether the account may not trade now."""
        return self._refused_now() == "account"

    def calm(self) -> None:
        """From now on all is well."""
        self.down = self.busy = False
        self.faults = {request: [] for request in REQUESTS}
        self.refusal = None

    def fault(self, request: str) -> str:
        """Return what befalls the next request of a kind; empty: nothing."""
        if self.down:
            self.struck("network down")
            return "lost"
        waiting = self.faults[request]
        if refused := self._refused_now():
            return "key" if refused == "key" else "blocked" if request == "submit" else ""
        # A comparison asks several things, and each of them may be the one without an answer.
        spared = request == "query" and self.chance.random() < 0.5
        fault = waiting.pop(0) if waiting and not spared else ""
        if fault:
            self.struck(f"{request} {fault}")
        return fault

    def _refused_now(self) -> str:
        refusal = self.refusal
        return refusal.what if refusal is not None and self.timeline.now < refusal.until else ""


class NearBroker:
    """The broker in the bot's process, on a line that loses requests and answers."""

    name = "simulated"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._broker: Broker = wire.exchange.connect()

    @property
    def visibility_delay(self) -> timedelta | None:
        return self._broker.visibility_delay

    def submit(self, order: Order) -> OrderUpdate:
        def hand_over() -> None:
            if self._wire.watch is not None:
                self._wire.watch.handed_over(order)

        def carry_out() -> OrderUpdate:
            answer = self._broker.submit(order)
            if self._wire.watch is not None and answer.status is Status.REJECTED:
                self._wire.watch.refused(order)
            return answer

        try:
            return self._request("submit", "submit", carry_out, hand_over)
        except AccountBlocked:
            if self._wire.watch is not None:
                self._wire.watch.account_refused()
            raise

    def cancel(self, order: Order) -> None:
        def hand_over() -> None:
            if self._wire.watch is not None:
                self._wire.watch.cancel_handed_over(order)

        self._request("cancel", "cancel", lambda: self._broker.cancel(order), hand_over)

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._request("query", "order", lambda: self._broker.order(client_order_id))

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        return self._request("query", "orders", lambda: self._broker.orders(since))

    def positions(self) -> list[BrokerPosition]:
        watch = self._wire.watch
        question = watch.positions_queried() if watch is not None else 0
        positions = self._request("query", "positions", self._broker.positions)
        if watch is not None:
            watch.positions_known(question)
        return positions

    def account(self) -> BrokerAccount:
        def carry_out() -> BrokerAccount:
            blocked = "account_blocked" if self._wire.account_is_refused else ""
            return replace(self._broker.account(), blocked=blocked)

        watch = self._wire.watch
        question = watch.account_queried() if watch is not None else 0
        account = self._request("query", "account", carry_out)
        if watch is not None:
            watch.account_known(question, account.blocked)
        return account

    def calendar(self) -> Calendar:
        return self._broker.calendar()

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        broker = self._broker
        if not announces_actions(broker):
            return []
        return self._request(
            "query", "corporate_actions", lambda: broker.corporate_actions(symbols, since, until)
        )

    def close(self) -> None:
        return

    def _request(
        self,
        kind: str,
        call: str,
        carry_out: Callable[[], T],
        hand_over: Callable[[], None] = lambda: None,
    ) -> T:
        wire = self._wire
        fault = wire.fault(kind)
        if fault == "full":
            raise NotSent("no room under the rate limit", 1.0)
        wire.points.point(before(f"broker.{call}"))
        hand_over()
        answer = self._carried_out(kind, fault, carry_out)
        wire.points.point(after(f"broker.{call}"))
        return answer

    def _carried_out(self, kind: str, fault: str, carry_out: Callable[[], T]) -> T:
        self._refuse(kind, fault)
        if fault in ("lost", "late"):
            raise _no_answer(kind, "the request was lost")
        answer = carry_out()
        self._wire.arrived()
        if fault == "unanswered":
            raise _no_answer(kind, "the answer was lost")
        return answer

    @staticmethod
    def _refuse(kind: str, fault: str) -> None:
        if fault == "key":
            raise KeyRefused("the key is refused")
        if fault == "blocked" and kind == "submit":
            raise AccountBlocked("the account is blocked")


class FarBroker(NearBroker):
    """A broker whose answers take time, and who may not show an order yet: `RemoteBroker`."""

    stepped = False
    lookups: Sequence[float] = (0.5, 2.0, 10.0, 60.0, 300.0)

    @property
    def visibility_delay(self) -> timedelta | None:
        return None

    def _carried_out(self, kind: str, fault: str, carry_out: Callable[[], T]) -> T:
        timeline, chance = self._wire.timeline, self._wire.chance
        slow = 20.0 if fault == "slow" else 1.0
        there = chance.uniform(0.01, 0.06) * slow
        if fault in ("lost", "key", "blocked"):
            timeline.sleep(TIMEOUT if fault == "lost" else there)
            self._refuse(kind, fault)
            raise _no_answer(kind, "the request was lost")
        if fault == "late":
            self._arrive_late(kind, carry_out)
            timeline.sleep(TIMEOUT)
            raise _no_answer(kind, "no answer in time")
        box = self._arrive(carry_out, there)

        def back() -> float:
            if box.failed:
                return 0.0
            return TIMEOUT if fault == "unanswered" else chance.uniform(0.01, 0.06) * slow

        timeline.sleep(there, back)
        answer = box.content()
        if fault == "unanswered":
            raise _no_answer(kind, "the answer was lost")
        return answer

    def _arrive(self, carry_out: Callable[[], T], seconds: float) -> _Box[T]:
        """Carry it out when it arrives; it may do so even where this process has died meanwhile."""
        wire, box = self._wire, _Box[T]()
        life, survives = wire.life, wire.chance.random() < SURVIVES

        def arrive() -> None:
            if wire.life == life or survives:
                wire.exchange.pass_time(wire.timeline.now)
                box.fill(carry_out)
                wire.arrived()

        wire.timeline.at(wire.timeline.now + timedelta(seconds=seconds), arrive)
        return box

    def _arrive_late(self, kind: str, carry_out: Callable[[], T]) -> None:
        """Carry it out some time later, whether or not this process still lives."""
        wire, box = self._wire, _Box[T]()

        def arrive() -> None:
            wire.exchange.pass_time(wire.timeline.now)
            box.fill(carry_out)
            wire.arrived()

        if kind != "query":
            later = timedelta(seconds=wire.chance.uniform(TIMEOUT, 90.0))
            wire.timeline.at(wire.timeline.now + later, arrive)


class _Box(Generic[T]):
    """An answer that is opened later."""

    def __init__(self) -> None:
        self._content: list[T] = []
        self._failure: BrokerError | None = None

    def fill(self, carry_out: Callable[[], T]) -> None:
        try:
            self._content.append(carry_out())
        except BrokerError as error:
            self._failure = error

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def content(self) -> T:
        if self._failure is not None:
            raise self._failure
        return self._content[0]


def _no_answer(kind: str, why: str) -> BrokerError:
    return UnknownOutcome(why) if kind == "submit" else BrokerError(why)
