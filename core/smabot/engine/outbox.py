"""Committed orders and cancels to the broker, each order exactly once.

An order is sent only after its commit, and each time only with the gate's word. Whether an unanswered
one arrived is found out by its id: the id is deterministic, so sending it again can't make a second
order, and a new id is never made for an order of which nobody knows what became.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from smabot.domain.book import Book
from smabot.domain.records import Order, OrderUpdate, Status
from smabot.engine.broker_access import Access
from smabot.engine.dispatcher import (
    DirectDispatcher,
    Dispatcher,
    Request,
    ThreadedDispatcher,
    Withdrawn,
)
from smabot.engine.execution.next_action import ACKNOWLEDGED, PATIENCE
from smabot.engine.gate import Answer, Gate, Verdict
from smabot.errors import BrokerError, ConflictError, NotAllowed, NotSent
from smabot.hooks.ports import Broker, BrokerOrder, BulkBroker, Clock, RemoteBroker

AWAITED_SENDS = 3
"""Of an order that is never answered a step waits for so many sendings, though its time stand still."""
ROUNDS = 3
"""Of grants in one step, where time goes by itself."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=10), timedelta(seconds=60)
"""How soon an order that was turned away with the key, or the account, is sent again; it doubles."""
NO_NEWS: Sequence[OrderUpdate] = ()
CANCEL, EXIT, ENTRY, LOOK_UP, PAUSE = range(5)
"""What goes first. In process a look-up goes before what is sent: it costs no time."""


@dataclass(slots=True, eq=False)
class Sending:
    """An order that is not known to have arrived.

    ``left``: it may have left, in this process or an earlier one. ``asking``: a request of it is with
    the dispatcher, ``granted``: to send it. ``again``: it was looked for in vain, and may be sent again.
    ``sent_at`` is when this process sent it last, ``looks`` how often it was looked for since, ``sends``
    how often it was sent in vain, ``waits`` how many look-ups a step still waits for. ``why``: why it
    has not left yet. ``was_over``: its day was over when it was looked for last. ``turned_away``: how
    often the key or the account was refused with it, and ``retry_at`` when it is tried again unless the
    broker takes something before.
    """

    order: Order
    left: bool = False
    asking: bool = False
    granted: bool = False
    again: bool = False
    sent_at: datetime | None = None
    looks: int = 0
    sends: int = 0
    waits: int = 0
    frozen: bool = False
    was_over: bool = False
    why: str = ""
    turned_away: int = 0
    retry_at: datetime | None = None


class Outbox:
    """Sends orders, finds out what became of unanswered ones, asks for cancels.

    All of its methods are the deciding thread's. What the dispatcher reports is an event of the next
    step; nothing is granted before that step has seen it.
    """

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        book: Book,
        gate: Gate,
        access: Access,
        dispatcher: Dispatcher | None = None,
        check_journal: Callable[[], None] = lambda: None,
    ) -> None:
        """``check_journal``: raises JournalError where what was committed is not kept any more."""
        self._broker = broker
        self._bulk = broker if isinstance(broker, BulkBroker) else None
        self._pauses: list[float] = []
        self._stepped = True
        if isinstance(broker, RemoteBroker):
            self._pauses = [b - a for a, b in pairwise([0.0, *broker.lookups])]
            self._stepped = broker.stepped
            dispatcher = dispatcher or ThreadedDispatcher(broker.stepped)
        self._dispatcher = dispatcher or DirectDispatcher()
        self._remote = isinstance(broker, RemoteBroker)
        self._clock = clock
        self._book = book
        self._gate = gate
        self._check_journal = check_journal
        self._access = access
        self._sendings: dict[str, Sending] = {}
        self._canceling: dict[str, datetime] = {}
        self._begun = clock.now()
        self._epoch = 0

    def add(self, order: Order) -> None:
        """Take a committed order."""
        if order.status is Status.PENDING:
            self._sendings[order.client_order_id] = Sending(order)

    def take_up(self, orders: Iterable[Order]) -> None:
        """Take over an earlier process's orders: the last thing it did may have been to send them."""
        for order in orders:
            if order.status in (Status.PENDING, Status.UNKNOWN):
                perhaps_sent = replace(order, status=Status.UNKNOWN)
                sending = Sending(perhaps_sent, left=True, waits=len(self._pauses))
                self._sendings[order.client_order_id] = sending
                self._look_up(sending)

    @property
    def asking(self) -> bool:
        """Whether a remote broker still has a question to answer about an order."""
        return self._remote and any(sending.asking for sending in self._sendings.values())

    def withdraw(self) -> None:
        """End all grants: what has not left by now is judged again."""
        self._epoch += 1
        self._dispatcher.withdraw(self._epoch)

    def hurry(self) -> None:
        """The broker is there again: look unanswered orders up now, whenever it was their turn."""
        for sending in self._sendings.values():
            sending.waits = len(self._pauses)
        self._canceling.clear()
        self._dispatcher.hurry()

    def flush(self) -> list[OrderUpdate]:
        """Send what may leave and return the answers that are there: events of the next step.

        Cancels go first, then exits, then entries, then look-ups, each in an order that a restart
        would find too. So are the answers: a restart learns first of what arrived.
        """
        idle = not self._sendings and not self._book.canceling
        if idle and not self._remote:
            return []
        self._dispatcher.next_step()
        self._withdraw_what_may_not_leave_any_more()
        self._ask_for_cancels()
        answers = self._grant()
        rounds = 0
        while not answers and (self._stepped or rounds < ROUNDS):
            rounds += 1
            outcomes = self._dispatcher.collect()
            if not outcomes:
                break
            answers += [answer for request, got in outcomes for answer in request.take(got)]
            if not answers:
                answers += self._grant()
        return sorted(answers, key=_never_arrived)

    def settle(self, seconds: float) -> list[OrderUpdate]:
        """Stop sending; return the answers to what is being sent, waiting for them that long."""
        outcomes = self._dispatcher.stop(seconds)
        return [answer for request, outcome in outcomes for answer in request.take(outcome)]

    # -- grants --------------------------------------------------------------------------------------

    def _withdraw_what_may_not_leave_any_more(self) -> None:
        """A granted order may wait behind others until it is stale, or its symbol is compared."""
        for sending in self._sendings.values():
            if sending.granted:
                order = self._book.orders.get(sending.order.client_order_id, sending.order)
                verdict = self._gate.may_leave(order, left=sending.left)
                if verdict.answer is not Answer.GO:
                    self.withdraw()
                    return

    def _grant(self) -> list[OrderUpdate]:
        """Judge all that waits to leave; returns what is dropped, or waits for another reason now."""
        answers: list[OrderUpdate] = []
        ready: list[Sending] = []
        for sending in list(self._sendings.values()):
            if not self._is_to_leave(sending):
                continue
            verdict = self._gate.may_leave(sending.order, left=sending.left)
            if verdict.answer is Answer.GO:
                ready.append(sending)
            elif sending.left:
                answers += self._not_again(sending, verdict)
            elif verdict.answer is Answer.WAIT:
                answers += self._waits(sending, verdict.why)
            else:
                answers.append(self._dropped(sending, verdict.why))
        self._send_all(ready)
        return answers

    def _is_to_leave(self, sending: Sending) -> bool:
        """Whether an order is to be judged now; one that has arrived, or ended, is forgotten."""
        if sending.asking or (sending.left and not sending.again):
            return False
        if self._access.why and sending.retry_at and self._clock.now() < sending.retry_at:
            return False
        order = self._book.orders.get(sending.order.client_order_id)
        if order is None or order.status not in (Status.PENDING, Status.UNKNOWN):
            self._forget(sending)
            return False
        sending.order = replace(order, status=Status.UNKNOWN) if sending.left else order
        return True

    def _waits(self, sending: Sending, why: str) -> Sequence[OrderUpdate]:
        if sending.why == why:
            return NO_NEWS
        sending.why = why
        return [self._update(sending, Status.PENDING, why)]

    def _dropped(self, sending: Sending, why: str) -> OrderUpdate:
        """It provably never left: blocked, with the gate's reason, and why it had to wait so long."""
        if sending.why:
            why = f"{why}; it waited: {sending.why}"
        return self._update(sending, Status.BLOCKED, why)

    def _not_again(self, sending: Sending, verdict: Verdict) -> Sequence[OrderUpdate]:
        """It may have left, and is not sent again: abandoned where that is proven, else looked for."""
        sending.again = False
        unprovable = self._broker.visibility_delay is None
        if self._proven(sending) and (unprovable or verdict.answer is Answer.DROP):
            self._forget(sending)
            reason = f"never arrived, and not sent again: {verdict.why}"
            return [self._update(sending, Status.ABANDONED, reason)]
        self._look_up(sending, self._pause(sending))
        if not unprovable or sending.frozen:
            return NO_NEWS
        sending.frozen = True
        symbol = sending.order.symbol
        reason = f"{symbol} is frozen: the broker does not show the order and may have it"
        return [self._update(sending, Status.UNKNOWN, reason)]

    # -- sending -------------------------------------------------------------------------------------

    def _send_all(self, sendings: list[Sending]) -> None:
        if sendings:
            self._check_journal()
        sendings.sort(key=lambda sending: _turn(sending.order))
        for sending in sendings:
            sending.asking = sending.granted = True
        if self._bulk is not None and not self._remote and len(sendings) > 1:
            self._dispatcher.put(self._bulk_request(self._bulk, sendings))
            return
        for sending in sendings:
            order = sending.order
            request = Request(
                (EXIT if order.reduces else ENTRY, _turn(order)),
                partial(self._broker.submit, order),
                partial(self._sent, sending),
                self._epoch,
            )
            self._dispatcher.put(request)

    def _bulk_request(self, broker: BulkBroker, sendings: list[Sending]) -> Request:
        orders = [sending.order for sending in sendings]

        def take(outcome: Any) -> list[OrderUpdate]:
            each = outcome if isinstance(outcome, list) else [outcome] * len(sendings)
            pairs = zip(sendings, each, strict=True)
            return [answer for sending, one in pairs for answer in self._sent(sending, one)]

        return Request((EXIT,), partial(broker.submit_many, orders), take, self._epoch)

    def _sent(self, sending: Sending, outcome: Any) -> Sequence[OrderUpdate]:
        sending.asking = sending.granted = False
        match outcome:
            case Withdrawn():
                return NO_NEWS
            case NotSent():
                sending.asking = True
                sending.why = str(outcome)
                self._dispatcher.put(self._rest(sending), outcome.wait)
                return NO_NEWS
            case NotAllowed():
                return self._turned_away(sending, outcome)
            case BrokerError():
                return self._unanswered(sending, outcome)
        self._access.answered(took_order=outcome.status is not Status.REJECTED)
        self._forget(sending)
        return [outcome]

    def _turned_away(self, sending: Sending, error: NotAllowed) -> Sequence[OrderUpdate]:
        """It was not taken, and is kept for when the broker takes something again."""
        self._access.refused(error)
        pause = min(FIRST_RETRY * 2**sending.turned_away, LONGEST_RETRY)
        sending.turned_away += 1
        sending.retry_at = self._clock.now() + pause
        return NO_NEWS if sending.left else self._waits(sending, str(error))

    def _rest(self, sending: Sending) -> Request:
        """A pause, after which the order is judged again."""

        def over(outcome: Any) -> Sequence[OrderUpdate]:
            sending.asking = False
            return NO_NEWS

        return Request((PAUSE, _turn(sending.order)), lambda: None, over)

    def _unanswered(self, sending: Sending, error: BrokerError) -> Sequence[OrderUpdate]:
        known = sending.left
        sending.left, sending.again = True, False
        sending.sent_at, sending.looks = self._clock.now(), 0
        sending.sends += 1
        sending.waits = len(self._pauses) if sending.sends <= AWAITED_SENDS else 0
        self._look_up(sending, self._pause(sending))
        return NO_NEWS if known else [self._update(sending, Status.UNKNOWN, str(error))]

    # -- looking up ------------------------------------------------------------------------------------

    def _look_up(self, sending: Sending, pause: float | None = None) -> None:
        sending.asking, sending.was_over = True, self._gate.is_over(sending.order)
        request = Request(
            (LOOK_UP if self._remote else CANCEL, _turn(sending.order)),
            partial(self._broker.order, sending.order.client_order_id),
            partial(self._looked, sending),
            awaited=sending.waits > 0,
        )
        self._dispatcher.put(request, pause)

    def _looked(self, sending: Sending, outcome: Any) -> Sequence[OrderUpdate]:
        if isinstance(outcome, NotSent):
            self._look_up(sending, outcome.wait)
            return NO_NEWS
        sending.asking = False
        sending.looks += 1
        sending.waits -= 1
        if isinstance(outcome, BrokerError):
            self._mind(outcome)
            self._look_up(sending, self._pause(sending))
            return NO_NEWS
        self._access.answered()
        if outcome is not None:
            return [self._found(sending, outcome)]
        if sending.sent_at is None or not self._patient(sending):
            sending.again = True
        else:
            self._look_up(sending, self._pause(sending))
        return NO_NEWS

    def _found(self, sending: Sending, seen: BrokerOrder) -> OrderUpdate:
        order = sending.order
        if not seen.is_for(order):
            raise ConflictError(
                f"payload_mismatch: the broker has {order.client_order_id} as "
                f"{seen.side} {seen.qty} {seen.symbol}; run `smabot reconcile`"
            )
        self._forget(sending)
        return seen.update()

    def _patient(self, sending: Sending) -> bool:
        """Whether that an order is not found says nothing yet."""
        if self._broker.visibility_delay is None:
            return sending.looks < len(self._pauses)
        return not self._proven(sending)

    def _proven(self, sending: Sending) -> bool:
        """Whether that it is not found proves that it did not arrive, or can't fill any more.

        Not before the broker's delay has passed since it was last sent, or since this process began
        where an earlier one may have sent it. Where a miss never is a proof, its day has to have been over
        when the broker was asked: what it says of an earlier time may be outdated.
        """
        delay = self._broker.visibility_delay
        if delay is None:
            return sending.was_over
        return self._clock.now() - (sending.sent_at or self._begun) >= delay

    def _pause(self, sending: Sending) -> float:
        return self._pauses[min(sending.looks, len(self._pauses) - 1)] if self._pauses else 0.0

    # -- cancels ---------------------------------------------------------------------------------------

    def _ask_for_cancels(self) -> None:
        """Ask for each wanted cancel that the broker can know of, again where it is not answered."""
        now, wanted = self._clock.now(), self._book.canceling
        for name in self._canceling.keys() - wanted.keys():
            del self._canceling[name]
        for name, order in wanted.items():
            asked = self._canceling.get(name)
            if order.status in ACKNOWLEDGED and (asked is None or now - asked >= PATIENCE):
                self._canceling[name] = now
                self._dispatcher.put(self._cancel_request(order))

    def _cancel_request(self, order: Order, tries: int = 0) -> Request:
        def ask() -> BrokerOrder | None:
            self._broker.cancel(order)
            return self._broker.order(order.client_order_id)

        def take(outcome: Any) -> Sequence[OrderUpdate]:
            if isinstance(outcome, BrokerError):
                self._mind(outcome)
                if tries < len(self._pauses) and order.client_order_id in self._canceling:
                    wait = outcome.wait if isinstance(outcome, NotSent) else self._pauses[tries]
                    self._dispatcher.put(self._cancel_request(order, tries + 1), wait)
                return NO_NEWS
            self._access.answered()
            return [outcome.update()] if outcome is not None else NO_NEWS

        return Request((CANCEL, _turn(order)), ask, take)

    # -- pieces ----------------------------------------------------------------------------------------

    def _mind(self, error: BrokerError) -> None:
        if isinstance(error, NotAllowed):
            self._access.refused(error)

    def _update(self, sending: Sending, status: Status, reason: str) -> OrderUpdate:
        name = sending.order.client_order_id
        return OrderUpdate(name, status, self._clock.now(), reason=reason)

    def _forget(self, sending: Sending) -> None:
        self._sendings.pop(sending.order.client_order_id, None)


def _turn(order: Order) -> tuple[bool, datetime, str]:
    return (not order.reduces, order.created_at, order.client_order_id)


def _never_arrived(answer: OrderUpdate) -> bool:
    return answer.status in (Status.REJECTED, Status.UNKNOWN)
