"""The only mutable domain state. `Book.apply` is the only way to change it.

It is a fold: the same records give the same Book, and a record that is already known changes
nothing. What `apply` changed waits in the Book until the step's commit drains it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from smabot.domain.bar_checks import bad_bar_event, is_valid_bar
from smabot.domain.calendar import Calendar
from smabot.domain.records import (
    HALT,
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

R = TypeVar("R")
Holding = tuple[str, str]
"""A strategy and a symbol."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLLAR = Decimal("0.10")
ASKED_FOR = timedelta(days=7)
"""How long the broker is asked about an order that was ended without its word."""
STALE = timedelta(minutes=5)
"""The age from which on a price says no more what a symbol is worth."""


class Book:
    """Positions, cash, orders, last prices, last signals and the plugins' declared records."""

    def __init__(
        self,
        calendar: Calendar | None = None,
        find_order: Callable[[str], Order | None] | None = None,
        collar: Decimal = COLLAR,
    ) -> None:
        """``collar``: the fraction that a close may be away from the one before; 0: any."""
        self.calendar = calendar or Calendar()
        self.now = EPOCH
        self.account: Account | None = None
        self.last: dict[str, Bar] = {}
        self.orders: dict[str, Order] = {}
        self.positions: dict[Holding, Position] = {}
        self.signals: dict[Holding, SignalState] = {}
        self.blocks: dict[tuple[str, str], Block] = {}
        self.ignored: frozenset[str] = frozenset()
        """Plugins whose blocks hold no order of this run, by the operator's word."""
        self.marks: dict[str, Mark] = {}
        """Prices that were asked for because no bar came, by symbol."""
        self.point: EquityPoint | None = None
        self.find_order = find_order
        self._latest: dict[Holding, str] = {}
        self._open: dict[str, Order] = {}
        self.canceling: dict[str, Order] = {}
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
        """Return the newest order of a holding: one that is open before one that was blocked since."""
        return self.orders.get(self._latest.get((strategy, symbol), ""))

    def open_orders(self) -> list[Order]:
        """Return the orders that may still fill, oldest first."""
        return list(self._open.values())

    def unconfirmed(self) -> list[Order]:
        """Return the orders that were ended here lately, and not yet by the broker's word.

        They may still fill there.
        """
        since, given_up = self.now - ASKED_FOR, self._given_up.values()
        return [o for o in given_up if o.given_up_at is not None and o.given_up_at >= since]

    def working(self, symbol: str) -> Iterable[Order]:
        """Return a symbol's open orders, of all strategies."""
        return self._valuation.orders(symbol)

    def holding(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy holds."""
        position = self.positions.get((strategy, symbol))
        return position.qty if position else ZERO

    def in_symbol(self, symbol: str) -> Mapping[str, Position]:
        """Return the positions of a symbol by their strategies, closed ones too."""
        return MappingProxyType(self._in_symbol.get(symbol, {}))

    def open_qty(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy's open orders may still fill."""
        orders = self._valuation.orders(symbol)
        return sum((order.open_qty for order in orders if order.strategy == strategy), ZERO)

    def net(self, symbol: str) -> Decimal:
        """Return the signed shares held of a symbol by all strategies together."""
        return self._valuation.held(symbol)

    def price(self, symbol: str) -> Decimal | None:
        """Return the last price of a symbol in US dollars, or None before its first one.

        It is the last bar's close, or what was asked for since.
        """
        bar, mark = self.last.get(symbol), self.marks.get(symbol) if self.marks else None
        if mark is not None and (bar is None or mark.time > bar.end):
            return mark.price
        return Decimal(repr(bar.close)) if bar else None

    def priced_at(self, symbol: str) -> datetime | None:
        """Return when a symbol had its last price, or None before its first one."""
        bar, mark = self.last.get(symbol), self.marks.get(symbol)
        if bar is None or mark is None:
            return bar.end if bar else mark.time if mark else None
        return max(bar.end, mark.time)

    def age(self, priced_at: datetime | None, now: datetime) -> timedelta:
        """Return how old a price is within the session that is open at an instant; 0 where none is.

        It counts from the session's open on: before, there was nothing newer.
        """
        session = self.calendar.session_at(now)
        if session is None:
            return timedelta(0)
        return now - max(priced_at or session.open, session.open)

    def stale(self, symbol: str, now: datetime) -> bool:
        """Whether a symbol's last price is too old for the session that is open at an instant."""
        return self.age(self.priced_at(symbol), now) >= STALE

    def at_risk(self) -> list[str]:
        """Return the symbols that are held or have open orders, sorted."""
        return self._valuation.symbols()

    def jumped_from(self, symbol: str) -> Decimal | None:
        """Return the close before the last bar where that bar is outside the price collar."""
        before = self._before.get(symbol)
        return None if before is None else Decimal(repr(before))

    def worse_price(self, symbol: str) -> Decimal | None:
        """Return the last price for sizes and exposure: the higher one over a jump of the price.

        One bad print can so make no order larger than the price before it would.
        """
        price, before = self.price(symbol), self.jumped_from(symbol)
        return price if price is None or before is None else max(price, before)

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return the dollars at risk in a symbol, or in all: holdings and open buys at last prices."""
        return self._valuation.exposure(symbol)

    def blocking(self, *, reduces: bool = False) -> list[Block]:
        """Return the blocks that hold an entry now, or (``reduces``) an exit."""
        scopes = ("all",) if reduces else ("all", "entries")
        return [
            block
            for block in self.blocks.values()
            if block.scope in scopes and block.holds(self.now) and block.plugin not in self.ignored
        ]

    @property
    def halted(self) -> str:
        """Why an operator halted entries; empty when none did."""
        halt = self.blocks.get((HALT, "entries"))
        return halt.reason if halt is not None and halt.until is None else ""

    def positions_value(self) -> Decimal:
        """Return the worth of all positions at last prices."""
        return self._valuation.value()

    def realized_pnl(self) -> Decimal:
        """Return the P&L realized since the database began."""
        return self._realized_pnl

    def equity(self) -> Decimal:
        """Return cash plus positions at last prices."""
        return (self.account.cash if self.account else ZERO) + self.positions_value()

    @property
    def at_rest(self) -> bool:
        """Whether no order is open and no target differs from what is held."""
        return not self._open and not self._unsettled

    def unsettled(self) -> Mapping[str, Mapping[str, SignalState]]:
        """Return, by symbol and strategy, the signal states whose target is not what is held."""
        return MappingProxyType(self._unsettled)

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
