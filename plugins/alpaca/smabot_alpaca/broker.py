"""Alpaca as core's broker: every outcome of an order by its name, and nothing sent twice.

A timeout, a reset, a 5xx or an answer that can't be read says nothing about an order: it is unknown
until it is found by its id. An id is unique at Alpaca for ever, also against filled orders.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from smabot.provider import (
    AccountBlocked,
    BrokerAccount,
    BrokerError,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    Calendar,
    CashActivity,
    ConflictError,
    CorporateAction,
    Order,
    OrderUpdate,
    RefusalCause,
    Status,
    UnknownOutcome,
)
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.order_json import (
    FORBIDDEN,
    UnreadableAnswer,
    broker_order,
    order_body,
    refusal_cause,
)
from smabot_alpaca.rest.account import read_account, read_block_flags, read_positions
from smabot_alpaca.rest.account_activities import read_cash_activities, read_executions
from smabot_alpaca.rest.client import RequestRefused, RequestUnauthorized
from smabot_alpaca.rest.corporate_actions import corporate_actions
from smabot_alpaca.rest.order_queries import OrderQueries
from smabot_alpaca.rest.rate_limit import Urgency

ALPACA_LOOKUPS = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
LOOPBACK_LOOKUPS = (0.02, 0.1, 0.4)
"""At an exchange of smabot, which shows an order as soon as it has it, unless a fault is set."""
DUPLICATE = "client_order_id must be unique"
ACCOUNT_WORDS = ("account", "user request")
"""Words of a refusal that may be about the account as a whole, and not about the order: "account is not
authorized to trade", "new orders are rejected by user request". The account's flags decide."""
REFUSALS_THAT_COUNT = 2
ENDED = 422


class _OrderNotShown(UnknownOutcome):
    """The order may be there, and the broker does not know it when asked."""


class AlpacaBroker:
    """Orders to Alpaca, or to an exchange with an Alpaca-compatible API.

    Safe for several threads. They share ``_unanswered``: a request thread writes and reads the entry
    of the order that it carries, and each order is carried by one thread at a time.
    """

    visibility_delay: timedelta | None = None
    """That an order is not found never proves that it did not arrive."""

    def __init__(self, connection: AlpacaConnection) -> None:
        self._connection = connection
        self._rest = connection.rest
        self._queries = OrderQueries(
            connection.rest, connection.order_answers, by_minutes=connection.by_minutes
        )
        self._unanswered: dict[str, int] = {}
        self.name = connection.name
        self.lookups = connection.settings.lookups or (
            LOOPBACK_LOOKUPS if connection.exchange else ALPACA_LOOKUPS
        )
        connection.add_user(self)

    @property
    def stepped(self) -> bool:
        return self._connection.stepped

    # -- orders ------------------------------------------------------------------------------------

    def submit(self, order: Order) -> OrderUpdate:
        """Send an order once; see `smabot.provider.Broker.submit`.

        A refusal counts at once where nothing was sent under this id before. Else an earlier, unanswered
        request may have arrived, and be the reason for it: then it counts when it comes a second time,
        and core's status queries in between have not found the order. One that is about the account counts at
        once: it says nothing about the order.
        """
        again = order.status is Status.UNKNOWN or order.client_order_id in self._unanswered
        urgency = Urgency.EXIT if order.reduces else Urgency.ENTRY
        try:
            update = self._submit(order, urgency, again)
        except UnknownOutcome:
            self._unanswered.setdefault(order.client_order_id, 0)
            raise
        self._unanswered.pop(order.client_order_id, None)
        return update

    def _submit(self, order: Order, urgency: Urgency, again: bool) -> OrderUpdate:
        try:
            body = order_body(order, intent=self._connection.settings.send_position_intent)
            answer = self._rest.trading("POST", "/v2/orders", json=body, urgency=urgency)
        except RequestUnauthorized:
            raise
        except RequestRefused as refusal:
            if DUPLICATE in refusal.message:
                return self._update_of_earlier(order, "has arrived before")
            cause, available = refusal_cause(refusal.status, refusal.message, refusal.body)
            if cause is RefusalCause.OTHER and (blocked := self._account_block(refusal)):
                raise AccountBlocked(f"{refusal} ({blocked})") from None
            if again:
                try:
                    return self._update_of_earlier(
                        order, f"was refused when it was sent again ({refusal})"
                    )
                except _OrderNotShown:
                    if self._count_refusal(order) < REFUSALS_THAT_COUNT:
                        raise
            now = self._connection.clock.now()
            return OrderUpdate(
                order.client_order_id, Status.REJECTED, now, reason=str(refusal),
                symbol=order.symbol, cause=cause, available=available,
            )  # fmt: skip
        try:
            seen = broker_order(answer, by_minutes=self._connection.by_minutes)
        except UnreadableAnswer as error:
            raise UnknownOutcome(f"POST /v2/orders was accepted, but {error}") from None
        return self._checked_update(order, seen)

    def _account_block(self, refusal: RequestRefused) -> str:
        """Return why the account may not trade, or may not, where that may be what a refusal is about."""
        if refusal.status != FORBIDDEN or not any(w in refusal.message for w in ACCOUNT_WORDS):
            return ""
        try:
            return read_block_flags(self._rest)
        except BrokerError as error:
            return f"its flags can't be read: {error}"

    def _count_refusal(self, order: Order) -> int:
        """Count, and return, the refusals of an order that may have arrived before."""
        name = order.client_order_id
        self._unanswered[name] = self._unanswered.get(name, 0) + 1
        return self._unanswered[name]

    def _update_of_earlier(self, order: Order, what: str) -> OrderUpdate:
        """Return what became of an order that the broker has, or may have, from an earlier request."""
        try:
            seen = self.order(order.client_order_id)
        except BrokerError as error:
            raise UnknownOutcome(f"it {what}, and can't be looked up: {error}") from None
        if seen is None:
            raise _OrderNotShown(f"it {what}, and is not shown yet")
        return self._checked_update(order, seen)

    def _checked_update(self, order: Order, seen: BrokerOrder) -> OrderUpdate:
        if seen.client_order_id != order.client_order_id:
            raise UnknownOutcome(f"the answer is about another order, {seen.client_order_id}")
        if not seen.is_for(order):
            raise ConflictError(
                f"order {order.client_order_id}: the broker has another order under this id: "
                f"{seen.side} {seen.qty:f} {seen.symbol}, here {order.side} {order.qty:f} "
                f"{order.symbol}; run `smabot reconcile`"
            )
        update = seen.update()
        self._connection.order_answers.append(update)
        return update

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; that it has ended already is no error.

        Raises KeyRefused, and BrokerError when the broker does not know the order.
        """
        broker_id = order.broker_order_id
        if broker_id is None:
            seen = self._queries.order(order.client_order_id, Urgency.EXIT)
            if seen is None:
                raise BrokerError(f"order {order.client_order_id}: the broker does not know it")
            broker_id = seen.broker_order_id
        try:
            self._rest.trading("DELETE", f"/v2/orders/{broker_id}", urgency=Urgency.EXIT)
        except RequestUnauthorized:
            raise
        except RequestRefused as refusal:
            if refusal.status != ENDED:
                raise BrokerError(f"order {order.client_order_id}: {refusal}") from None

    def order(self, client_order_id: str) -> BrokerOrder | None:
        return self._queries.order(client_order_id)

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        """Return the open orders and those submitted from ``since`` on, oldest first.

        Raises PartlyUnreadable where some can't be read.
        """
        return self._queries.orders(since)

    # -- the account -------------------------------------------------------------------------------

    def account(self) -> BrokerAccount:
        """Return the account by the number that Alpaca's pages show."""
        return read_account(self._rest, "id" if self._connection.exchange else "account_number")

    def positions(self) -> list[BrokerPosition]:
        """Return what the account holds. Raises PartlyUnreadable where some can't be read."""
        return read_positions(self._rest)

    def cash_activities(self, since: date) -> list[CashActivity]:
        """Return the movements of cash that are booked on a date or later, oldest first."""
        return read_cash_activities(self._rest, since)

    def executions(self, since: datetime) -> list[BrokerExecution]:
        """Return the executions at a time or later, oldest first."""
        return read_executions(self._rest, since)

    def calendar(self) -> Calendar:
        """Return the sessions from last year's first to next year's last, and those read before.

        The feed's calendar is the same one, so that it grows with it.
        """
        return self._connection.refresh_calendar()

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        """Return splits, stock dividends and changes of name, by ex-date; other kinds are logged alone.

        Raises BrokerError.
        """
        return corporate_actions(self._rest.data, symbols, since, until)

    def close(self) -> None:
        self._connection.remove_user(self)
