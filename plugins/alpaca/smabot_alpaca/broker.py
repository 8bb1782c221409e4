"""Alpaca as core's broker: every outcome of an order by its name, and nothing sent twice.

A timeout, a reset, a 5xx or an answer that can't be read says nothing about an order: it is unknown
until it is found by its id. An id is unique at Alpaca for ever, also against filled orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import InvalidOperation
from typing import Any, TypeVar

from smabot.provider import (
    EXCHANGE_ZONE,
    AccountBlocked,
    BrokerAccount,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Calendar,
    ConflictError,
    Order,
    OrderUpdate,
    PartlyUnreadable,
    RefusalCause,
    Session,
    Status,
    UnknownOutcome,
)
from smabot_alpaca.connection import AlpacaConnection
from smabot_alpaca.order_json import (
    FORBIDDEN,
    UnreadableAnswer,
    broker_order,
    broker_position,
    order_body,
    parse_decimal,
    refusal_cause,
    text_field,
)
from smabot_alpaca.rest.client import RequestRefused, RequestUnauthorized
from smabot_alpaca.rest.rate_limit import Urgency

T = TypeVar("T")
ALPACA_LOOKUPS = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
LOOKUPS = (0.02, 0.1, 0.4)
"""At an exchange of smabot, which shows an order as soon as it has it, unless it is told not to."""
PAGE = 500
"""The most orders that ``GET /v2/orders`` gives at once."""
DUPLICATE = "client_order_id must be unique"
BLOCKS = ("account_blocked", "trading_blocked", "trade_suspended_by_user")
OF_THE_ACCOUNT = ("account", "user request")
"""Words of a refusal that may be about the account as a whole, and not about the order: "account is not
authorized to trade", "new orders are rejected by user request". The account's flags decide."""
NOT_FOUND = 404
REFUSALS = 2
ENDED = 422


class _NotShown(UnknownOutcome):
    """The order may be there, and the broker does not know it when asked."""


class AlpacaBroker:
    """Orders to Alpaca, or to an exchange that speaks its language. Safe for several threads."""

    visibility_delay: timedelta | None = None
    """That an order is not found never proves that it did not arrive."""

    def __init__(self, connection: AlpacaConnection) -> None:
        self._connection = connection
        self._rest = connection.rest
        self._unanswered: dict[str, int] = {}
        self.name = connection.name
        self.lookups = connection.settings.lookups or (
            LOOKUPS if connection.exchange else ALPACA_LOOKUPS
        )
        connection.join(self)

    @property
    def stepped(self) -> bool:
        return self._connection.stepped

    # -- orders ------------------------------------------------------------------------------------

    def submit(self, order: Order) -> OrderUpdate:
        """Send an order once; see `smabot.hooks.ports.Broker.submit`.

        A refusal counts at once where nothing was sent under this id before. Else an earlier, unanswered
        request may have arrived, and be the reason for it: then it counts when it comes a second time,
        and core's look-ups in between have not found the order.
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
                return self._landed(order, "has arrived before")
            if again:
                try:
                    return self._landed(order, f"was refused when it was sent again ({refusal})")
                except _NotShown:
                    if self._refusals(order) < REFUSALS:
                        raise
            cause, available = refusal_cause(refusal.status, refusal.message, refusal.body)
            if cause is RefusalCause.OTHER and (blocked := self._blocked(refusal)):
                raise AccountBlocked(f"{refusal} ({blocked})") from None
            now = self._connection.clock.now()
            return OrderUpdate(
                order.client_order_id, Status.REJECTED, now, reason=str(refusal),
                symbol=order.symbol, cause=cause, available=available,
            )  # fmt: skip
        try:
            seen = broker_order(answer)
        except UnreadableAnswer as error:
            raise UnknownOutcome(f"POST /v2/orders was accepted, but {error}") from None
        return self._settled(order, seen)

    def _blocked(self, refusal: RequestRefused) -> str:
        """Return why the account may not trade, where that may be what a refusal is about."""
        if refusal.status != FORBIDDEN or not any(w in refusal.message for w in OF_THE_ACCOUNT):
            return ""
        try:
            return _blocks(self._rest.trading("GET", "/v2/account", urgency=Urgency.ENTRY))
        except BrokerError:
            return ""

    def _refusals(self, order: Order) -> int:
        """Count, and return, the refusals of an order that may have arrived before."""
        name = order.client_order_id
        self._unanswered[name] = self._unanswered.get(name, 0) + 1
        return self._unanswered[name]

    def _landed(self, order: Order, what: str) -> OrderUpdate:
        """Return what became of an order that the broker has, or may have, from an earlier request."""
        try:
            seen = self.order(order.client_order_id)
        except BrokerError as error:
            raise UnknownOutcome(f"it {what}, and can't be looked up: {error}") from None
        if seen is None:
            raise _NotShown(f"it {what}, and is not shown yet")
        return self._settled(order, seen)

    def _settled(self, order: Order, seen: BrokerOrder) -> OrderUpdate:
        if seen.client_order_id != order.client_order_id:
            raise UnknownOutcome(f"the answer is about another order, {seen.client_order_id}")
        if not seen.is_for(order):
            raise ConflictError(
                f"order {order.client_order_id}: the broker has another order under this id: "
                f"{seen.side} {seen.qty:f} {seen.symbol}, here {order.side} {order.qty:f} "
                f"{order.symbol}; run `smabot reconcile`"
            )
        return self._seen(seen.update())

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; that it has ended already is no error.

        Raises KeyRefused, and BrokerError when the broker does not know the order.
        """
        broker_id = order.broker_order_id
        if broker_id is None:
            seen = self.order(order.client_order_id)
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
        try:
            raw = self._rest.trading(
                "GET",
                "/v2/orders:by_client_order_id",
                {"client_order_id": client_order_id},
                urgency=Urgency.ENTRY,
            )
        except RequestRefused as refusal:
            if refusal.status == NOT_FOUND:
                return None
            raise
        seen = broker_order(raw)
        self._seen(seen.update())
        return seen

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        """Return the open orders and those submitted from ``since`` on, oldest first.

        Two lists, so that an order may end between them: the second, newer one counts. The feed is
        told of the open ones: it may not know those that an earlier process sent.
        Raises PartlyUnreadable where some can't be read.
        """
        odd: dict[str, UnreadableAnswer] = {}
        opened = self._list({"status": "open"}, odd)
        for order in opened:
            if not order.status.terminal:
                self._seen(order.update())
        recent: list[BrokerOrder] = []
        if since is not None:
            after = (since.astimezone(UTC) - timedelta(microseconds=1)).isoformat()
            recent = self._list({"status": "all", "after": after}, odd)
        known = {order.broker_order_id for order in recent}
        found = [order for order in opened if order.broker_order_id not in known] + recent
        if odd:
            raise PartlyUnreadable(_told("order", odd), found, list(odd))
        return found

    def _list(self, query: dict[str, Any], odd: dict[str, UnreadableAnswer]) -> list[BrokerOrder]:
        """Page by id: orders of the same instant can't be told apart by time.

        What can't be read is added to ``odd``, by its client order id.
        """
        status = query["status"]
        found: dict[str, BrokerOrder] = {}
        seen: set[str] = set()
        while True:
            params = {**query, "direction": "asc", "limit": PAGE, "nested": "false"}
            page = _listed(self._rest.trading("GET", "/v2/orders", params))
            for raw in page:
                try:
                    order = broker_order(raw)
                    found[order.broker_order_id] = order
                except UnreadableAnswer as error:
                    odd[text_field(raw, "client_order_id")] = error
            if len(page) < PAGE:
                return list(found.values())
            last = text_field(page[-1], "id")
            if not last or last in seen:
                raise BrokerError("GET /v2/orders: the same page comes again and again")
            seen.add(last)
            query = {"status": status, "after_order_id": last}

    # -- the account -------------------------------------------------------------------------------

    def account(self) -> BrokerAccount:
        """Return the account by the number that Alpaca's pages show."""
        raw = self._rest.trading("GET", "/v2/account")
        name = "id" if self._connection.exchange else "account_number"
        return _read("the account", lambda: _account(raw, name))

    def positions(self) -> list[BrokerPosition]:
        """Return what the account holds. Raises PartlyUnreadable where some can't be read."""
        found: list[BrokerPosition] = []
        odd: dict[str, UnreadableAnswer] = {}
        for raw in _listed(self._rest.trading("GET", "/v2/positions")):
            try:
                found.append(broker_position(raw))
            except UnreadableAnswer as error:
                odd[text_field(raw, "symbol")] = error
        if odd:
            raise PartlyUnreadable(_told("position", odd), found, list(odd))
        return found

    def calendar(self) -> Calendar:
        """Return the sessions from last year's first to next year's last, and those read before.

        The feed's calendar is the same one, so that it grows with it.
        """
        year = self._connection.clock.now().year
        params = {"start": f"{year - 1}-01-01", "end": f"{year + 1}-12-31"}
        raws = _listed(self._rest.trading("GET", "/v2/calendar", params))
        sessions = _read("the calendar", lambda: [_session(raw) for raw in raws])
        if not sessions:
            raise BrokerError("GET /v2/calendar: the broker knows no session")
        self._connection.calendar.extend(Calendar(sessions))
        return self._connection.calendar

    def close(self) -> None:
        self._connection.leave(self)

    def _seen(self, update: OrderUpdate) -> OrderUpdate:
        self._connection.answers.append(update)
        return update


def _account(raw: Any, name: str) -> BrokerAccount:
    amounts = [parse_decimal(raw[name]) for name in ("cash", "equity", "buying_power")]
    if None in amounts:
        raise ValueError("an amount is missing")
    cash, equity, buying_power = (amount for amount in amounts if amount is not None)
    return BrokerAccount(str(raw[name]), cash, equity, buying_power, _blocks(raw))


def _blocks(raw: Mapping[str, Any]) -> str:
    """Return the flags of an account that keep it from trading."""
    return ", ".join(name for name in BLOCKS if raw.get(name) is True)


def _told(what: str, odd: Mapping[str, UnreadableAnswer]) -> str:
    name, error = next(iter(odd.items()))
    more = f", and {len(odd) - 1} more" if len(odd) > 1 else ""
    return f"{what} {name or 'without a name'}: {error}{more}"


def _session(raw: Any) -> Session:
    def at(clock: str) -> datetime:
        local = datetime.fromisoformat(f"{raw['date']}T{clock}").replace(tzinfo=EXCHANGE_ZONE)
        return local.astimezone(UTC)

    opens = at(raw["open"])
    return Session(opens.astimezone(EXCHANGE_ZONE).date(), opens, at(raw["close"]))


def _listed(answer: Any) -> Sequence[Any]:
    if not isinstance(answer, list):
        raise UnreadableAnswer("the broker answered without the list that was asked for")
    return answer


def _read(what: str, reading: Callable[[], T]) -> T:
    try:
        return reading()
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise UnreadableAnswer(f"{what} can't be read: {type(error).__name__} {error}") from None
