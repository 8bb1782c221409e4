"""What clients of the paper exchange do with orders, and how every change is kept and told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from smabot.provider import ActionKind, Bar
from smabot_exchange.data.corporate_actions import KEEP, REPLACE, ListedAction
from smabot_exchange.exchange_queries import ExchangeQueries
from smabot_exchange.faults.account_flags import AccountFlags
from smabot_exchange.faults.fault_plan import FaultPlan
from smabot_exchange.faults.market_faults import MarketFaults
from smabot_exchange.ledger.changes import LedgerChange, OutsideChange
from smabot_exchange.ledger.ledger_port import LedgerPort
from smabot_exchange.matching.order_numbers import OrderNumbers
from smabot_exchange.matching.order_validation import check_client_id
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderChange,
    OrderEvent,
    OrderRequest,
    RequestRefused,
)
from smabot_exchange.matching_engine import MatchingEngine
from smabot_exchange.replay import Replay
from smabot_exchange.serialisation import one_at_a_time


class ExchangeOrders(ExchangeQueries):
    """The half of an `Exchange` that takes orders."""

    def __init__(self, ledger: LedgerPort, faults: FaultPlan) -> None:
        super().__init__(ledger)
        self._flags = AccountFlags(faults, ledger.flags(), ledger.save_flags)
        self._replay = Replay(ledger)
        self._numbers = OrderNumbers.after(ledger.newest_order())
        self._engine = MatchingEngine(
            ledger.terms, self.calendar, self._price, ledger.cash(), ledger.positions(),
            ledger.open_orders(), self._numbers, ledger.last_execution(), ledger.last_day(),
            MarketFaults(faults),
        )  # fmt: skip
        self._listeners: list[Callable[[Sequence[OrderEvent]], None]] = []
        self._kept_at = self._now
        """What the clock in the ledger shows."""

    def submit(self, request: OrderRequest) -> OrderEvent:
        """Accept an order. Raises RequestRefused, which leaves nothing behind."""
        (answer,) = self.submit_many([request])
        if isinstance(answer, RequestRefused):
            raise answer
        return answer

    @one_at_a_time
    def submit_many(self, requests: Sequence[OrderRequest]) -> list[OrderEvent | RequestRefused]:
        """Accept or refuse orders one after the other, as `submit` does; durable all at once."""
        ids = [each.client_order_id for each in requests if each.client_order_id is not None]
        taken = self._ledger.taken_ids(ids)
        answers: list[OrderEvent | RequestRefused] = []
        accepted: list[OrderEvent] = []
        for request in requests:
            try:
                check_client_id(request.client_order_id, taken)
                self._flags.check()
                event = self._engine.accept(request, self._now)
            except RequestRefused as refusal:
                answers.append(refusal)
            else:
                answers.append(event)
                accepted.append(event)
                taken.add(event.order.client_order_id)
        if accepted:
            self._record(accepted)
        return answers

    @one_at_a_time
    def replace(self, order_id: UUID, change: OrderChange) -> ExchangeOrder:
        """Put a changed order in an open one's place; return the new one. Raises RequestRefused."""
        self._flags.check()
        new_id = change.client_order_id
        check_client_id(new_id, self._ledger.taken_ids([new_id] if new_id else []))
        events = self._engine.replace(self.order(order_id), change, self._now)
        self._record(events)
        return events[-1].order

    @one_at_a_time
    def cancel(self, order_id: UUID) -> OrderEvent:
        """Cancel an open order, and with it the rest of its group.

        Raises RequestRefused when it is unknown or has ended.
        """
        events = self._engine.cancel(self.order(order_id), self._now)
        self._record(events)
        return events[0]

    @one_at_a_time
    def cancel_all(self) -> list[tuple[UUID, int]]:
        """Cancel every open order; return each one's id and HTTP status."""
        events: list[OrderEvent] = []
        for order in self._engine.open_orders:
            if self._engine.open_orders.get(order.id) is not None:
                events += self._engine.cancel(order, self._now)
        self._record(events)
        return [(event.order.id, 200) for event in events]

    @one_at_a_time
    def order(self, order_id: UUID) -> ExchangeOrder:
        """Return an order in any state. Raises RequestRefused when it is unknown, or hidden by a fault."""
        order = self._engine.open_orders.get(order_id)
        return super().order(order_id) if order is None or order.hidden else order

    @one_at_a_time
    def orders(
        self, status: Literal["open", "closed", "all"] = "open", since: datetime | None = None
    ) -> list[ExchangeOrder]:
        """Return orders in the order they came in; with ``since`` those submitted from then on."""
        if status == "open":
            found = [order for order in self._engine.open_orders if not order.hidden]
            return [order for order in found if since is None or order.submitted_at >= since]
        found = [order for order in self._ledger.orders_since(since) if not order.hidden]
        return found if status == "all" else [order for order in found if not order.open]

    @one_at_a_time
    def every_order(self) -> list[ExchangeOrder]:
        """Return all orders in the order they came in, also those that a fault hides."""
        return self._ledger.orders_since(None)

    @property
    @one_at_a_time
    def hides_orders(self) -> bool:
        """Whether it has orders that status queries don't show."""
        return any(order.hidden for order in self._engine.open_orders)

    @one_at_a_time
    def allow_opposite(self, pairs: Iterable[str]) -> None:
        """Accept new orders beside ones of the other side where the rule refuses them: pairs like
        ``stop_sell_against_limit_buy``."""
        self._engine.open_orders.opposite_allowed = frozenset(pairs)

    def listen(self, callback: Callable[[Sequence[OrderEvent]], None]) -> None:
        """Call back with every change of orders after it is durable, in order.

        The callback runs in the thread that caused the change, while the others wait: it must
        return at once, must not raise, and may read this exchange.
        """
        with self._lock:
            self._listeners.append(callback)

    def _record(
        self,
        events: Sequence[OrderEvent],
        adjustment: OutsideChange | None = None,
        *,
        new_day: bool = False,
        withheld: Sequence[Bar] = (),
    ) -> None:
        """Commit what happened, then pass it to the listeners, without what is hidden."""
        engine = self._engine
        orders, moved = engine.open_orders.take_changes(), engine.take_changed_positions()
        actions = self._actions.take_changes()
        if not (any(orders) or adjustment or new_day or withheld or actions):
            self._keep_clock()
            return
        change = LedgerChange(
            self._now, self._replay.done, engine.cash, engine.last_day, orders,
            [event.execution for event in events if event.execution is not None],
            {symbol: engine.positions.get(symbol) for symbol in sorted(moved)},
            adjustment, withheld, actions,
        )  # fmt: skip
        self._ledger.record(change, durable=bool(events or adjustment or actions))
        self._kept_at = self._now
        shown = [event for event in events if not event.order.hidden]
        if shown:
            for listener in self._listeners:
                listener(shown)

    def _pass_time(self, time: datetime) -> list[OrderEvent]:
        """Let time pass without trades, and carry out the corporate actions that are due meanwhile."""
        engine, events = self._engine, list[OrderEvent]()
        for due, listed in self._actions.due(time):
            events += engine.pass_time(due)
            turns = listed.turned_at is None
            events += self._turn(listed, due) if turns else self._follow(listed, due)
        if engine.open_orders:
            events += engine.pass_time(time)
        return events

    def _turn(self, listed: ListedAction, time: datetime) -> list[OrderEvent]:
        """From now on prices are those of new shares: end orders for old ones, and keep who held how many."""
        action, engine = listed.action, self._engine
        held = engine.held(action.symbol)
        self._actions.put(replace(listed, turned_at=time, qty_before=held))
        engine.prices_changed()
        symbol, events = action.symbol, list[OrderEvent]()
        if listed.orders == REPLACE:
            events += engine.replace_orders(symbol, action.new_shares, action.old_shares, time)
        elif listed.orders != KEEP:
            events += engine.end_orders(symbol, time, legged=False)
        if action.kind is ActionKind.RENAME or action.ratio < 1:
            events += engine.end_orders(symbol, time, simple=False)
        return events

    def _follow(self, listed: ListedAction, time: datetime) -> list[OrderEvent]:
        """Give the account what it gets for the shares that it held."""
        action, engine, before = listed.action, self._engine, listed.qty_before
        if action.kind is ActionKind.RENAME:
            before = after = engine.rename_position(action.symbol, action.new_symbol)
        else:
            after = action.new_qty(before)
            engine.exchange_shares(action.symbol, after - before)
        done = replace(listed, followed_at=time, qty_before=before, qty_after=after)
        self._actions.put(done)
        engine.prices_changed()
        if engine.open_orders.closing(action.symbol) > abs(engine.held(action.symbol)):
            return engine.end_orders(action.symbol, time, opening=False)
        return []

    def _keep_clock(self) -> None:
        self._ledger.move_clock(self._now, self._replay.done)
        self._kept_at = self._now
