"""Committed orders to the broker, each exactly once.

An order is sent only after its commit, and each time only with the gate's word. Whether an unanswered
one arrived is found out by its id: the id is deterministic, so sending it again can't make a second
order, and a new id is never made for an order of which nobody knows what became. `smabot.engine.sending_states`
has the states that an order goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from smabot.domain.book import Book
from smabot.domain.bot_records import Event
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Status
from smabot.domain.records import Order, OrderUpdate
from smabot.engine.broker_connection import ENTRY, EXIT, NO_NEWS, PAUSE, BrokerConnection, turn
from smabot.engine.cancels import Cancels
from smabot.engine.dispatcher import Request, Withdrawn
from smabot.engine.gate import Answer, Gate, Verdict
from smabot.engine.sending_states import Sending, State
from smabot.engine.status_queries import StatusQueries
from smabot.errors import BrokerError, NotAllowed, NotSent, counted
from smabot.hooks.optional_ports import BulkBroker

AWAITED_SENDS = 3
"""Of an order that is never answered a step waits for so many sendings, though its time stand still."""
ROUNDS = 3
"""Of grants in one step, where time goes by itself."""
RETRIES = tuple(timedelta(seconds=pause) for pause in (10, 20, 40, 60))
"""How soon an order that was turned away with the key, or the account, is sent again, each time; the last stays."""


class Outbox:
    """Sends orders, finds out what became of unanswered ones, asks for cancels.

    All of its methods are the deciding thread's. What the dispatcher reports is an event of the next
    step; nothing is granted before that step has seen it.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        book: Book,
        gate: Gate,
        check_journal: Callable[[], None] = lambda: None,
    ) -> None:
        """``check_journal``: raises JournalError where what was committed is not kept any more."""
        self._connection = connection
        self._book = book
        self._gate = gate
        self._check_journal = check_journal
        self._status_queries = StatusQueries(connection, gate, self._forget)
        self._cancels = Cancels(connection, book)
        self._sendings: dict[str, Sending] = {}
        self._epoch = 0
        self._never_left = {
            order.client_order_id
            for order in book.open_orders()
            if order.status is Status.PENDING and gate.waits_for_second_bar(order)
        }
        """Orders that an earlier process had committed, and has provably not sent."""

    def add(self, order: Order) -> None:
        """Take a committed order."""
        if order.status is Status.PENDING:
            self._sendings[order.client_order_id] = Sending(order)

    def adopt(self, orders: Iterable[Order]) -> list[Order]:
        """Take an earlier process's orders: the last thing it did may have been to send them.

        Those that this process has made since are known. Returns those whose status is queried.
        """
        waiting = [
            order
            for order in orders
            if order.status in (Status.PENDING, Status.UNKNOWN)
            and order.client_order_id not in self._sendings
        ]
        adopted = []
        for order in waiting:
            if order.client_order_id in self._never_left:
                self._sendings[order.client_order_id] = Sending(order, why=order.reason)
                continue
            adopted.append(order)
            perhaps_sent = replace(order, status=Status.UNKNOWN)
            sending = Sending(perhaps_sent, left=True, waits=len(self._connection.pauses))
            self._sendings[order.client_order_id] = sending
            self._status_queries.begin(sending)
        return adopted

    @property
    def idle(self) -> bool:
        """Whether nothing is sent, asked for or awaited; a remote broker may always have something to tell."""
        book = self._book
        busy = self._connection.remote or self._sendings or book.canceling or book.unconfirmed()
        return not busy

    @property
    def awaits_answers(self) -> bool:
        """Whether a remote broker still has a question to answer about an order."""
        sendings = self._sendings.values()
        return self._connection.remote and any(
            each.state is not State.TO_JUDGE for each in sendings
        )

    def seconds(self) -> float:
        """Return the seconds of the clock by which answers are awaited."""
        return self._connection.seconds()

    def end_grants(self) -> None:
        """End all grants: what has not left by now is judged again."""
        self._epoch += 1
        self._connection.dispatcher.withdraw_before(self._epoch)

    def query_status_now(self) -> None:
        """The broker is there again: look unanswered orders up now, whenever it was their turn."""
        for sending in self._sendings.values():
            sending.waits = len(self._connection.pauses)
        self._cancels.start_over()
        self._connection.dispatcher.make_due()

    def flush(self) -> list[OrderUpdate]:
        """Send what may leave and return the answers that are there: events of the next step.

        Cancels go first, then exits, then entries, then status queries, each in an order that a restart
        would find too. So are the answers: a restart learns first of what arrived.
        """
        if self.idle:
            return []
        dispatcher = self._connection.dispatcher
        dispatcher.next_step()
        self._end_grants_that_do_not_hold()
        self._cancels.request_due()
        answers = self._grant()
        rounds = 0
        while not answers and (self._connection.stepped or rounds < ROUNDS):
            rounds += 1
            outcomes = dispatcher.collect()
            if not outcomes:
                break
            answers += [answer for request, got in outcomes for answer in request.take(got)]
            if not answers:
                answers += self._grant()
        return sorted(answers, key=_never_arrived)

    def stop_sending(self, seconds: float) -> list[OrderUpdate]:
        """Stop sending; return the answers to what is being sent, waiting for them that long."""
        outcomes = self._connection.dispatcher.stop(seconds)
        return [answer for request, outcome in outcomes for answer in request.take(outcome)]

    # -- grants --------------------------------------------------------------------------------------

    def _end_grants_that_do_not_hold(self) -> None:
        """A granted order may wait behind others until it is stale, or its symbol is compared."""
        for sending in self._sendings.values():
            if sending.state is State.GRANTED:
                order = self._book.orders.get(sending.order.client_order_id, sending.order)
                verdict = self._gate.may_leave(order, left=sending.left)
                if verdict.answer is not Answer.GO:
                    self.end_grants()
                    return

    def _grant(self) -> list[OrderUpdate]:
        """Judge all that waits to leave; returns what is dropped, or waits for another reason now."""
        answers: list[OrderUpdate] = []
        ready: list[Sending] = []
        for sending in list(self._sendings.values()):
            if not self._is_to_be_judged(sending):
                continue
            verdict = self._gate.may_leave(sending.order, left=sending.left)
            if verdict.answer is Answer.GO:
                ready.append(sending)
            elif sending.left:
                answers += self._not_sent_again(sending, verdict)
            elif verdict.answer is Answer.WAIT:
                answers += self._waits(sending, verdict.why)
            else:
                answers.append(self._dropped(sending, verdict.why))
        self._send_all(ready)
        return answers

    def _is_to_be_judged(self, sending: Sending) -> bool:
        """Whether an order is to be judged now; one that has arrived, or ended, is forgotten."""
        if sending.state is not State.TO_JUDGE:
            return False
        connection = self._connection
        if (
            connection.access.refusal
            and sending.retry_at
            and connection.clock.now() < sending.retry_at
        ):
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
        return [self._connection.update(sending.order, Status.PENDING, why)]

    def _dropped(self, sending: Sending, why: str) -> OrderUpdate:
        """It provably never left: blocked, with the gate's reason, and why it had to wait so long."""
        if sending.why:
            why = f"{why}; it waited: {sending.why}"
        return self._connection.update(sending.order, Status.BLOCKED, why)

    def _not_sent_again(self, sending: Sending, verdict: Verdict) -> Sequence[OrderUpdate]:
        """It may have left, and is not sent again: abandoned where that is proven, else queried."""
        unprovable = self._connection.broker.visibility_delay is None
        proven = self._status_queries.is_absence_proven(sending)
        if proven and (unprovable or verdict.answer is Answer.DROP):
            self._forget(sending)
            reason = f"never arrived, and not sent again: {verdict.why}"
            return [self._connection.update(sending.order, Status.ABANDONED, reason)]
        self._status_queries.begin_after_pause(sending)
        if not unprovable or sending.frozen:
            return NO_NEWS
        sending.frozen = True
        symbol = sending.order.symbol
        reason = f"{symbol} is frozen: the broker does not show the order but may have it"
        return [self._connection.update(sending.order, Status.UNKNOWN, reason)]

    # -- sending -------------------------------------------------------------------------------------

    def _send_all(self, sendings: list[Sending]) -> None:
        if sendings:
            self._check_journal()
        sendings.sort(key=lambda sending: turn(sending.order))
        for sending in sendings:
            sending.state = State.GRANTED
        if self._connection.bulk is not None and len(sendings) > 1:
            self._connection.put(self._bulk_request(self._connection.bulk, sendings))
            return
        for sending in sendings:
            order = sending.order
            request = Request(
                (EXIT if order.reduces else ENTRY, turn(order)),
                partial(self._connection.broker.submit, order),
                partial(self._sent, sending),
                self._epoch,
            )
            self._connection.put(request)

    def _bulk_request(self, broker: BulkBroker, sendings: list[Sending]) -> Request:
        orders = [sending.order for sending in sendings]

        def take(outcome: Any) -> list[OrderUpdate]:
            each = outcome if isinstance(outcome, list) else [outcome] * len(sendings)
            pairs = zip(sendings, each, strict=True)
            return [answer for sending, one in pairs for answer in self._sent(sending, one)]

        return Request((EXIT,), partial(broker.submit_many, orders), take, self._epoch)

    def _sent(self, sending: Sending, outcome: Any) -> Sequence[OrderUpdate]:
        sending.state = State.TO_JUDGE
        match outcome:
            case Withdrawn():
                return NO_NEWS
            case NotSent():
                return self._paused(sending, outcome)
        self._note_resend(sending)
        match outcome:
            case NotAllowed():
                return self._turned_away(sending, outcome)
            case BrokerError():
                return self._unanswered(sending, outcome)
        self._connection.access.request_accepted()
        self._forget(sending)
        return [outcome]

    def _note_resend(self, sending: Sending) -> None:
        """Keep among the events that an order was sent again; of many times the 1st, 2nd, 4th, 8th …"""
        again = sending.sends
        if again and not again & (again - 1):
            text = f"sent again under its id, {counted(again + 1, 'time')} in all"
            now = self._connection.clock.now()
            self._book.apply(Event(now, "order_resent", sending.order.client_order_id, text))

    def _paused(self, sending: Sending, error: NotSent) -> Sequence[OrderUpdate]:
        """The rate limit kept it here: it is judged again after a pause."""

        def over(outcome: Any) -> Sequence[OrderUpdate]:
            sending.state = State.TO_JUDGE
            return NO_NEWS

        sending.state, sending.why = State.PAUSED, str(error)
        self._connection.put(Request((PAUSE, turn(sending.order)), lambda: None, over), error.wait)
        return NO_NEWS

    def _turned_away(self, sending: Sending, error: NotAllowed) -> Sequence[OrderUpdate]:
        """It was not taken, and is kept for when the broker takes something again."""
        self._connection.note_failure(error)
        pause = RETRIES[min(sending.turned_away, len(RETRIES) - 1)]
        sending.turned_away += 1
        sending.retry_at = self._connection.clock.now() + pause
        return NO_NEWS if sending.left else self._waits(sending, str(error))

    def _unanswered(self, sending: Sending, error: BrokerError) -> Sequence[OrderUpdate]:
        known = sending.left
        sending.left = True
        sending.sent_at, sending.queries = self._connection.clock.now(), 0
        sending.sends += 1
        sending.waits = len(self._connection.pauses) if sending.sends <= AWAITED_SENDS else 0
        self._status_queries.begin_after_pause(sending)
        return (
            NO_NEWS
            if known
            else [self._connection.update(sending.order, Status.UNKNOWN, str(error))]
        )

    def _forget(self, sending: Sending) -> None:
        self._sendings.pop(sending.order.client_order_id, None)


def _never_arrived(answer: OrderUpdate) -> bool:
    return answer.status in (Status.REJECTED, Status.UNKNOWN)
