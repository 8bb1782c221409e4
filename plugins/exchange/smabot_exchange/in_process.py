"""`Broker` and `Feed` that call one exchange as functions, in the bot's process."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from smabot.provider import (
    AccountBlocked,
    Bar,
    Batch,
    BrokerAccount,
    BrokerError,
    BrokerExecution,
    BrokerOrder,
    BrokerPosition,
    Calendar,
    CashActivity,
    ConfigError,
    ConflictError,
    CorporateAction,
    Mark,
    Order,
    OrderUpdate,
    Pace,
    Progress,
    RefusalCause,
    Session,
    Side,
    Status,
    UnknownOutcome,
    suggest,
)
from smabot.provider import OrderType as CoreType
from smabot.provider import TimeInForce as CoreTimeInForce
from smabot_exchange.broker_activities import list_cash_activities, list_executions
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.market_hours import sessions
from smabot_exchange.matching.account_checks import INTENT_MISMATCH, TOO_FEW_SHARES
from smabot_exchange.matching.order_states import OrderStatus
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderRequest,
    OrderType,
    PositionIntent,
    RequestRefused,
    TimeInForce,
)
from smabot_exchange.matching.wash_trades import WASH_TRADE

_STATUS = {
    OrderStatus.PENDING_NEW: Status.SUBMITTED,
    OrderStatus.ACCEPTED: Status.ACCEPTED,
    OrderStatus.HELD: Status.ACCEPTED,
    OrderStatus.NEW: Status.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: Status.PARTIALLY_FILLED,
    OrderStatus.PENDING_CANCEL: Status.ACCEPTED,
    OrderStatus.DONE_FOR_DAY: Status.ACCEPTED,
    OrderStatus.CALCULATED: Status.ACCEPTED,
    OrderStatus.STOPPED: Status.ACCEPTED,
    OrderStatus.SUSPENDED: Status.ACCEPTED,
    OrderStatus.FILLED: Status.FILLED,
    OrderStatus.CANCELED: Status.CANCELED,
    OrderStatus.EXPIRED: Status.EXPIRED,
    OrderStatus.REPLACED: Status.CANCELED,
    OrderStatus.REJECTED: Status.REJECTED,
}


class SharedExchange:
    """What broker and feed share on purpose: the exchange, and updates for the feed's next batch.

    The bot's deciding thread uses both; no other does.

    The exchange is closed when both are.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.waiting: deque[OrderUpdate] = deque()
        self.closed = False
        self._users: set[object] = set()

    def add_user(self, user: object) -> None:
        self._users.add(user)

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        """Return the newest close of each symbol, in shares of now; halted ones have had none for a while."""
        exchange = self.exchange
        return [
            Mark(symbol, exchange.last_price(symbol), exchange.now, "trade")
            for symbol in exchange.latest_bars(sorted(symbols))
        ]

    def remove_user(self, user: object) -> None:
        self._users.discard(user)
        if not self._users and not self.closed:
            self.closed = True
            self.exchange.close()


class ExchangeBroker:
    """Orders to the exchange. Its answers are durable before they are given."""

    name = "exchange"
    visibility_delay: timedelta | None = timedelta(0)
    """No time; None once a fault has hidden an order."""

    def __init__(self, shared: SharedExchange) -> None:
        self._shared = shared
        self._exchange = shared.exchange
        if self._exchange.hides_orders:
            self.visibility_delay = None
        shared.add_user(self)

    def account(self) -> BrokerAccount:
        state = self._exchange.account()
        return BrokerAccount(
            self._exchange.account_id, state.cash, state.equity, state.buying_power,
            ", ".join(sorted(self._exchange.flags)),
        )  # fmt: skip

    def calendar(self) -> Calendar:
        """Return the sessions from the year before to the year after, as the API has them."""
        year = self._exchange.now.year
        return Calendar(sessions(self._exchange, date(year - 1, 1, 1), date(year + 1, 12, 31)))

    def submit(self, order: Order) -> OrderUpdate:
        """Send an order once; the same order again gets the first one's present state.

        A refusal is an update with ``Status.REJECTED``. Raises AccountBlocked, ConflictError when the id belongs to
        another order, UnknownOutcome when the exchange failed on the way or a fault lost the answer.
        """
        (answer,) = self.submit_many([order])
        if isinstance(answer, BrokerError):
            raise answer
        return answer

    def submit_many(self, orders: Sequence[Order]) -> list[OrderUpdate | BrokerError]:
        """Send orders one after the other, as `submit` does; their answers are durable together."""
        requests = [
            OrderRequest(
                order.symbol, order.side, order.qty, OrderType(order.type), order.limit_price,
                TimeInForce(order.time_in_force), order.client_order_id,
                position_intent=_intent(order),
            )
            for order in orders
        ]  # fmt: skip
        try:
            answers = self._exchange.submit_many(requests)
        except BrokerError as error:
            raise UnknownOutcome(str(error)) from error
        if any(
            not isinstance(answer, RequestRefused) and answer.order.hidden for answer in answers
        ):
            self.visibility_delay = None
            raise UnknownOutcome("the answer was lost")
        return [
            self._refused(request, answer)
            if isinstance(answer, RequestRefused)
            else to_update(answer.order)
            for request, answer in zip(requests, answers, strict=True)
        ]

    def cancel(self, order: Order) -> None:
        """Cancel an order; one that has ended already is left as it is.

        Raises BrokerError when the exchange does not know it.
        """
        try:
            found = self._exchange.order_by_client_id(order.client_order_id)
            if found.open:
                event = self._exchange.cancel(found.id)
                self._shared.waiting.append(to_update(event.order))
        except RequestRefused as refusal:
            raise BrokerError(f"order {order.client_order_id}: {refusal}") from refusal

    def order(self, client_order_id: str) -> BrokerOrder | None:
        try:
            return to_broker_order(self._exchange.order_by_client_id(client_order_id))
        except RequestRefused:
            return None

    def orders(self, since: datetime | None = None) -> list[BrokerOrder]:
        found = {order.seq: order for order in self._exchange.orders("open")}
        if since is not None:
            found |= {order.seq: order for order in self._exchange.orders("all", since)}
        return [to_broker_order(found[seq]) for seq in sorted(found)]

    def positions(self) -> list[BrokerPosition]:
        exchange = self._exchange
        positions = exchange.positions()
        marks = {
            mark.symbol: mark.price for mark in self._shared.prices([h.symbol for h in positions])
        }
        return [
            BrokerPosition(
                position.symbol, position.qty, position.avg_price, exchange.available(position.symbol),
                marks.get(position.symbol),
            )
            for position in positions
        ]  # fmt: skip

    def cash_activities(self, since: date) -> list[CashActivity]:
        return list_cash_activities(self._exchange, since)

    def executions(self, since: datetime) -> list[BrokerExecution]:
        return list_executions(self._exchange, since)

    def corporate_actions(
        self, symbols: Collection[str], since: date, until: date
    ) -> list[CorporateAction]:
        """Return what the data list of these symbols and is announced by now, by ex-date."""
        found = self._exchange.corporate_actions(frozenset(symbols), since, until)
        return [listed.action for listed in found]

    def close(self) -> None:
        self._shared.remove_user(self)

    def _refused(self, request: OrderRequest, refusal: RequestRefused) -> OrderUpdate | BrokerError:
        client_order_id = str(request.client_order_id)
        if (flags := self._exchange.flags) and not refusal.duplicate:
            return AccountBlocked(f"{refusal} ({', '.join(sorted(flags))})")
        if not refusal.duplicate:
            cause, available = refusal_cause(refusal)
            return OrderUpdate(
                client_order_id, Status.REJECTED, self._exchange.now, reason=str(refusal),
                symbol=request.symbol, cause=cause, available=available,
            )  # fmt: skip
        try:
            found = self._exchange.order_by_client_id(client_order_id)
        except RequestRefused:
            raise UnknownOutcome("it has arrived before, and is not shown yet") from None
        if not found.same_payload(request):
            raise ConflictError(
                f"order {client_order_id}: the exchange has another order under this id: "
                f"{found.side} {found.qty} {found.symbol}, here {request.side} {request.qty} "
                f"{request.symbol}; nothing was sent"
            )
        return to_update(found)


class ExchangeFeed:
    """The historical data, a minute at a time, at a replay speed; its clock is the exchange's."""

    def __init__(self, shared: SharedExchange, speed: Literal["max"] | float = "max") -> None:
        self._shared = shared
        self._exchange = shared.exchange
        self._pace = None if speed == "max" else Pace(speed)
        self._is_told = False
        """Whether the reader tells what to keep; else each minute is kept when it is delivered."""
        self._asks_for_commit = False
        """Whether minutes were delivered that are to be kept before something else happens."""
        self._subscribed: frozenset[str] = frozenset()
        self._takes_all = False
        self.notes: tuple[str, ...] = (*self._exchange.notes, *self._exchange.cost_notes)
        """What an operator should know of the data and of costs, a line each."""
        shared.add_user(self)

    def absent_sessions(self) -> Sequence[Session]:
        return self._exchange.absent_sessions()

    def now(self) -> datetime:
        return self._exchange.now

    def tradable(self, symbols: Sequence[str]) -> tuple[str, ...]:
        known = self._exchange.symbols
        for symbol in symbols:
            if symbol not in known:
                shown = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
                raise ConfigError(
                    f"symbol {symbol!r} is not in the data{suggest(symbol, known)}; it has {shown}"
                )
        return tuple(symbols) or known

    def history(
        self, symbols: Collection[str], since: datetime | None, bars: int
    ) -> Iterator[list[Bar]]:
        newest = bars if since is None else None
        again = self._exchange.wrong_bars.as_stored
        return (again(minute) for minute in self._exchange.history(symbols, since, newest))

    def prices(self, symbols: Collection[str]) -> list[Mark]:
        return self._shared.prices(symbols)

    def subscribe(self, symbols: Collection[str]) -> None:
        self._subscribed = frozenset(symbols)
        self._takes_all = self._subscribed.issuperset(self._exchange.symbols)

    def catch_up(self, time: datetime) -> None:
        """Play the minutes that end by a time without delivering anything.

        After a power cut the ledger may lack the last minutes in which no order changed, though a
        bot's journal has them.
        """
        while (following := self._exchange.next_time()) is not None and following <= time:
            self._exchange.advance()

    def next(self, timeout: float) -> Batch | None:
        """Return the next minute's order updates and bars, sorted by symbol.

        An empty batch when the minute is not due within ``timeout`` seconds, None at the end.
        """
        if self._shared.waiting:
            updates = tuple(self._shared.waiting)
            self._shared.waiting.clear()
            return Batch(self._exchange.now, updates)
        if (
            self._is_told
            and self._pace is None
            and (quiet := self._exchange.advance_quietly()) is not None
        ):
            self._asks_for_commit = True
            time, bars = quiet
            return Batch(time, bars=self._of_subscribed(bars), comes_again=True)
        if self._asks_for_commit:
            self._asks_for_commit = False
            return Batch(self._exchange.now)
        if self._exchange.next_time() is None:
            return None
        if self._pace is not None and not self._pace.wait(timeout):
            return Batch(self._exchange.now)
        minute, as_sent = self._exchange.advance(), self._exchange.wrong_bars.as_sent
        if minute is None:
            return None
        return Batch(
            minute.time,
            tuple(to_update(event.order) for event in minute.events),
            tuple([as_sent(bar) for bar in self._of_subscribed(minute.bars)]),
        )

    def _of_subscribed(self, bars: list[Bar]) -> tuple[Bar, ...]:
        if self._takes_all:
            return tuple(bars)
        return tuple([bar for bar in bars if bar.symbol in self._subscribed])

    def keep(self) -> None:
        self._is_told, self._asks_for_commit = True, False
        self._exchange.keep_clock()

    def progress(self) -> Progress | None:
        return Progress(*self._exchange.minutes)

    def close(self) -> None:
        self._shared.remove_user(self)


def refusal_cause(refusal: RequestRefused) -> tuple[RefusalCause, Decimal | None]:
    """Return why an order was refused, and how many shares are free where that is the reason."""
    if refusal.message.startswith(INTENT_MISMATCH):
        return RefusalCause.POSITION, None
    if refusal.message.startswith(TOO_FEW_SHARES):
        return RefusalCause.AVAILABLE, Decimal(refusal.extra["available"])
    if refusal.message.startswith(WASH_TRADE):
        return RefusalCause.WASH, None
    return RefusalCause.OTHER, None


def _intent(order: Order) -> PositionIntent | None:
    """An order that reduces must never open: the exchange refuses it where it would."""
    if not order.reduces:
        return None
    return PositionIntent.SELL_TO_CLOSE if order.side is Side.SELL else PositionIntent.BUY_TO_CLOSE


def to_update(order: ExchangeOrder) -> OrderUpdate:
    """Return an order of the exchange as an event."""
    return to_broker_order(order).update()


def to_broker_order(order: ExchangeOrder) -> BrokerOrder:
    """Kinds that core doesn't know are other clients': it gets whether they have a limit."""
    limited = order.limit_price is not None
    status = _STATUS[order.status]
    if order.filled_qty and not status.terminal:
        status = Status.PARTIALLY_FILLED
    return BrokerOrder(
        client_order_id=order.client_order_id,
        broker_order_id=str(order.id),
        symbol=order.symbol,
        side=order.side,
        qty=order.qty,
        type=CoreType.LIMIT if limited else CoreType.MARKET,
        limit_price=order.limit_price,
        time_in_force=CoreTimeInForce.GTC
        if order.time_in_force is TimeInForce.GTC
        else CoreTimeInForce.DAY,
        status=status,
        filled_qty=order.filled_qty,
        filled_avg_price=order.filled_avg_price,
        submitted_at=order.submitted_at,
        updated_at=order.updated_at,
        reason="rejected by the broker" if status is Status.REJECTED else "",
        filled_at=order.filled_at,
        fees=order.fees,
        replaces="" if order.replaces is None else str(order.replaces),
    )
