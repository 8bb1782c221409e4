"""The matching rules: pure and deterministic, on a virtual clock, without input or output.

A market order fills at the open of its symbol's next bar, a limit order where a bar trades through
its price; an order gets at most its share of a bar's volume and what remains goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from uuid import UUID

from smabot.calendar import Calendar
from smabot.records import ZERO, Bar, Side
from smabot_exchange.account import ONE, AccountState, Holding, Terms
from smabot_exchange.admission import check_funds, check_request, check_shares, check_wash_trade
from smabot_exchange.orders import (
    ExchangeOrder,
    Execution,
    OrderEvent,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    TimeInForce,
    execution_id,
    made_client_id,
    order_id,
)


class Market:
    """One account, its open orders and holdings. ``price`` gives a symbol's last price, or None
    for a symbol that is not traded here."""

    def __init__(
        self,
        terms: Terms,
        calendar: Calendar,
        price: Callable[[str], Decimal | None],
        cash: Decimal,
        holdings: Iterable[Holding] = (),
        open_orders: Iterable[ExchangeOrder] = (),
        last_seq: int = 0,
    ) -> None:
        self.terms = terms
        self.calendar = calendar
        self.cash = cash
        self.holdings = {holding.symbol: holding for holding in holdings}
        self.open_orders: dict[UUID, ExchangeOrder] = {}
        self._of_symbol: dict[str, dict[UUID, ExchangeOrder]] = {}
        self._held = ZERO
        self._value: Decimal | None = None
        self._price = price
        self._last_seq = last_seq
        for order in sorted(open_orders, key=lambda order: order.seq):
            self._keep(order)

    def account(self) -> AccountState:
        """Return the account at last prices."""
        if self._value is None:
            worth = (h.qty * self._known_price(h.symbol) for h in self.holdings.values())
            self._value = sum(worth, ZERO)
        value = self._value
        power = self.terms.multiplier * (self.cash + value) - value - self._held
        return AccountState(self.cash, value, self._held, max(power, ZERO))

    def reprice(self) -> None:
        """Take note that last prices have changed."""
        self._value = None

    def available(self, symbol: str) -> Decimal:
        """Return the shares that are held and that no open sell order is about to sell."""
        held = self.holdings[symbol].qty if symbol in self.holdings else ZERO
        selling = (o.remaining for o in self._open_of(symbol) if o.side is Side.SELL)
        return held - sum(selling, ZERO)

    def accept(self, request: OrderRequest, now: datetime) -> OrderEvent:
        """Take an order in at an instant. Raises Refusal. Its id must be known to be new."""
        price = self._price(request.symbol)
        if price is None:
            raise Refusal(404, 40410000, f"asset not found for {request.symbol}")
        check_request(request, price)
        check_wash_trade(request, self._open_of(request.symbol))
        hold_price = request.limit_price if request.limit_price is not None else price
        if request.side is Side.BUY:
            check_funds(request.qty * hold_price, self.account().buying_power)
        else:
            holding = self.holdings.get(request.symbol)
            check_shares(request, holding.qty if holding else ZERO, self.available(request.symbol))
        order = self._booked(request, hold_price, now)
        self._last_seq = order.seq
        self._keep(order)
        return OrderEvent(order.status.value, now, order)

    def cancel(self, order: ExchangeOrder, now: datetime) -> OrderEvent:
        """End an open order, keeping what is filled. Raises Refusal when it has ended already."""
        if order.id not in self.open_orders:
            raise Refusal(422, 42210000, f'order is already in "{order.status}" state')
        return self._end(self.open_orders[order.id], OrderStatus.CANCELED, now)

    def elapse(self, time: datetime) -> list[OrderEvent]:
        """Let time pass without trades: DAY orders end at their close, waiting ones start to work."""
        events = []
        for order in list(self.open_orders.values()):
            if order.expires_at is not None and order.expires_at <= time:
                events.append(self._end(order, OrderStatus.EXPIRED, order.expires_at))
            elif order.status is OrderStatus.ACCEPTED and order.opens_at <= time:
                started = replace(order, status=OrderStatus.NEW, updated_at=order.opens_at)
                self._keep(started)
                events.append(OrderEvent("new", order.opens_at, started))
        return sorted(events, key=lambda event: (event.time, event.order.seq))

    def match(self, bars: Sequence[Bar]) -> list[OrderEvent]:
        """Fill what a minute's bars allow, in the order in which the orders came in."""
        wanted = {order.symbol for order in self.open_orders.values()}
        traded = {bar.symbol: bar for bar in bars if bar.symbol in wanted}
        events = []
        for order in list(self.open_orders.values()):
            bar = traded.get(order.symbol)
            price = _fill_price(order, bar) if bar else None
            if bar is None or price is None or bar.volume <= 0:
                continue
            share = Decimal(repr(bar.volume)) * self.terms.participation
            most = max(share.to_integral_value(ROUND_FLOOR), ONE)
            events.append(self._fill(order, min(order.remaining, most), price, bar.time))
        return events

    def _booked(self, request: OrderRequest, hold_price: Decimal, now: datetime) -> ExchangeOrder:
        seq = self._last_seq + 1
        client_id = request.client_order_id or made_client_id(seq)
        open_session = self.calendar.session_at(now)
        session = open_session or self.calendar.next_session(now)
        day = request.time_in_force is TimeInForce.DAY
        return ExchangeOrder(
            id=order_id(client_id),
            seq=seq,
            client_order_id=client_id,
            symbol=request.symbol,
            side=request.side,
            qty=request.qty,
            type=request.type,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            status=OrderStatus.NEW if open_session else OrderStatus.ACCEPTED,
            submitted_at=now,
            updated_at=now,
            opens_at=now if open_session or session is None else session.open,
            expires_at=session.close if day and session else None,
            hold_price=hold_price,
        )

    def _fill(
        self, order: ExchangeOrder, qty: Decimal, price: Decimal, time: datetime
    ) -> OrderEvent:
        filled = order.filled_qty + qty
        whole = filled == order.qty
        order = replace(
            order,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
            updated_at=time,
            filled_qty=filled,
            filled_value=order.filled_value + qty * price,
            filled_at=time,
        )
        execution = Execution(
            execution_id(order.id, filled), order.id, order.symbol, order.side, qty, price,
            filled, time, 0,
        )  # fmt: skip
        if whole:
            self._drop(order)
        else:
            self._keep(order)
        held = self._settle(execution)
        return OrderEvent("fill" if whole else "partial_fill", time, order, execution, held)

    def _settle(self, execution: Execution) -> Decimal:
        """Move cash and shares; return the shares held then."""
        self._value = None
        symbol, qty = execution.symbol, execution.qty
        value = qty * execution.price
        held = self.holdings.get(symbol, Holding(symbol, ZERO, ZERO))
        if execution.side is Side.BUY:
            self.cash -= value
            held = Holding(symbol, held.qty + qty, held.cost + value)
        else:
            self.cash += value
            left = held.qty - qty
            held = Holding(symbol, left, held.cost * left / held.qty)
        if held.qty:
            self.holdings[symbol] = held
        else:
            del self.holdings[symbol]
        return held.qty

    def _end(self, order: ExchangeOrder, status: OrderStatus, time: datetime) -> OrderEvent:
        self._drop(order)
        return OrderEvent(status.value, time, replace(order, status=status, updated_at=time))

    def _keep(self, order: ExchangeOrder) -> None:
        """Have an open order as it is now, and what it holds of the buying power."""
        self._held += _hold(order) - _hold(self.open_orders.get(order.id))
        self.open_orders[order.id] = order
        self._of_symbol.setdefault(order.symbol, {})[order.id] = order

    def _drop(self, order: ExchangeOrder) -> None:
        self._held -= _hold(self.open_orders.pop(order.id))
        del self._of_symbol[order.symbol][order.id]

    def _open_of(self, symbol: str) -> Iterable[ExchangeOrder]:
        return self._of_symbol.get(symbol, {}).values()

    def _known_price(self, symbol: str) -> Decimal:
        price = self._price(symbol)
        return ZERO if price is None else price


def _hold(order: ExchangeOrder | None) -> Decimal:
    """Return the dollars of buying power that an open order takes."""
    return order.remaining * order.hold_price if order and order.side is Side.BUY else ZERO


def _fill_price(order: ExchangeOrder, bar: Bar) -> Decimal | None:
    """Return the price at which a bar fills an order, or None when it does not."""
    opening = Decimal(repr(bar.open))
    limit = order.limit_price
    if order.type is OrderType.MARKET or limit is None:
        return opening
    if order.side is Side.BUY:
        return min(opening, limit) if opening <= limit or Decimal(repr(bar.low)) < limit else None
    return max(opening, limit) if opening >= limit or Decimal(repr(bar.high)) > limit else None
