"""The paper exchange, as server and bot call it. One account on a virtual clock, all of it durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal
from uuid import UUID

from smabot.provider import MINUTE, ZERO, Bar, BrokerError, ConfigError, Side
from smabot_exchange.data.data_source import DEFAULT_DATA, open_data
from smabot_exchange.exchange_queries import ExchangeQueries
from smabot_exchange.faults.account_flags import AccountFlags
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.faults.market_faults import MarketFaults
from smabot_exchange.faults.trading_halts import Halts
from smabot_exchange.faults.wrong_bars import WrongBars
from smabot_exchange.ledger.changes import LedgerChange, OutsideChange
from smabot_exchange.ledger.ledger import Ledger
from smabot_exchange.matching.account import (
    AccountState,
    AccountTerms,
    ExchangePosition,
    RequestedTerms,
)
from smabot_exchange.matching.order_numbers import OrderNumbers
from smabot_exchange.matching.order_validation import (
    bad_parameter,
    check_adjustment,
    check_client_id,
    not_found,
    part_of,
)
from smabot_exchange.matching.orders import (
    ExchangeOrder,
    OrderChange,
    OrderEvent,
    OrderRequest,
    PositionIntent,
    RequestRefused,
)
from smabot_exchange.matching_engine import MatchingEngine
from smabot_exchange.replay import Replay, ReplayedMinute
from smabot_exchange.serialisation import one_at_a_time


class Exchange(ExchangeQueries):
    """All is a function of the data and of what was submitted at which time of its clock.

    Every change is in the ledger before a method returns. Each method raises BrokerError when the
    ledger can't be read or written, and from then on so does every later call.
    """

    def __init__(
        self,
        ledger_path: Path,
        data: str = DEFAULT_DATA,
        terms: AccountTerms | RequestedTerms | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        """Open the ledger; at the first start import the data into it.

        ``data`` is a path, ``simulated`` or ``simulated:symbols=50,sessions=3,seed=7,start=2026-03-02``.
        ``terms`` are of a new ledger; an existing one keeps its own and must agree with those requested.
        ``faults`` may be added to at any time; what one has done to an order is in the ledger.
        Raises ConfigError for bad data or a bad ledger, LockHeld when another process has it open.
        """
        asked = (
            RequestedTerms.exactly(terms)
            if isinstance(terms, AccountTerms)
            else terms or RequestedTerms()
        )
        ledger = Ledger(ledger_path, open_data(data), asked)
        self.faults = FaultPlan() if faults is None else faults
        """How it misbehaves. Those that are no faults of the market need a server."""
        self.halts = Halts(self.faults)
        self.wrong_bars = WrongBars(self.faults)
        """What is sent of bars; `ReplayedMinute.bars` are as they were."""
        try:
            super().__init__(ledger)
            self._flags = AccountFlags(self.faults, ledger.flags(), ledger.save_flags)
            self._replay = Replay(ledger)
            self._engine = MatchingEngine(
                ledger.terms, self.calendar, self._price, ledger.cash(), ledger.positions(),
                ledger.open_orders(), OrderNumbers.after(ledger.newest_order()),
                ledger.last_execution(),
                ledger.last_day(), MarketFaults(self.faults),
            )  # fmt: skip
            self._day_ends = self._session_of(self._now).close
            self._listeners: list[Callable[[Sequence[OrderEvent]], None]] = []
        except BrokerError as error:
            ledger.close()
            raise ConfigError(str(error)) from error
        except BaseException:
            ledger.close()
            raise

    @property
    def minutes(self) -> tuple[int, int]:
        """How many minutes with bars are replayed, and how many there are."""
        return self._replay.done, self._ledger.minutes

    # Orders

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

    @property
    @one_at_a_time
    def hides_orders(self) -> bool:
        """Whether it has orders that status queries don't show."""
        return any(order.hidden for order in self._engine.open_orders)

    def listen(self, callback: Callable[[Sequence[OrderEvent]], None]) -> None:
        """Call back with every change of orders after it is durable, in order.

        The callback runs in the thread that caused the change, while the others wait: it must
        return at once, must not raise, and may read this exchange.
        """
        with self._lock:
            self._listeners.append(callback)

    # The account

    @one_at_a_time
    def account(self) -> AccountState:
        """Return cash, equity and buying power at last prices."""
        return self._engine.account()

    @one_at_a_time
    def positions(self) -> list[ExchangePosition]:
        """Return the positions, sorted by symbol."""
        return sorted(self._engine.positions.values(), key=lambda position: position.symbol)

    @one_at_a_time
    def position(self, symbol: str) -> ExchangePosition:
        """Return a symbol's position. Raises RequestRefused when there is none."""
        position = self._engine.positions.get(symbol)
        if position is None:
            raise not_found("position does not exist")
        return position

    @one_at_a_time
    def available(self, symbol: str) -> Decimal:
        """Return the signed shares of a symbol that no open order is about to close."""
        return self._engine.available(symbol)

    @one_at_a_time
    def close_position(
        self, symbol: str, qty: Decimal | None = None, percentage: Decimal | None = None
    ) -> ExchangeOrder:
        """Send a market order that closes a position, or ``qty`` shares or so many percent of it.

        Raises RequestRefused when there is no position, or open orders hold its shares.
        """
        if qty is not None and percentage is not None:
            raise bad_parameter("only one of qty or percentage is accepted")
        self._flags.check()
        position = self.position(symbol)
        long = position.qty > 0
        request = OrderRequest(
            symbol,
            Side.SELL if long else Side.BUY,
            part_of(position, percentage) if qty is None else qty,
            position_intent=PositionIntent.SELL_TO_CLOSE if long else PositionIntent.BUY_TO_CLOSE,
        )
        event = self._engine.accept(request, self._now)
        self._record([event])
        return event.order

    @one_at_a_time
    def close_all(
        self, cancel_orders: bool = False
    ) -> list[tuple[str, int, ExchangeOrder | RequestRefused]]:
        """Close every position; of each its symbol, HTTP status, and order or refusal.

        With ``cancel_orders`` cancel all open orders first, else a position with open orders is
        refused.
        """
        if cancel_orders:
            self.cancel_all()
        answers: list[tuple[str, int, ExchangeOrder | RequestRefused]] = []
        for position in self.positions():
            try:
                answers.append((position.symbol, 200, self.close_position(position.symbol)))
            except RequestRefused as refusal:
                answers.append((position.symbol, refusal.status, refusal))
        return answers

    @one_at_a_time
    def adjust(self, symbol: str, qty: Decimal, price: Decimal) -> ExchangePosition | None:
        """Add signed shares from outside at a cost; return the position then.

        No order, fill or cash moves. Raises RequestRefused when the symbol is unknown.
        """
        check_adjustment(qty, price)
        self._engine.adjust(symbol, qty, price)
        self._record([], OutsideChange(symbol, qty, price, ZERO))
        return self._engine.positions.get(symbol)

    @one_at_a_time
    def transfer(self, amount: Decimal) -> None:
        """Add cash from outside (negative: it goes), US dollars."""
        check_adjustment(amount)
        self._engine.cash += amount
        self._record([], OutsideChange(None, ZERO, ZERO, amount))

    @property
    def flags(self) -> frozenset[str]:
        """The account's flags that keep it from trading: ``trading_blocked``, ``account_blocked``,
        ``trade_suspended_by_user``."""
        return self._flags.names

    @one_at_a_time
    def flag(self, name: str, on: bool = True) -> None:
        """Set a flag of the account, or lift it; with one set no order is taken."""
        if on:
            self._flags.set(name)
        else:
            self._flags.lift(name)

    # The clock

    @one_at_a_time
    def next_time(self) -> datetime | None:
        """Return what the clock will show after `advance`, or None at the data's end."""
        minute = self._replay.next_minute(self._now)
        if minute is not None:
            return minute[0] + MINUTE
        close = self._ledger.last_session.close
        return close if self._now < close else None

    @one_at_a_time
    def advance(self) -> ReplayedMinute | None:
        """Replay the next minute that has a bar; past the last one the last close. None at the end."""
        minute = self._replay.next_minute(self._now)
        if minute is None:
            return self._close_last_session()
        start, bars = minute
        engine = self._engine
        self._flags.begin_minute(start)
        halted, resumed = self.halts.begin_minute(start, self.symbols)
        withheld = [bar for bar in bars if bar.symbol in self.halts.symbols]
        if withheld:
            bars = [bar for bar in bars if bar.symbol not in self.halts.symbols]
        end = start + MINUTE
        new_day = start >= self._day_ends
        if new_day:
            engine.end_day()
            self._day_ends = self._session_of(start).close
        events: list[OrderEvent] = []
        if engine.open_orders:
            events += engine.pass_time(start)
            events += engine.match(start, bars)
            events += engine.pass_time(end)
        self._latest.update([(bar.symbol, bar) for bar in bars])
        engine.prices_changed()
        self._now = end
        self._replay.complete()
        self._record(events, new_day=new_day, withheld=withheld)
        self._apply_cash_faults()
        return ReplayedMinute(end, tuple(events), bars, halted, resumed)

    def close(self) -> None:
        """Close the ledger and let go of its lock."""
        with self._lock:
            self._ledger.close()
            self._stopped = "the exchange is closed"

    def _apply_cash_faults(self) -> None:
        """Move cash as faults say."""
        if self.faults:
            from smabot_exchange.faults.market_kinds import CashTransfer

            occasion = Occasion(f"cash {self._now}", self._now)
            for moved in self.faults.strikes(CashTransfer, occasion):
                self.transfer(moved.amount)

    def _close_last_session(self) -> ReplayedMinute | None:
        close = self._ledger.last_session.close
        if self._now >= close:
            return None
        self._now = close
        events = self._engine.pass_time(close)
        self._record(events)
        return ReplayedMinute(close, tuple(events), [])

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
        if not (any(orders) or adjustment or new_day or withheld):
            self._ledger.move_clock(self._now, self._replay.done)
            return
        change = LedgerChange(
            self._now, self._replay.done, engine.cash, engine.last_day, orders,
            [event.execution for event in events if event.execution is not None],
            {symbol: engine.positions.get(symbol) for symbol in sorted(moved)},
            adjustment, withheld,
        )  # fmt: skip
        self._ledger.record(change, durable=bool(events or adjustment))
        shown = [event for event in events if not event.order.hidden]
        if shown:
            for listener in self._listeners:
                listener(shown)
