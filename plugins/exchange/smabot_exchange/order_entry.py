"""What clients do: orders entered, replaced and canceled, and the account they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from smabot.provider import ZERO, Calendar, Session, Side
from smabot_exchange.faults.fault_plan import FaultPlan
from smabot_exchange.faults.market_faults import MarketFaults
from smabot_exchange.matching import account_checks
from smabot_exchange.matching.account import (
    AccountState,
    AccountTerms,
    ExchangePosition,
    LastDay,
    MarketValues,
    market_values,
)
from smabot_exchange.matching.account_checks import (
    check_funds,
    check_opening,
    check_purpose,
    check_shares,
    hold_price,
)
from smabot_exchange.matching.fill_prices import trailing_stop
from smabot_exchange.matching.legs import make_legs
from smabot_exchange.matching.open_orders import OpenOrders, buying_power_of
from smabot_exchange.matching.order_numbers import OrderNumbers
from smabot_exchange.matching.order_states import OrderStatus, StallReason
from smabot_exchange.matching.order_validation import (
    check_hours,
    check_request,
    check_stop_side,
    unprocessable,
)
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderChange,
    OrderClass,
    OrderEvent,
    OrderRequest,
    OrderType,
    PositionIntent,
    TimeInForce,
    generated_client_id,
    good_till,
    order_id,
)
from smabot_exchange.matching.replacing import (
    changed_request,
    check_replaceable,
    in_new_shares,
    trail,
)
from smabot_exchange.matching.wash_trades import check_wash_trade, orders_against


class OrderEntry:
    """One account, its open orders and positions, and what clients do with them.

    ``price`` gives a symbol's last price, or None for a symbol that is not traded here.
    """

    def __init__(
        self,
        terms: AccountTerms,
        calendar: Calendar,
        price: Callable[[str], Decimal | None],
        cash: Decimal,
        positions: Iterable[ExchangePosition] = (),
        open_orders: Iterable[ExchangeOrder] = (),
        numbers: OrderNumbers | None = None,
        last_execution: int = 0,
        last_day: LastDay | None = None,
        faults: MarketFaults | None = None,
    ) -> None:
        self.terms = terms
        self._faults = faults or MarketFaults(FaultPlan())
        self.calendar = calendar
        self.cash = cash
        self.positions = {position.symbol: position for position in positions}
        self.open_orders = OpenOrders(open_orders)
        self._price = price
        self._numbers = numbers or OrderNumbers()
        self._last_execution = last_execution
        self._changed_positions: set[str] = set()
        self._values: MarketValues | None = None
        self.last_day = last_day or LastDay(cash, ZERO)
        if last_day is None:
            self.end_day()

    def account(self) -> AccountState:
        """Return the account at last prices."""
        return self._account(self.open_orders.held)

    def prices_changed(self) -> None:
        """Value the account again: last prices have changed."""
        self._values = None

    def end_day(self) -> None:
        """Keep the account as it is now as that of the session before."""
        state = self.account()
        self.last_day = LastDay(state.equity, state.maintenance_margin)

    def held(self, symbol: str) -> Decimal:
        """Return the signed shares held."""
        position = self.positions.get(symbol)
        return ZERO if position is None else position.qty

    def available(self, symbol: str) -> Decimal:
        """Return the signed shares held that no open order is about to close."""
        held, closing = self.held(symbol), self.open_orders.closing(symbol)
        return held + closing if held < 0 else held - closing

    def take_changed_positions(self) -> set[str]:
        """Return the symbols whose positions changed since the last call."""
        moved, self._changed_positions = self._changed_positions, set()
        return moved

    # What clients do

    def accept(self, request: OrderRequest, now: datetime) -> OrderEvent:
        """Accept an order, and its legs. Raises RequestRefused. Its id must be known to be new."""
        price = self._tradable_price(request.symbol)
        session = self.calendar.session_at(now)
        check_request(request, price)
        check_stop_side(request.side, request.type, request.stop_price, price)
        check_hours(request.time_in_force, now, session)
        if request.order_class is OrderClass.OCO and request.take_profit:
            request = replace(request, limit_price=request.take_profit.limit_price)
        intent = self._check_account(request, price)
        order = self._faults.on_accept(self._new_order(request, intent, price, now), now)
        self.open_orders.put(order)
        self._numbers.last = order.seq
        if request.legged:
            for leg in make_legs(order, request):
                self.open_orders.put(leg)
                self._numbers.last = leg.seq
        return OrderEvent(order.status.value, order.submitted_at, order)

    def replace(self, order: ExchangeOrder, change: OrderChange, now: datetime) -> list[OrderEvent]:
        """Put a changed order in an order's place, the filled part left to the old one.

        Return the ends of the old and the start of the new order. Raises RequestRefused. The new id must
        be known to be new.
        """
        check_replaceable(order, change)
        price = self._tradable_price(order.symbol)
        request = changed_request(order, change)
        check_request(request, price)
        if order.triggered_at is None:
            check_stop_side(request.side, request.type, request.stop_price, price)
        if order.order_class is OrderClass.SIMPLE:
            self._check_account(request, price, instead=order)
        new = replace(
            self._new_order(request, order.position_intent, price, now),
            status=OrderStatus.HELD if order.status is OrderStatus.HELD else OrderStatus.NEW,
            triggered_at=order.triggered_at,
            order_class=order.order_class,
            parent_id=order.parent_id,
            replaces=order.id,
        )
        if order.hwm is not None:
            new = trail(new, order.hwm)
        self._numbers.last = new.seq
        for leg in self.open_orders.others_of(order):
            if leg.parent_id == order.id:
                self.open_orders.put(replace(leg, parent_id=new.id))
        return self._put_instead(order, new)

    def cancel(self, order: ExchangeOrder, now: datetime) -> list[OrderEvent]:
        """End an open order, keeping what is filled, and after it the rest of its group.

        A fault may freeze it instead. Raises RequestRefused when it has ended already.
        """
        if self.open_orders.get(order.id) is None:
            raise unprocessable(f'order is already in "{order.status}" state')
        frozen = order if order.stall is StallReason.CANCEL else self._faults.on_cancel(order, now)
        if frozen is not None:
            self.open_orders.put(frozen)
            return [OrderEvent(frozen.status.value, frozen.updated_at, frozen)]
        return [self._end(order, OrderStatus.CANCELED, now), *self._end_others(order, now)]

    def adjust(self, symbol: str, qty: Decimal, price: Decimal) -> None:
        """Add signed shares from outside, at a cost. Raises RequestRefused for an unknown symbol."""
        self._tradable_price(symbol)
        side = Side.BUY if qty > 0 else Side.SELL
        self._change_position(symbol, side, abs(qty), price)

    def _put_instead(self, order: ExchangeOrder, new: ExchangeOrder) -> list[OrderEvent]:
        time = new.submitted_at
        old = replace(
            order, status=OrderStatus.REPLACED, updated_at=time, replaced_by=new.id, stall=None,
            stalled_until=None,
        )  # fmt: skip
        self.open_orders.put(old)
        self.open_orders.put(new)
        return [OrderEvent("replaced", time, old), OrderEvent(new.status.value, time, new)]

    # What corporate actions do

    def replace_orders(
        self, symbol: str, new_shares: Decimal, old_shares: Decimal, time: datetime
    ) -> list[OrderEvent]:
        """Put orders for new shares in the place of a symbol's open orders without legs; without a share left
        an order is canceled."""
        events: list[OrderEvent] = []
        for order in self.open_orders:
            if order.symbol != symbol or order.order_class is not OrderClass.SIMPLE:
                continue
            rest = in_new_shares(order, new_shares, old_shares)
            if rest is None:
                events.append(self._end(order, OrderStatus.CANCELED, time))
                continue
            seq = self._numbers.last = self._numbers.last + 1
            submitted, place = self._numbers.submission(seq, time)
            client_id = generated_client_id(seq)
            waits = order.status is OrderStatus.ACCEPTED
            new = replace(
                rest, id=order_id(client_id), seq=seq, client_order_id=client_id, place=place,
                status=OrderStatus.ACCEPTED if waits else OrderStatus.NEW, submitted_at=submitted,
                updated_at=submitted, replaces=order.id,
            )  # fmt: skip
            events += self._put_instead(order, new)
        return events

    def end_orders(
        self,
        symbol: str,
        time: datetime,
        *,
        legged: bool = True,
        simple: bool = True,
        opening: bool = True,
    ) -> list[OrderEvent]:
        """Cancel the open orders of a symbol: those with legs, those without, those that open a position."""
        return [
            self._end(order, OrderStatus.CANCELED, time)
            for order in self.open_orders
            if order.symbol == symbol
            and (simple if order.order_class is OrderClass.SIMPLE else legged)
            and (opening or order.closes)
        ]

    def exchange_shares(self, symbol: str, change: Decimal) -> None:
        """Add signed shares to a position at an unchanged cost."""
        held = self.positions.get(symbol) or ExchangePosition(symbol, ZERO, ZERO)
        left = held.qty + change
        if left * held.qty > 0:
            self._hold(ExchangePosition(symbol, left, held.cost))
        elif change:
            side = Side.BUY if change > 0 else Side.SELL
            self._change_position(symbol, side, abs(change), self._known_price(symbol))

    def rename_position(self, symbol: str, new_symbol: str) -> Decimal:
        """Move a position to another symbol, where that is traded here; return its signed shares."""
        held = self.positions.get(symbol)
        if held is None or self._price(new_symbol) is None:
            return ZERO
        other = self.positions.get(new_symbol) or ExchangePosition(new_symbol, ZERO, ZERO)
        self._hold(ExchangePosition(symbol, ZERO, ZERO))
        self._hold(ExchangePosition(new_symbol, other.qty + held.qty, other.cost + held.cost))
        return held.qty

    def _end(self, order: ExchangeOrder, status: OrderStatus, time: datetime) -> OrderEvent:
        time = order.not_before_submission(time)
        ended = replace(order, status=status, updated_at=time, stall=None, stalled_until=None)
        self.open_orders.put(ended)
        return OrderEvent(status.value, time, ended)

    def _end_others(self, order: ExchangeOrder, time: datetime) -> list[OrderEvent]:
        others = self.open_orders.others_of(order)
        return [self._end(other, OrderStatus.CANCELED, time) for other in others]

    def _change_position(self, symbol: str, side: Side, qty: Decimal, price: Decimal) -> None:
        held = self.positions.get(symbol) or ExchangePosition(symbol, ZERO, ZERO)
        self._hold(held.traded(side, qty, price))

    def _hold(self, position: ExchangePosition) -> None:
        if position.qty:
            self.positions[position.symbol] = position
        else:
            self.positions.pop(position.symbol, None)
        self._values = None
        self._changed_positions.add(position.symbol)

    # Order checks

    def _check_account(
        self, request: OrderRequest, price: Decimal, instead: ExchangeOrder | None = None
    ) -> PositionIntent:
        """Return what an order intends. Raises RequestRefused when the account does not allow it.

        ``instead`` is an open order whose place it takes.
        """
        open_orders = orders_against(
            request,
            self.open_orders.of_symbol(request.symbol),
            self.open_orders.opposite_allowed,
        )
        check_wash_trade(request, open_orders, instead)
        held = self.held(request.symbol)
        account = self._account(self.open_orders.held - buying_power_of(instead))
        intent = account_checks.intent(request, held, account)
        check_purpose(request, intent, held)
        if intent.opens:
            check_opening(request, intent, account, open_orders, instead)
            stop = self._stop(request, price)
            each = hold_price(request, intent, price, stop, self.terms.half_spread)
            cost = request.notional if request.qty is None else request.qty * each
            check_funds(cost or ZERO, account.buying_power)
        else:
            available = abs(self.available(request.symbol))
            if instead is not None and instead.closes:
                available += instead.remaining
            qty = request.qty if request.notional is None else request.notional / price
            check_shares(request.symbol, qty or ZERO, abs(held), available)
        return intent

    def _new_order(
        self, request: OrderRequest, intent: PositionIntent, price: Decimal, now: datetime
    ) -> ExchangeOrder:
        seq = self._numbers.last + 1
        submitted, place = self._numbers.submission(seq, now)
        client_id = request.client_order_id or generated_client_id(seq)
        opens = submitted.replace(second=0, microsecond=0)
        session = self.calendar.session_at(opens) or self.calendar.next_session(opens)
        if session is not None:
            opens = max(opens, session.open)
        works = opens <= now and self.calendar.session_at(now) is not None
        stop = self._stop(request, price)
        return ExchangeOrder(
            id=order_id(client_id),
            seq=seq,
            client_order_id=client_id,
            symbol=request.symbol,
            side=request.side,
            qty=ZERO if request.qty is None else request.qty,
            type=request.type,
            limit_price=request.limit_price,
            time_in_force=request.time_in_force,
            status=OrderStatus.NEW if works else OrderStatus.ACCEPTED,
            submitted_at=submitted,
            updated_at=submitted,
            opens_at=opens,
            expires_at=self._end_of(request.time_in_force, session, submitted),
            hold_price=hold_price(request, intent, price, stop, self.terms.half_spread),
            notional=request.notional,
            stop_price=stop,
            trail_price=request.trail_price,
            trail_percent=request.trail_percent,
            hwm=price if request.type is OrderType.TRAILING_STOP else None,
            extended_hours=request.extended_hours,
            order_class=request.order_class,
            position_intent=intent,
            place=place,
        )

    @staticmethod
    def _end_of(tif: TimeInForce, session: Session | None, submitted: datetime) -> datetime | None:
        """Return when time alone ends an order, where it does."""
        if tif is TimeInForce.GTC:
            return good_till(submitted)
        lasts = tif in (TimeInForce.DAY, TimeInForce.CLS)
        return session.close if lasts and session else None

    @staticmethod
    def _stop(request: OrderRequest, price: Decimal) -> Decimal | None:
        if request.type is not OrderType.TRAILING_STOP:
            return request.stop_price
        return trailing_stop(request.side, price, request.trail_price, request.trail_percent)

    def _account(self, held_for_orders: Decimal) -> AccountState:
        if self._values is None:
            self._values = market_values(
                (position.qty, self._known_price(position.symbol))
                for position in self.positions.values()
            )
        return AccountState(
            self.cash, *self._values, held_for_orders, self.terms.multiplier, self.last_day
        )

    def _tradable_price(self, symbol: str) -> Decimal:
        price = self._price(symbol)
        if price is None:
            raise unprocessable(f'asset "{symbol}" not found')
        return price

    def _known_price(self, symbol: str) -> Decimal:
        price = self._price(symbol)
        return ZERO if price is None else price
