"""The only mutable domain state. `Book.apply` is the only way to change it.

It is a fold: the same records give the same Book, and a record that is already known changes
nothing. What `apply` changed waits in the Book until the step's commit drains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from smabot.domain.bar_checks import bad_bar_event
from smabot.domain.book_view import COLLAR, EPOCH, BookView
from smabot.domain.bot_records import Block
from smabot.domain.calendar import Calendar
from smabot.domain.cash_movements import CashMovement
from smabot.domain.corporate_actions import CorporateAction, plain_shares
from smabot.domain.cost_basis import closed_pnl, filled_value
from smabot.domain.event_order import FindEvents
from smabot.domain.frozen_classes import replace
from smabot.domain.order_terms import Status
from smabot.domain.records import (
    MICRO,
    ZERO,
    Account,
    Adjustment,
    Bar,
    EquityPoint,
    Fill,
    Holding,
    Mark,
    Order,
    OrderUpdate,
    Position,
    SignalState,
)

R = TypeVar("R")


class Book(BookView):
    """The account as the records tell it. Nothing else changes it than what is applied."""

    calendar: Calendar
    now: datetime
    account: Account | None
    point: EquityPoint | None
    point_before: EquityPoint | None
    stances: int

    def __init__(
        self,
        calendar: Calendar | None = None,
        find_order: Callable[[str], Order | None] | None = None,
        collar: Decimal = COLLAR,
    ) -> None:
        """``collar``: the fraction that a close may be away from the one before; 0: any."""
        super().__init__(calendar, find_order, collar)
        self.calendar = calendar or Calendar()
        self.now = EPOCH
        self.account = None
        self.point = None
        self.point_before = None
        self.stances = 0

    # -- change ---------------------------------------------------------------------------------

    def apply(self, record: Any) -> bool:
        """Take a record in. False: it was known already, and nothing changed.

        Takes bars, order updates, and any declared record; a declared record replaces the row
        with its key. An event gets a later time where it would replace a related one.
        """
        applied = _APPLIED_BY.get(type(record))
        return self._rows.put(record) if applied is None else applied(self, record)

    def apply_bars(self, bars: Iterable[Bar]) -> list[Bar]:
        """Take bars in, as `apply` does each; returns those that were not known.

        One that can't be is left out, with an event.
        """
        if self._splits:
            bars = list(bars)
            return self._take_bars(map(self._splits.bar_today, bars), bars)
        return self._take_bars(bars, None)

    def _take_bars(self, bars: Iterable[Bar], as_they_came: list[Bar] | None) -> list[Bar]:
        """Take bars in, in today's shares; they are kept as they came."""
        news = self._prices.take_bars(bars, self._refuse_bar)
        if news:
            self._valuation.note_new_prices()
            kept = news
            if as_they_came is not None:
                new = {(bar.symbol, bar.time) for bar in news}
                kept = [bar for bar in as_they_came if (bar.symbol, bar.time) in new]
            self._rows.note_bars(kept)
        return news

    def apply_update(self, update: OrderUpdate, fill: Fill | None) -> bool:
        """Take an order update in whose fill is known: what `fill_of` returns of it."""
        order = self.order(update.client_order_id)
        if order is None or (update.filled_qty and update.filled_avg_price is None):
            return False
        confirmed = (
            order.status.terminal
            and update.status.terminal
            and update.filled_qty >= order.filled_qty
        )
        newer = (
            update.status.rank > order.status.rank
            or (update.status is order.status and order.status in (Status.UNKNOWN, Status.PENDING))
            or (confirmed and order.given_up_at is not None)
        )
        repeats_end = order.status.terminal and not newer and fill is None
        reason = update.reason
        if not reason and update.status is Status.CANCELED:
            reason = order.cancel_reason
        filled_qty = max(order.filled_qty, update.filled_qty)
        changed = replace(
            order,
            status=Status.FILLED if filled_qty >= order.qty
            else update.status if newer else order.status,
            reason=reason if newer else order.reason,
            broker_order_id=update.broker_order_id or order.broker_order_id,
            filled_qty=filled_qty,
            filled_avg_price=update.filled_avg_price if fill else order.filled_avg_price,
            realized_pnl=order.realized_pnl + (fill.realized_pnl if fill else ZERO),
            fees=update.fees if fill else order.fees,
            submitted_at=update.submitted_at or order.submitted_at,
            updated_at=order.updated_at if repeats_end
            else max(update.time, order.updated_at or update.time),
            cause=update.cause if newer else order.cause,
            available=update.available if newer else order.available,
            given_up_at=None if confirmed else order.given_up_at,
        )  # fmt: skip
        if changed == order:
            return False
        if fill is not None:
            self._fill(order, fill, update)
        self._orders.put(changed)
        self._order_changed(changed)
        return True

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Within it plugins' records stay as they are: bars are played that they have seen before."""
        self._rows.frozen = True
        try:
            yield
        finally:
            self._rows.frozen = False

    def restore(self, records: Iterable[Any]) -> None:
        """Apply records that the journal gave: nothing of it is written again."""
        for row in records:
            self.apply(row)
        self.drain()

    def drain(self) -> tuple[list[Any], list[Bar]]:
        """Return the rows and bars changed since the last drain, each row once, as it is now.

        Ended orders are forgotten here unless they are their holding's latest: the journal has them.
        """
        rows, bars = self._rows.drain()
        for row in rows:
            if type(row) is Order:
                self._orders.forget(row)
        return rows, bars

    def copy(self) -> Book:
        """Return a book of its own with the same account, positions, open orders and last prices."""
        copy = Book(self.calendar, self.order, self._prices.collar)
        copy.now = self.now
        copy._splits = self._splits.copy()
        copy._prices.bars.update(self._prices.bars)
        copy._prices.marks.update(self._prices.marks)
        account = [self.account] if self.account is not None else []
        copy.restore([*account, *self.positions.values(), *self.open_orders()])
        return copy

    def ignore_blocks_of(self, plugins: Iterable[str]) -> None:
        """Let the blocks of these plugins hold no order of this run, by the operator's word."""
        self._blocks.ignored = frozenset(plugins)

    def forget_bars(self) -> None:
        """Forget the last bars, so that they can be played again."""
        self._prices.bars.clear()

    def find_ended_orders_by(self, find: Callable[[str], Order | None]) -> None:
        """Look up orders that ended long ago in the journal."""
        self._orders.find = find

    def find_earlier_events_by(self, find: FindEvents) -> None:
        """Look up committed events in the journal: a new one comes after those that it is related to."""
        self._rows.event_times.find = find

    # -- how each kind of record is applied --------------------------------------------------------

    def _bar(self, bar: Bar) -> bool:
        return bool(self.apply_bars((bar,)))

    def _order(self, order: Order) -> bool:
        known = self.orders.get(order.client_order_id)
        if known == order:
            return False
        if known is not None and order.filled_qty < known.filled_qty:
            order = self._undo(known, order)
        self._orders.put_latest(order)
        self._order_changed(order)
        return True

    def _update(self, update: OrderUpdate) -> bool:
        return self.apply_update(update, self.fill_of(update))

    def _fill(self, order: Order, fill: Fill, update: OrderUpdate) -> None:
        paid = filled_value(update) - filled_value(order)
        if self._prices.take_fill(order.symbol, fill.price, fill.time):
            self._valuation.note_new_prices()
        self._trade(
            (order.strategy, order.symbol),
            fill.qty * order.side.sign,
            paid * order.side.sign,
            fill.realized_pnl + fill.fees,
            fill.time,
            fill.fees,
        )
        self._rows.note(fill)

    def _undo(self, known: Order, order: Order) -> Order:
        """Take back the fills that an order has no more; returns it with what it realized without."""
        gross = self._positions.realized_by(known, order.filled_qty, filled_value(order))
        self._trade(
            (known.strategy, known.symbol),
            (order.filled_qty - known.filled_qty) * known.side.sign,
            (filled_value(order) - filled_value(known)) * known.side.sign,
            gross - known.gross_pnl,
            order.updated_at or self.now,
            order.fees - known.fees,
        )
        return replace(order, realized_pnl=gross - order.fees)

    def _trade(
        self,
        holding: Holding,
        qty: Decimal,
        paid: Decimal,
        gross: Decimal,
        time: datetime,
        fees: Decimal = ZERO,
    ) -> None:
        """Move signed shares into a position, and what was paid for them (negative: got) out of cash.

        ``gross`` is what that realizes before fees. Fees are no part of a position's cost.
        """
        held, basis, before = self._positions.basis(holding)
        held, basis = held + qty, basis + paid + gross
        self._put_position(holding, held, basis, before + gross - fees, time)
        if self.account is not None:
            self._account(replace(self.account, cash=self.account.cash - paid - fees))

    def _adjustment(self, adjustment: Adjustment) -> bool:
        """Change a position as a trade at the adjustment's price would; what its cash differs by from
        that trade came or went from outside, and moves the opening cash along."""
        holding = (adjustment.strategy, adjustment.symbol)
        qty, basis, _ = self._positions.basis(holding)
        value = abs(adjustment.value)
        realized = ZERO
        if adjustment.price:
            realized = closed_pnl(qty, basis, adjustment.qty, value)
        if not self._rows.put(replace(adjustment, realized_pnl=realized)):
            return False
        if adjustment.qty:
            self._trade(holding, adjustment.qty, adjustment.value, realized, adjustment.time)
        if self.account is not None:
            moved = adjustment.from_outside
            cash, opening = self.account.cash + moved, self.account.opening_cash + moved
            self._account(replace(self.account, cash=cash, opening_cash=opening))
        return True

    def _cash_movement(self, movement: CashMovement) -> bool:
        """Take cash in that moved without a trade; what is not earned moves the opening cash along."""
        if not self._rows.put(movement):
            return False
        if movement.counted and self.account is not None:
            cash = self.account.cash + movement.amount
            opening = self.account.opening_cash + movement.from_outside
            self._account(replace(self.account, cash=cash, opening_cash=opening))
        return True

    def _position(self, position: Position) -> bool:
        holding = (position.strategy, position.symbol)
        if self.positions.get(holding) == position:
            return False
        self._valuation.add(position.symbol, self._positions.put(position))
        self._review(holding)
        self._rows.note(position)
        return True

    def _signal_state(self, state: SignalState) -> bool:
        holding = (state.strategy, state.symbol)
        if self.signals.get(holding) == state:
            return False
        self._targets.signals[holding] = state
        self.stances += 1
        self._review(holding)
        self._rows.note(state)
        return True

    def _block(self, block: Block) -> bool:
        key = (block.plugin, block.scope)
        if self._rows.frozen or self.blocks.get(key) == block:
            return False
        self._blocks.all[key] = block
        self.stances += 1
        self._rows.note(block)
        return True

    def _corporate_action(self, action: CorporateAction) -> bool:
        if self._splits.all.get(action.action_id) == action:
            return False
        if self._splits.put(action):
            self._prices.split(action)
            self._valuation.note_new_prices()
        self.stances += 1
        self._rows.note(action)
        return True

    def _mark_asked(self, mark: Mark) -> bool:
        if not self._prices.take_mark(self._splits.mark_today(mark)):
            return False
        self._valuation.note_new_prices()
        self._rows.note(mark)
        return True

    def _account(self, account: Account) -> bool:
        if self.account == account:
            return False
        self.account = account
        self._rows.note(account)
        return True

    def _point(self, point: EquityPoint) -> bool:
        last = self.point
        if last is not None and (point.time < last.time or point == last):
            return False
        self.point_before, self.point = last, point
        self._rows.note(point)
        return True

    def _put_position(
        self, holding: Holding, qty: Decimal, basis: Decimal, realized: Decimal, time: datetime
    ) -> None:
        cost = basis if qty >= 0 else -basis
        average = (cost / abs(qty)).quantize(MICRO) if qty else ZERO
        self._position(Position(*holding, plain_shares(qty), cost, average, realized, time))

    # -- what is derived, kept up to date --------------------------------------------------------

    def _order_changed(self, order: Order) -> None:
        self._rows.note(order)
        self._valuation.put_order(order)
        self._review((order.strategy, order.symbol))

    def _review(self, holding: Holding) -> None:
        order = self._orders.latest(holding)
        working = order is not None and not order.status.terminal
        self._targets.note_position(holding, exposed=working or self._positions.qty(holding) != 0)

    def _refuse_bar(self, bar: Bar) -> None:
        self.apply(bad_bar_event(bar, self.now))


_APPLIED_BY: dict[type, Callable[[Book, Any], bool]] = {
    Bar: Book._bar,
    OrderUpdate: Book._update,
    Order: Book._order,
    Position: Book._position,
    SignalState: Book._signal_state,
    Block: Book._block,
    Mark: Book._mark_asked,
    CorporateAction: Book._corporate_action,
    Account: Book._account,
    EquityPoint: Book._point,
    Adjustment: Book._adjustment,
    CashMovement: Book._cash_movement,
}
