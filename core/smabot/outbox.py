"""Committed intents to the broker, each exactly once.

An intent is sent only after its commit. Whether an unanswered one arrived is found out by its id:
the id is deterministic, so sending it again can't make a second order, and a new id is never made
for an order whose fate is unknown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from itertools import pairwise

from smabot.courier import Courier, Task
from smabot.errors import BrokerError, ConflictError, NotSent
from smabot.ports import Broker, BulkBroker, Clock, RemoteBroker
from smabot.records import Order, OrderUpdate, Status

QUEUED = "other orders went before it"
AWAITED_SENDS = 3
"""Of an order that is never answered a step waits for so many sendings, though its time stand still."""


class Fate(Enum):
    """What an order that has not arrived is still good for."""

    SEND = auto()
    WAIT = auto()  # too late to send
    OVER = auto()  # and its day is over: it can't fill any more


@dataclass(slots=True, eq=False)
class Errand:
    """An order on its way. ``sent_at`` is when this process sent it last, ``looks`` how often the
    broker was asked for it since; ``sends`` how often it was sent in vain, ``waits`` how many look-ups a
    step still waits for; ``unsent`` why it has not been sent yet, ``hold`` why it may not be by now."""

    order: Order
    fate: Fate = Fate.SEND
    sent_at: datetime | None = None
    looks: int = 0
    sends: int = 0
    waits: int = 0
    frozen: bool = False
    unsent: str = ""
    hold: str = ""

    @property
    def given_up(self) -> bool:
        """Whether it is an entry that has not been sent, and may not be any more for now."""
        held = bool(self.hold) or self.fate is not Fate.SEND
        return bool(self.unsent) and held and not self.order.reduces


class Outbox:
    """Sends orders and finds out what became of the unanswered ones.

    A broker in the same process is called at once. A remote one is called from threads; a step waits
    a moment for their answers, and takes what comes later in a later step.
    """

    def __init__(self, broker: Broker, clock: Clock, judge: Callable[[Order], Fate]) -> None:
        self._broker = broker
        self._bulk = broker if isinstance(broker, BulkBroker) else None
        self._courier: Courier | None = None
        self._pauses: list[float] = []
        if isinstance(broker, RemoteBroker):
            self._courier = Courier(broker.stepped)
            self._pauses = [b - a for a, b in pairwise([0.0, *broker.lookups])]
        self._clock = clock
        self._judge = judge
        self._waiting: list[Order] = []
        self._cancels: dict[str, Order] = {}
        self._unknown: dict[str, Errand] = {}
        self._taken_up: list[Errand] = []
        self._unsent: dict[str, Errand] = {}
        self._returned: deque[Order] = deque()
        self._begun = clock.now()

    def add(self, order: Order) -> None:
        """Queue a committed order."""
        if order.status is Status.PENDING:
            self._waiting.append(order)

    def take_up(self, orders: Iterable[Order]) -> None:
        """Take over an earlier process's orders: the last thing it did may have been to send them."""
        for order in orders:
            if order.status in (Status.PENDING, Status.UNKNOWN):
                perhaps_sent = replace(order, status=Status.UNKNOWN)
                errand = Errand(perhaps_sent, waits=len(self._pauses))
                self._unknown[order.client_order_id] = errand
                self._taken_up.append(errand)

    def cancel(self, order: Order) -> None:
        """Queue a cancel. It is not durable: whoever wants it asks again at the next bar."""
        self._cancels[order.client_order_id] = order

    def hurry(self) -> None:
        """The broker is there again: look unanswered orders up now, whenever it was their turn."""
        if self._courier is not None:
            for errand in list(self._unknown.values()):
                errand.waits = len(self._pauses)
            self._courier.hurry()

    def flush(self, hold: str = "") -> list[OrderUpdate]:
        """Send what is queued and return the answers that are there: events of the next step.

        Cancels go first, so that no order meets one that it replaces; then exits, then entries,
        each in an order that a restart would find too. So are the answers: a restart hears first of
        what arrived, and only then sends the rest again. ``hold`` says why entries wait; one that
        waits too long is blocked by it.
        """
        answers: list[OrderUpdate] = []
        while self._returned:
            self._waiting.append(self._returned.popleft())
        idle = not (self._waiting or self._cancels or self._unknown or self._unsent)
        if idle and self._courier is None:
            return answers
        if not idle:
            cancels, self._cancels = list(self._cancels.values()), {}
            waiting = sorted(self._ready(hold, answers), key=_turn)
            for errand in [*self._unknown.values(), *self._unsent.values()]:
                errand.fate, errand.hold = self._judge(errand.order), hold
            if self._courier is None:
                answers += self._deliver(cancels, waiting)
            else:
                self._hand_over(self._courier, cancels, waiting)
        if self._courier is not None:
            answers += self._courier.collect()
        return sorted(answers, key=_never_arrived)

    def settle(self, seconds: float) -> list[OrderUpdate]:
        """Stop sending; return the answers to what is being sent, waiting for them that long."""
        return [] if self._courier is None else self._courier.stop(seconds)

    def _ready(self, hold: str, answers: list[OrderUpdate]) -> list[Order]:
        """Return the queued orders that may leave now; entries stay while something holds them."""
        waiting, self._waiting = self._waiting, []
        if not hold:
            return waiting
        ready = []
        for order in waiting:
            if order.reduces:
                ready.append(order)
            elif self._judge(order) is Fate.SEND:
                self._waiting.append(order)
            else:
                now = self._clock.now()
                answers.append(OrderUpdate(order.client_order_id, Status.BLOCKED, now, reason=hold))
        return ready

    # -- a broker in this process ------------------------------------------------------------------

    def _deliver(self, cancels: list[Order], waiting: list[Order]) -> list[OrderUpdate]:
        answers = [answer for order in cancels if (answer := self._cancel_once(order))]
        unknown = sorted(self._unknown.values(), key=lambda errand: _turn(errand.order))
        answers += [answer for errand in unknown if (answer := self._look_up(errand))]
        if self._bulk is None or len(waiting) < 2:
            sent = [self._send(Errand(order)) for order in waiting]
            return answers + [answer for answer in sent if answer]
        try:
            return answers + self._bulk.submit_many(waiting)
        except BrokerError as error:
            return answers + [self._unanswered(Errand(order), error) for order in waiting]

    # -- a remote broker -----------------------------------------------------------------------------

    def _hand_over(self, courier: Courier, cancels: list[Order], waiting: list[Order]) -> None:
        taken_up, self._taken_up = self._taken_up, []
        errands = [Errand(order, unsent=QUEUED) for order in waiting]
        self._unsent |= {errand.order.client_order_id: errand for errand in errands}
        courier.put(
            *(self._cancel_task(courier, order) for order in cancels),
            *(self._task(courier, errand, self._look_up) for errand in taken_up),
            *(self._task(courier, errand, self._send) for errand in errands),
        )

    def _task(
        self, courier: Courier, errand: Errand, what: Callable[[Errand], OrderUpdate | None]
    ) -> Task:
        """A request for one order that, where it has to be, is followed by the next one."""

        def carry() -> OrderUpdate | None:
            if errand.given_up:
                return self._give_back(errand)
            try:
                answer = what(errand)
            except NotSent as error:
                if what == self._send:
                    errand.unsent = str(error)
                courier.put(self._task(courier, errand, what), seconds=error.wait)
                return None
            errand.unsent = ""
            self._unsent.pop(errand.order.client_order_id, None)
            if errand.order.client_order_id in self._unknown:
                pause = self._pauses[min(errand.looks, len(self._pauses) - 1)]
                courier.put(self._task(courier, errand, self._look_up), seconds=pause)
            return answer

        exit_first = 1 if errand.order.reduces else 2
        urgency = 3 if what == self._look_up else exit_first
        awaited = what == self._send or errand.waits > 0
        return Task((urgency, _turn(errand.order)), carry, awaited)

    def _cancel_task(self, courier: Courier, order: Order, tries: int = 0) -> Task:
        """A cancel that is asked for again a few times: what it is to end may fill meanwhile."""

        def carry() -> OrderUpdate | None:
            try:
                return self._cancel(order)
            except BrokerError as error:
                if tries < len(self._pauses):
                    pause = error.wait if isinstance(error, NotSent) else self._pauses[tries]
                    courier.put(self._cancel_task(courier, order, tries + 1), seconds=pause)
                return None

        return Task((0, _turn(order)), carry)

    # -- one order -------------------------------------------------------------------------------------

    def _cancel(self, order: Order) -> OrderUpdate | None:
        """Ask for a cancel, and what came of it. Raises BrokerError."""
        self._broker.cancel(order)
        seen = self._broker.order(order.client_order_id)
        return seen.update() if seen else None

    def _cancel_once(self, order: Order) -> OrderUpdate | None:
        try:
            return self._cancel(order)
        except BrokerError:
            return None

    def _send(self, errand: Errand) -> OrderUpdate:
        """Send an order once. Raises NotSent."""
        try:
            answer = self._broker.submit(errand.order)
        except NotSent:
            raise
        except BrokerError as error:
            return self._unanswered(errand, error)
        self._forget(errand)
        return answer

    def _give_back(self, errand: Errand) -> OrderUpdate | None:
        """Do not send an entry that could not be sent in time, or not before something held it."""
        order = errand.order
        self._unsent.pop(order.client_order_id, None)
        if errand.fate is Fate.SEND:
            self._returned.append(order)
            return None
        return OrderUpdate(
            order.client_order_id, Status.BLOCKED, self._clock.now(),
            reason=f"it could not be sent in time: {errand.unsent}",
        )  # fmt: skip

    def _unanswered(self, errand: Errand, error: BrokerError) -> OrderUpdate:
        errand.sent_at, errand.looks = self._clock.now(), 0
        errand.sends += 1
        errand.waits = len(self._pauses) if errand.sends <= AWAITED_SENDS else 0
        name = errand.order.client_order_id
        self._unknown[name] = errand
        return OrderUpdate(name, Status.UNKNOWN, errand.sent_at, reason=str(error))

    def _look_up(self, errand: Errand) -> OrderUpdate | None:
        """Look an unanswered order up: adopt it, send it again under its id, or give it up.

        That it is not found proves nothing before the broker's delay has passed since it was last
        sent, or since this process began where an earlier one may have sent it. Where a miss never
        is a proof, the order stays unknown until its day is over.
        """
        order = errand.order
        errand.looks += 1
        errand.waits -= 1
        try:
            seen = self._broker.order(order.client_order_id)
        except NotSent:
            raise
        except BrokerError:
            return None
        if seen is not None:
            if not seen.is_for(order):
                raise ConflictError(
                    f"payload_mismatch: the broker has {order.client_order_id} as "
                    f"{seen.side} {seen.qty} {seen.symbol}; run `smabot reconcile`"
                )
            self._forget(errand)
            return seen.update()
        now, delay = self._clock.now(), self._broker.visibility_delay
        if delay is None:
            proven, patient = errand.fate is Fate.OVER, errand.looks < len(self._pauses)
        else:
            proven = now - (errand.sent_at or self._begun) >= delay
            patient = not proven
        if errand.fate is Fate.SEND and (errand.sent_at is None or not patient):
            answer = self._send(errand)
            return None if answer.status is Status.UNKNOWN else answer  # no news
        if proven:
            self._forget(errand)
            return OrderUpdate(
                order.client_order_id, Status.ABANDONED, now,
                reason="never arrived, and not sent again",
            )  # fmt: skip
        if patient or errand.frozen:
            return None
        errand.frozen = True
        return OrderUpdate(
            order.client_order_id, Status.UNKNOWN, now,
            reason=f"{order.symbol} is frozen: the broker does not show the order and may have it",
        )  # fmt: skip

    def _forget(self, errand: Errand) -> None:
        self._unknown.pop(errand.order.client_order_id, None)


def _turn(order: Order) -> tuple[bool, datetime, str]:
    return (not order.reduces, order.created_at, order.client_order_id)


def _never_arrived(answer: OrderUpdate) -> bool:
    return answer.status in (Status.REJECTED, Status.UNKNOWN)
