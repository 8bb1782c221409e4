"""The only mutable domain state. `Book.apply` is the only way to change it.

It is a fold: the same records give the same Book, and a record that is already known changes
nothing. What `apply` changed waits in the Book until the step's commit drains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from smabot.domain.bar_checks import bad_bar_event, is_valid_bar
from smabot.domain.book_view import COLLAR, BookView, Holding
from smabot.domain.calendar import Calendar
from smabot.domain.records import (
    MICRO,
    ZERO,
    Account,
    Adjustment,
    Bar,
    Block,
    EquityPoint,
    Fill,
    Mark,
    Order,
    OrderUpdate,
    Position,
    SignalState,
    Status,
    money,
)
from smabot.domain.tables import key_of, table_of
from smabot.domain.valuation import Valuation

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Book(BookView):
    """Positions, cash, orders, last prices, last signals and the plugins' declared records."""

    calendar: Calendar
    now: datetime
    account: Account | None
    last: dict[str, Bar]
    orders: dict[str, Order]
    positions: dict[Holding, Position]
    signals: dict[Holding, SignalState]
    blocks: dict[tuple[str, str], Block]
    ignored: frozenset[str]
    marks: dict[str, Mark]
    point: EquityPoint | None
    canceling: dict[str, Order]

    def __init__(
        self,
        calendar: Calendar | None = None,
        find_order: Callable[[str], Order | None] | None = None,
        collar: Decimal = COLLAR,
    ) -> None:
        """``collar``: the fraction that a close may be away from the one before; 0: any."""
        self.calendar = calendar or Calendar()
        self.now = EPOCH
        self.account = None
        self.last = {}
        self.orders = {}
        self.positions = {}
        self.signals = {}
        self.blocks = {}
        self.ignored = frozenset()
        """Plugins whose blocks hold no order of this run, by the operator's word."""
        self.marks = {}
        """Prices that were asked for because no bar came, by symbol."""
        self.point = None
        self.find_order = find_order
        self._latest: dict[Holding, str] = {}
        self._open: dict[str, Order] = {}
        self.canceling = {}
        """Open orders whose cancel was asked for, by their ids."""
        self._given_up: dict[str, Order] = {}
        self.stances = 0
        """How often blocks and targets have changed: what may leave is judged again then."""
        self._valuation = Valuation(self._mark, self.jumped_from)
        self._realized_pnl = ZERO
        self._replaying = False
        self._fill_prices: dict[str, Decimal] = {}
        self._collar = collar
        self._before: dict[str, float] = {}
        self._unsettled: dict[str, dict[str, SignalState]] = {}
        self._in_symbol: dict[str, dict[str, Position]] = {}
        self._tables: dict[type, dict[tuple[Any, ...], Any]] = {}
        self.changes = 0
        """How often orders and positions have changed: an answer asked for before may be outdated."""
        self._new_bars: list[Bar] = []
        self._new_rows: dict[tuple[type, tuple[Any, ...]], Any] = {}
        self._apply: dict[type, Callable[[Any], bool]] = {
            Bar: self._bar,
            OrderUpdate: self._update,
            Order: self._order,
            Position: self._position,
            SignalState: self._signal_state,
            Block: self._block,
            Mark: self._mark_asked,
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

    def apply_bars(self, bars: Iterable[Bar]) -> list[Bar]:
        """Take bars in, as `apply` does each; returns those that were not known.

        One that can't be is left out, with an event.
        """
        last, news, before = self.last, [], self._before
        collar = float(self._collar)
        for bar in bars:
            symbol = bar.symbol
            known = last.get(symbol)
            if not is_valid_bar(bar):
                self.apply(bad_bar_event(bar, self.now))
            elif known is None or bar.time > known.time:
                last[symbol] = bar
                news.append(bar)
                if (
                    collar
                    and known is not None
                    and abs(bar.close - known.close) > collar * known.close
                ):
                    before[symbol] = known.close
                elif symbol in before:
                    del before[symbol]
        if news:
            self._valuation.outdate()
            self._new_bars += news
            if self._fill_prices:
                for bar in news:
                    self._fill_prices.pop(bar.symbol, None)
        return news

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Within it plugins' records stay as they are: bars are played that they have seen before."""
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False

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

    def copy(self) -> Book:
        """Return a book of its own with the same account, positions, open orders and last prices."""
        copy = Book(self.calendar, self.order, self._collar)
        copy.now = self.now
        copy.last, copy.marks = dict(self.last), dict(self.marks)
        account = [self.account] if self.account is not None else []
        copy.restore([*account, *self.positions.values(), *self.open_orders()])
        return copy

    def fill_of(self, update: OrderUpdate) -> Fill | None:
        """Return the fill that an update would add, or None when it adds no shares."""
        order = self.order(update.client_order_id)
        if order is None or update.filled_qty <= order.filled_qty:
            return None
        if update.filled_avg_price is None:
            return None
        value, new_value = _filled_value(order), _filled_value(update)
        qty = update.filled_qty - order.filled_qty
        realized = self._realized(order, update.filled_qty, new_value) - order.realized_pnl
        price = ((new_value - value) / qty).quantize(MICRO)
        return Fill(
            client_order_id=order.client_order_id,
            cumulative_qty=update.filled_qty,
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            realized_pnl=realized,
            time=update.filled_at or update.time,
            reduces=order.reduces,
        )

    # -- how each kind of record is applied --------------------------------------------------------

    def _bar(self, bar: Bar) -> bool:
        return bool(self.apply_bars((bar,)))

    def _order(self, order: Order) -> bool:
        known = self.orders.get(order.client_order_id)
        if known == order:
            return False
        if known is not None and order.filled_qty < known.filled_qty:
            order = self._undo(known, order)
        self._put_order(order)
        holding = (order.strategy, order.symbol)
        latest = self.latest_order(*holding)
        hidden = order.status.terminal and latest is not None and not latest.status.terminal
        if latest is None or (
            not hidden and (latest.bar_time, latest.attempt) <= (order.bar_time, order.attempt)
        ):
            self._latest[holding] = order.client_order_id
            if latest is not None and latest.status.terminal and latest is not order:
                self.orders.pop(latest.client_order_id, None)
        self._review(holding)
        return True

    def _update(self, update: OrderUpdate) -> bool:
        order = self.order(update.client_order_id)
        if order is None or (update.filled_qty and update.filled_avg_price is None):
            return False
        fill = self.fill_of(update)
        newer = update.status.rank > order.status.rank or (
            update.status is order.status and order.status in (Status.UNKNOWN, Status.PENDING)
        )
        reason = update.reason
        if not reason and update.status is Status.CANCELED:
            reason = order.cancel_reason
        filled_qty = max(order.filled_qty, update.filled_qty)
        confirmed = (
            order.status.terminal
            and update.status.terminal
            and update.filled_qty >= order.filled_qty
        )
        changed = replace(
            order,
            status=Status.FILLED if filled_qty >= order.qty
            else update.status if newer else order.status,
            reason=reason if newer else order.reason,
            broker_order_id=update.broker_order_id or order.broker_order_id,
            filled_qty=filled_qty,
            filled_avg_price=update.filled_avg_price if fill else order.filled_avg_price,
            realized_pnl=order.realized_pnl + (fill.realized_pnl if fill else ZERO),
            submitted_at=update.submitted_at or order.submitted_at,
            updated_at=max(update.time, order.updated_at or update.time),
            cause=update.cause if newer else order.cause,
            available=update.available if newer else order.available,
            given_up_at=None if confirmed else order.given_up_at,
        )  # fmt: skip
        if changed == order:
            return False
        if fill is not None:
            self._fill(order, fill, update)
        self._put_order(changed)
        self._review((order.strategy, order.symbol))
        return True

    def _fill(self, order: Order, fill: Fill, update: OrderUpdate) -> None:
        paid = _filled_value(update) - _filled_value(order)
        bar = self.last.get(order.symbol)
        if bar is None or fill.time >= bar.end:
            self._fill_prices[order.symbol] = fill.price
            self._valuation.outdate()
        self._trade(
            (order.strategy, order.symbol),
            fill.qty * order.side.sign,
            paid * order.side.sign,
            fill.realized_pnl,
            fill.time,
        )
        self._put(fill)

    def _undo(self, known: Order, order: Order) -> Order:
        """Take back the fills that an order has no more; returns it with what it realized without."""
        realized = self._realized(known, order.filled_qty, _filled_value(order))
        self._trade(
            (known.strategy, known.symbol),
            (order.filled_qty - known.filled_qty) * known.side.sign,
            (_filled_value(order) - _filled_value(known)) * known.side.sign,
            realized - known.realized_pnl,
            order.updated_at or self.now,
        )
        return replace(order, realized_pnl=realized)

    def _trade(
        self, holding: Holding, qty: Decimal, paid: Decimal, realized: Decimal, time: datetime
    ) -> None:
        """Move signed shares into a position, and what was paid for them (negative: got) out of cash."""
        held, basis, before = self._basis(holding)
        held, basis = held + qty, basis + paid + realized
        self._put_position(holding, held, basis, before + realized, time)
        if self.account is not None:
            self._account(replace(self.account, cash=self.account.cash - paid))

    def _basis(self, holding: Holding) -> tuple[Decimal, Decimal, Decimal]:
        """Return a position's signed shares, their signed cost, and the P&L realized so far."""
        position = self.positions.get(holding)
        if position is None:
            return ZERO, ZERO, ZERO
        basis = position.cost if position.qty >= 0 else -position.cost
        return position.qty, basis, position.realized_pnl

    def _realized(self, order: Order, filled_qty: Decimal, value: Decimal) -> Decimal:
        """P&L of an order at a cumulative fill, from the holding as it was before the order.

        Computed from the start of the order each time, so that rounding can't depend on how many
        of its updates were seen. Shares beyond that holding realize nothing: they open another one.
        """
        if not order.reduces:
            return ZERO
        sign = order.side.sign
        qty, basis, _ = self._basis((order.strategy, order.symbol))
        start_qty = qty - order.filled_qty * sign
        start_basis = basis - _filled_value(order) * sign - order.realized_pnl
        return _closed(start_qty, start_basis, filled_qty * sign, value)

    def _adjustment(self, adjustment: Adjustment) -> bool:
        """Change a position as a trade at the adjustment's price would; what its cash differs by from
        that trade came or went from outside, and moves the opening cash along."""
        holding = (adjustment.strategy, adjustment.symbol)
        qty, basis, _ = self._basis(holding)
        value = abs(adjustment.value)
        realized = ZERO
        if adjustment.price:
            realized = _closed(qty, basis, adjustment.qty, value)
        if not self._row(replace(adjustment, realized_pnl=realized)):
            return False
        if adjustment.qty:
            self._trade(holding, adjustment.qty, adjustment.value, realized, adjustment.time)
        if self.account is not None:
            moved = adjustment.from_outside
            cash, opening = self.account.cash + moved, self.account.opening_cash + moved
            self._account(replace(self.account, cash=cash, opening_cash=opening))
        return True

    def _position(self, position: Position) -> bool:
        holding = (position.strategy, position.symbol)
        old = self.positions.get(holding)
        if old == position:
            return False
        self.changes += 1
        self.positions[holding] = position
        self._in_symbol.setdefault(position.symbol, {})[position.strategy] = position
        self._realized_pnl += position.realized_pnl - (old.realized_pnl if old else ZERO)
        self._valuation.add(position.symbol, position.qty - (old.qty if old else ZERO))
        self._review(holding)
        self._put(position)
        return True

    def _signal_state(self, state: SignalState) -> bool:
        holding = (state.strategy, state.symbol)
        if self.signals.get(holding) == state:
            return False
        self.signals[holding] = state
        self.stances += 1
        self._review(holding)
        self._put(state)
        return True

    def _block(self, block: Block) -> bool:
        key = (block.plugin, block.scope)
        if self._replaying or self.blocks.get(key) == block:
            return False
        self.blocks[key] = block
        self.stances += 1
        self._put(block)
        return True

    def _mark_asked(self, mark: Mark) -> bool:
        known = self.marks.get(mark.symbol)
        if known is not None and mark.time <= known.time:
            return False
        self.marks[mark.symbol] = mark
        self._fill_prices.pop(mark.symbol, None)
        self._valuation.outdate()
        self._put(mark)
        return True

    def _account(self, account: Account) -> bool:
        if self.account == account:
            return False
        self.account = account
        self._put(account)
        return True

    def _point(self, point: EquityPoint) -> bool:
        last = self.point
        if last is not None and (point.time < last.time or point == last):
            return False
        self.point = point
        self._new_rows[(EquityPoint, (point.time,))] = point
        return True

    def _row(self, row: Any) -> bool:
        if self._replaying:
            return False
        if not table_of(type(row)).restore:
            self._put(row)
            return True
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
        name = order.client_order_id
        self.changes += 1
        self.orders[name] = order
        self._new_rows[(Order, (name,))] = order
        if order.given_up_at is not None:
            self._given_up[name] = order
        else:
            self._given_up.pop(name, None)
        if order.status.terminal:
            self._open.pop(name, None)
            self.canceling.pop(name, None)
        else:
            self._open[name] = order
            if order.cancel_requested_at is not None:
                self.canceling[name] = order
        self._valuation.put_order(order)

    def _put_position(
        self, holding: Holding, qty: Decimal, basis: Decimal, realized: Decimal, time: datetime
    ) -> None:
        cost = basis if qty >= 0 else -basis
        average = (cost / abs(qty)).quantize(MICRO) if qty else ZERO
        self._position(Position(*holding, qty, cost, average, realized, time))

    # -- what is derived, kept up to date --------------------------------------------------------

    def _mark(self, symbol: str) -> Decimal:
        price = self._fill_prices.get(symbol) or self.price(symbol)
        if price is not None:
            return price
        held = (p for p in self.positions.values() if p.symbol == symbol and p.qty)
        return next((position.avg_price for position in held), ZERO)

    def _review(self, holding: Holding) -> None:
        """Note whether a holding's target is what is held."""
        state = self.signals.get(holding)
        if state is None:
            return
        order = self.latest_order(*holding)
        working = order is not None and not order.status.terminal
        strategies = self._unsettled.setdefault(state.symbol, {})
        if state.missed or (state.target == 0 and (self.holding(*holding) != 0 or working)):
            strategies[state.strategy] = state
        else:
            strategies.pop(state.strategy, None)
            if not strategies:
                del self._unsettled[state.symbol]


def _closed(held: Decimal, basis: Decimal, qty: Decimal, value: Decimal) -> Decimal:
    """Return the P&L of trading signed shares for a value against what is held at a signed cost."""
    closing = min(abs(qty), abs(held)) if qty * held < 0 else ZERO
    if not closing:
        return ZERO
    closed = basis if closing == abs(held) else money(basis * closing / abs(held))
    got = value if closing == abs(qty) else money(value * closing / abs(qty))
    return (got if held > 0 else -got) - closed


def _filled_value(filled: Order | OrderUpdate) -> Decimal:
    return money(filled.filled_qty * (filled.filled_avg_price or ZERO))
