"""The matching rules: deterministic, on a virtual clock, without input or output.

Orders fill at the prices of `fill_prices`; an order gets at most the maximum share of a bar's volume, and what
remains goes on. The states of an order are in `order_states`. A minute has these steps, in this order:

1. DAY END: with the first minute of a session the account is kept as that of the session before.
2. TIME BEFORE: what is due by the minute's start happens: orders expire, open, or come out of a fault's hold.
3. MATCH: orders meet their symbols' bars in the order in which they came in; IOC, FOK and OPG then end.
4. TIME AFTER: what is due by the minute's end.
5. PRICES: the account is valued at the bars' closes.

Between minutes the engine rests, and clients' requests (`order_entry`) are carried out one by one.

Invariants:

1. The same orders at the same times and the same bars give the same events, ids and prices.
2. An order fills at most once a bar, in whole shares up to the maximum share of its volume, but one share at
   least (by amount: to nine decimals).
3. No order meets a bar that starts before the minute of its submission, or before it opens; nothing happens to
   an order before its submission.
4. Cash moves by fills, with their fees, and transfers alone, positions by fills, adjustments and corporate
   actions alone.
5. `open_orders` holds open orders alone; what they hold of the buying power is the sum over them.
6. Executions are numbered in the order in which they happen, without gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from smabot.provider import ZERO, Bar, Side
from smabot_exchange.matching.account import ONE
from smabot_exchange.matching.fill_prices import STOPS, apply_bar_to_stop, fill_price, slipped
from smabot_exchange.matching.legs import activate_exits, shrink_others, yields_to_stop
from smabot_exchange.matching.order_states import OrderStatus, StallReason
from smabot_exchange.matching.orders import (
    SMALLEST_FRACTION,
    ExchangeOrder,
    Execution,
    OrderClass,
    OrderEvent,
    TimeInForce,
    execution_id,
)
from smabot_exchange.order_entry import OrderEntry

_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG)


class MatchingEngine(OrderEntry):
    """What time and bars do to the account's open orders."""

    def pass_time(self, time: datetime) -> list[OrderEvent]:
        """Let time pass without trades: DAY orders end at their close, accepted ones become new."""
        events = []
        for order in self.open_orders:
            if order.stall is not None:
                events += self._pass_time_stalled(order, order.stall, time)
            elif order.expires_at is not None and order.expires_at <= time:
                if (left := self._faults.on_close(order)) is not None:
                    self.open_orders.put(left)
                    events.append(OrderEvent(left.status.value, left.updated_at, left))
                    continue
                events.append(self._end(order, _end_by_time(order), order.expires_at))
            elif order.status is OrderStatus.ACCEPTED and order.opens_at <= time:
                opened = order.not_before_submission(order.opens_at)
                started = replace(order, status=OrderStatus.NEW, updated_at=opened)
                self.open_orders.put(started)
                events.append(OrderEvent("new", opened, started))
        return sorted(events, key=lambda event: (event.time, event.order.seq))

    def match(self, start: datetime, bars: Sequence[Bar]) -> list[OrderEvent]:
        """Fill what the bars of a minute allow, in the order in which the orders came in."""
        traded = self.open_orders.bars_wanted(bars)
        events: list[OrderEvent] = []
        for order in self.open_orders:
            if order.stall is not None:
                continue
            bar = traded.get(order.symbol)
            if bar is not None and bar.volume > 0:
                events += self._match_order(order, bar)
            if order.time_in_force in _AT_ONCE and order.opens_at <= start:
                rest = self.open_orders.get(order.id)
                if rest is not None:
                    events.append(self._end(rest, OrderStatus.CANCELED, start))
        return events

    def _pass_time_stalled(
        self, order: ExchangeOrder, stall: StallReason, time: datetime
    ) -> list[OrderEvent]:
        """Let time pass for an order that a fault keeps from filling."""
        due, ends = order.stalled_until, order.expires_at
        works = stall in (StallReason.PENDING, StallReason.LOST)
        if works and ends is not None and ends <= time and (due is None or ends <= due):
            return [self._end(order, _end_by_time(order), ends)]
        if due is None or due > time:
            return []
        if not works:
            rejected = stall is StallReason.REJECT
            status = OrderStatus.REJECTED if rejected else OrderStatus.CANCELED
            return [self._end(order, status, due)]
        opened = order.opens_at <= due
        status = OrderStatus.NEW if opened else OrderStatus.ACCEPTED
        released = order.not_before_submission(due)
        order = replace(order, status=status, updated_at=released, stall=None, stalled_until=None)
        self.open_orders.put(order)
        return [OrderEvent(status.value, released, order)]

    def _match_order(self, order: ExchangeOrder, bar: Bar) -> list[OrderEvent]:
        """Match an order with its symbol's bar."""
        half_spread = self.terms.half_spread
        if order.order_class is not OrderClass.SIMPLE:
            now = self.open_orders.get(order.id)
            if (
                now is None
                or self.open_orders.awaits_entry(now)
                or yields_to_stop(self.open_orders, now, bar, half_spread)
            ):
                return []
            order = now
        if order.opens_at > bar.time:
            return []
        if order.type not in STOPS or order.triggered_at is not None:
            price = fill_price(order, bar, half_spread)
            return [] if price is None else self._fill(order, price, bar)
        watched, price = apply_bar_to_stop(order, bar, half_spread)
        if watched is not order:
            self.open_orders.put(watched)
        if watched.triggered_at is None:
            return []
        return self._triggered(watched, price, bar)

    def _triggered(self, order: ExchangeOrder, price: Decimal | None, bar: Bar) -> list[OrderEvent]:
        """Go on with a stop order that has become a market or limit order."""
        events = []
        if order.order_class is not OrderClass.SIMPLE:
            events += self._end_others(order, bar.time)
        if order.status is OrderStatus.HELD:
            time = order.not_before_submission(bar.time)
            order = replace(order, status=OrderStatus.NEW, updated_at=time)
            self.open_orders.put(order)
            events.append(OrderEvent("new", time, order))
        return events if price is None else events + self._fill(order, price, bar)

    def _fill(self, order: ExchangeOrder, price: Decimal, bar: Bar) -> list[OrderEvent]:
        costs, side = self.terms.costs, order.side
        if costs.slips:
            slippage = costs.slippage_in(bar)
            price = slipped(price, order, bar, self.terms.half_spread, slippage)
        wanted = self._wanted(order, price)
        share = Decimal(repr(bar.volume)) * self.terms.max_volume_share
        qty = min(wanted, max(share.to_integral_value(ROUND_FLOOR), ONE))
        if qty <= 0 or (order.time_in_force is TimeInForce.FOK and qty < wanted):
            return []
        filled, whole = order.filled_qty + qty, qty == wanted
        value = order.filled_value + qty * price
        fees = costs.fees(side, filled, value) - order.fees if costs.charged else ZERO
        time = order.not_before_submission(bar.time)
        order = replace(
            order,
            status=OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED,
            qty=order.qty if order.notional is None else filled,
            updated_at=time,
            filled_qty=filled,
            filled_value=value,
            filled_at=time,
            fees=order.fees + fees,
        )
        self._last_execution += 1
        execution = Execution(
            execution_id(order.id, filled), order.id, order.symbol, side, qty, price,
            filled, time, self._last_execution, fees,
        )  # fmt: skip
        self.open_orders.put(order)
        self._trade(order.symbol, side, qty, price, fees)
        event = OrderEvent(
            "fill" if whole else "partial_fill", time, order, execution, self.held(order.symbol)
        )
        if order.order_class is OrderClass.SIMPLE:
            return [event]
        return [event, *self._filled_in_group(order, bar)]

    def _wanted(self, order: ExchangeOrder, price: Decimal) -> Decimal:
        """Return the shares that an order still takes at a price."""
        if order.notional is None:
            return order.qty - order.filled_qty
        left = (order.notional - order.filled_value) / price
        shares = left.quantize(SMALLEST_FRACTION, ROUND_FLOOR)
        if not order.closes:
            return shares
        free = abs(self.available(order.symbol)) + order.remaining
        return min(shares, free)

    def _filled_in_group(self, order: ExchangeOrder, bar: Bar) -> list[OrderEvent]:
        """Do what a fill does to the other orders of its group."""
        whole = order.status is OrderStatus.FILLED
        if not order.closes:
            return self._activate_exits(order, bar) if whole else []
        if whole:
            return self._end_others(order, bar.time)
        shrink_others(self.open_orders, order)
        return []

    def _activate_exits(self, entry: ExchangeOrder, bar: Bar) -> list[OrderEvent]:
        """Activate an entry's exits, for as much of it as other orders have not closed already."""
        leg = self.open_orders.others_of(entry)[0]
        others = self.open_orders.closing(entry.symbol) - leg.remaining
        free = min(entry.filled_qty, abs(self.held(entry.symbol)) - others)
        if free <= 0:
            return self._end_others(entry, bar.time)
        return activate_exits(self.open_orders, entry, free, bar.end)

    def _trade(self, symbol: str, side: Side, qty: Decimal, price: Decimal, fees: Decimal) -> None:
        self.cash -= qty * price * side.sign + fees
        self._change_position(symbol, side, qty, price)


def _end_by_time(order: ExchangeOrder) -> OrderStatus:
    """Return how an order ends that time ends: a DAY order expires, others are canceled."""
    canceled = order.time_in_force in (TimeInForce.CLS, TimeInForce.GTC)
    return OrderStatus.CANCELED if canceled else OrderStatus.EXPIRED
