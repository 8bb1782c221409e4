"""The only mutable domain state. `Book.apply` is the only way to change it.

It is a fold: the same records give the same Book, and a record that is already known changes
nothing. What `apply` changed waits in the Book until the step's commit drains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from smabot.calendar import Calendar
from smabot.records import (
    ZERO,
    Account,
    Adjustment,
    Bar,
    EquityPoint,
    Fill,
    Order,
    OrderUpdate,
    Position,
    SignalState,
    Status,
)
from smabot.tables import key_of

R = TypeVar("R")
Holding = tuple[str, str]
"""A strategy and a symbol."""

MICRO = Decimal("0.000001")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def money(amount: Decimal) -> Decimal:
    """Round to a millionth of a dollar: finer than any price times any share fraction in use."""
    return amount.quantize(MICRO)


class Book:
    """Positions, cash, orders, last prices, last signals and the plugins' declared records."""

    def __init__(
        self,
        calendar: Calendar | None = None,
        find_order: Callable[[str], Order | None] | None = None,
    ) -> None:
        self.calendar = calendar or Calendar()
        self.now = EPOCH
        self.account: Account | None = None
        self.last: dict[str, Bar] = {}
        self.orders: dict[str, Order] = {}
        self.positions: dict[Holding, Position] = {}
        self.signals: dict[Holding, SignalState] = {}
        self.point: EquityPoint | None = None
        self.find_order = find_order
        self._latest: dict[Holding, str] = {}
        self._tables: dict[type, dict[tuple[Any, ...], Any]] = {}
        self._new_bars: list[Bar] = []
        self._new_rows: dict[tuple[type, tuple[Any, ...]], Any] = {}
        self._apply: dict[type, Callable[[Any], bool]] = {
            Bar: self._bar,
            OrderUpdate: self._update,
            Order: self._order,
            Position: self._position,
            SignalState: self._signal_state,
            Account: self._account,
            EquityPoint: self._point,
            Adjustment: self._adjustment,
        }

    # -- change ---------------------------------------------------------------------------------

    def apply(self, record: Any) -> bool:
        """Take a record in. False: it was known already, and nothing changed.

        Takes bars, order updates, and any declared record; a declared record replaces the row
        with its key.
        """
        return self._apply.get(type(record), self._row)(record)

    def restore(self, records: Iterable[Any]) -> None:
        """Apply records that the journal gave: nothing of it is written again."""
        for row in records:
            self.apply(row)
        self.drain()

    def drain(self) -> tuple[list[Any], list[Bar]]:
        """Return the rows and bars changed since the last drain, each row once, as it is now.

        Ended orders are forgotten here unless they are their holding's latest: the journal has them.
        """
        rows, bars = list(self._new_rows.values()), self._new_bars
        if rows:
            self._new_rows = {}
            for row in rows:
                if type(row) is Order and row.status.terminal:
                    holding = (row.strategy, row.symbol)
                    if self._latest.get(holding) != row.client_order_id:
                        self.orders.pop(row.client_order_id, None)
        self._new_bars = []
        return rows, bars

    # -- read -----------------------------------------------------------------------------------

    @property
    def trading_date(self) -> date:
        """The exchange's trading date now."""
        return self.calendar.trading_date(self.now)

    def row(self, kind: type[R], *key: Any) -> R | None:
        """Return a plugin's declared record by its key, or None."""
        return self._tables.get(kind, {}).get(key)

    def table(self, kind: type[R]) -> list[R]:
        """Return all records that a plugin declared and that are restored at start."""
        return list(self._tables.get(kind, {}).values())

    def order(self, client_order_id: str) -> Order | None:
        """Return an order, from the journal if it ended long ago, or None."""
        order = self.orders.get(client_order_id)
        if order is None and self.find_order is not None:
            order = self.find_order(client_order_id)
        return order

    def latest_order(self, strategy: str, symbol: str) -> Order | None:
        """Return the newest order of a holding, open or ended."""
        return self.orders.get(self._latest.get((strategy, symbol), ""))

    def open_orders(self) -> list[Order]:
        """Return the orders that may still fill, oldest first."""
        return [order for order in self.orders.values() if not order.status.terminal]

    def holding(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy holds."""
        position = self.positions.get((strategy, symbol))
        return position.qty if position else ZERO

    def open_qty(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy's open orders may still fill."""
        return sum(
            (
                o.open_qty
                for o in self.open_orders()
                if (o.strategy, o.symbol) == (strategy, symbol)
            ),
            ZERO,
        )

    def net(self, symbol: str) -> Decimal:
        """Return the signed shares held of a symbol by all strategies together."""
        return sum((p.qty for p in self.positions.values() if p.symbol == symbol), ZERO)

    def price(self, symbol: str) -> Decimal | None:
        """Return the last price of a symbol in US dollars, or None before its first bar."""
        bar = self.last.get(symbol)
        return Decimal(repr(bar.close)) if bar else None

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return the dollars at risk in a symbol, or in all: holdings and open buys at last prices."""
        shares: dict[str, Decimal] = {}
        for position in self.positions.values():
            shares[position.symbol] = shares.get(position.symbol, ZERO) + position.qty
        for order in self.open_orders():
            if not order.reduces:
                shares[order.symbol] = shares.get(order.symbol, ZERO) + order.open_qty
        wanted = shares if symbol is None else {symbol: shares.get(symbol, ZERO)}
        return sum((abs(qty) * self._mark(name) for name, qty in wanted.items() if qty), ZERO)

    def positions_value(self) -> Decimal:
        """Return the worth of all positions at last prices."""
        return sum((p.qty * self._mark(p.symbol) for p in self.positions.values() if p.qty), ZERO)

    def realized_pnl(self) -> Decimal:
        """Return the P&L realized since the database began."""
        return sum((p.realized_pnl for p in self.positions.values()), ZERO)

    def equity(self) -> Decimal:
        """Return cash plus positions at last prices."""
        return (self.account.cash if self.account else ZERO) + self.positions_value()

    def unsettled(self, symbol: str) -> list[SignalState]:
        """Return the signal states of a symbol whose target is not what is held."""
        return [s for s in self.signals.values() if s.symbol == symbol and self._is_unsettled(s)]

    def unsettled_symbols(self) -> set[str]:
        """Return the symbols where some target is not what is held."""
        return {s.symbol for s in self.signals.values() if self._is_unsettled(s)}

    def fill_of(self, update: OrderUpdate) -> Fill | None:
        """Return the fill that an update would add, or None when it adds no shares."""
        order = self.order(update.client_order_id)
        if order is None or update.filled_qty <= order.filled_qty:
            return None
        value, new_value = _value(order), _value(update)
        qty = update.filled_qty - order.filled_qty
        realized = self._realized(order, update.filled_qty, new_value) - order.realized_pnl
        price = ((new_value - value) / qty).quantize(MICRO)
        return Fill(
            order.client_order_id, update.filled_qty, order.strategy, order.symbol, order.side,
            qty, price, realized, update.time, order.reduces,
        )  # fmt: skip

    # -- how each kind of record is applied --------------------------------------------------------

    def _bar(self, bar: Bar) -> bool:
        known = self.last.get(bar.symbol)
        if known is not None and bar.time <= known.time:
            return False
        self.last[bar.symbol] = bar
        self._new_bars.append(bar)
        return True

    def _order(self, order: Order) -> bool:
        if self.orders.get(order.client_order_id) == order:
            return False
        self._put_order(order)
        holding = (order.strategy, order.symbol)
        latest = self.latest_order(*holding)
        if latest is None or (latest.bar_time, latest.attempt) <= (order.bar_time, order.attempt):
            self._latest[holding] = order.client_order_id
        return True

    def _update(self, update: OrderUpdate) -> bool:
        order = self.order(update.client_order_id)
        if order is None:
            return False
        fill = self.fill_of(update)
        newer = update.status.rank > order.status.rank
        filled_qty = max(order.filled_qty, update.filled_qty)
        changed = replace(
            order,
            status=Status.FILLED if filled_qty >= order.qty
            else update.status if newer else order.status,
            reason=update.reason if newer and update.reason else order.reason,
            broker_order_id=update.broker_order_id or order.broker_order_id,
            filled_qty=filled_qty,
            filled_avg_price=update.filled_avg_price if fill else order.filled_avg_price,
            realized_pnl=order.realized_pnl + (fill.realized_pnl if fill else ZERO),
            submitted_at=update.submitted_at or order.submitted_at,
            updated_at=max(update.time, order.updated_at or update.time),
        )  # fmt: skip
        if changed == order:
            return False
        if fill is not None:
            self._fill(order, fill, update)
        self._put_order(changed)
        return True

    def _fill(self, order: Order, fill: Fill, update: OrderUpdate) -> None:
        holding = (order.strategy, order.symbol)
        old = self.positions.get(holding)
        qty, cost, realized = (old.qty, old.cost, old.realized_pnl) if old else (ZERO, ZERO, ZERO)
        paid = _value(update) - _value(order)
        qty += fill.qty * order.side.sign
        cost += paid if not order.reduces else fill.realized_pnl * -order.side.sign - paid
        self._put_position(holding, qty, cost, realized + fill.realized_pnl, fill.time)
        if self.account is not None:
            cash = self.account.cash - paid * order.side.sign
            self._account(replace(self.account, cash=cash))
        self._put(fill)

    def _realized(self, order: Order, filled_qty: Decimal, value: Decimal) -> Decimal:
        """P&L of an order at a cumulative fill, from the holding as it was before the order.

        Computed from the start of the order each time, so that rounding can't depend on how many
        of its updates were seen.
        """
        if not order.reduces:
            return ZERO
        position = self.positions.get((order.strategy, order.symbol))
        qty, cost = (abs(position.qty), position.cost) if position else (ZERO, ZERO)
        start_qty = qty + order.filled_qty
        start_cost = cost + _value(order) + order.realized_pnl * order.side.sign
        if filled_qty >= start_qty:
            closed = start_cost
        else:
            closed = money(start_cost * filled_qty / start_qty)
        return (closed - value) * order.side.sign

    def _adjustment(self, adjustment: Adjustment) -> bool:
        if not self._row(adjustment):
            return False
        holding = (adjustment.strategy, adjustment.symbol)
        old = self.positions.get(holding)
        qty = (old.qty if old else ZERO) + adjustment.qty
        cost = money(abs(qty) * adjustment.price)
        realized = old.realized_pnl if old else ZERO
        self._put_position(holding, qty, cost, realized, adjustment.time)
        return True

    def _position(self, position: Position) -> bool:
        holding = (position.strategy, position.symbol)
        if self.positions.get(holding) == position:
            return False
        self.positions[holding] = position
        self._put(position)
        return True

    def _signal_state(self, state: SignalState) -> bool:
        holding = (state.strategy, state.symbol)
        if self.signals.get(holding) == state:
            return False
        self.signals[holding] = state
        self._put(state)
        return True

    def _account(self, account: Account) -> bool:
        if self.account == account:
            return False
        self.account = account
        self._put(account)
        return True

    def _point(self, point: EquityPoint) -> bool:
        if self.point == point or (self.point is not None and point.time < self.point.time):
            return False
        self.point = point
        self._put(point)
        return True

    def _row(self, row: Any) -> bool:
        rows = self._tables.setdefault(type(row), {})
        key = key_of(row)
        if rows.get(key) == row:
            return False
        rows[key] = row
        self._new_rows[(type(row), key)] = row
        return True

    def _put(self, row: Any) -> None:
        self._new_rows[(type(row), key_of(row))] = row

    def _put_order(self, order: Order) -> None:
        self.orders[order.client_order_id] = order
        self._new_rows[(Order, (order.client_order_id,))] = order

    def _put_position(
        self, holding: Holding, qty: Decimal, cost: Decimal, realized: Decimal, time: datetime
    ) -> None:
        average = (cost / abs(qty)).quantize(MICRO) if qty else ZERO
        self._position(Position(*holding, qty, cost, average, realized, time))

    def _mark(self, symbol: str) -> Decimal:
        price = self.price(symbol)
        if price is not None:
            return price
        return next(
            (p.avg_price for p in self.positions.values() if p.symbol == symbol and p.qty), ZERO
        )

    def _is_unsettled(self, state: SignalState) -> bool:
        held = self.holding(state.strategy, state.symbol)
        order = self.latest_order(state.strategy, state.symbol)
        working = order is not None and not order.status.terminal
        return state.missed or (state.target == 0 and (held != 0 or working))


def _value(filled: Order | OrderUpdate) -> Decimal:
    return money(filled.filled_qty * (filled.filled_avg_price or ZERO))
