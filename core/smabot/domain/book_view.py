"""The book as it is read: positions, cash, orders, last prices, last signals, declared records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from smabot.domain.bot_records import Block
from smabot.domain.calendar import Calendar
from smabot.domain.cost_basis import filled_value
from smabot.domain.declared_rows import DeclaredRows
from smabot.domain.known_blocks import KnownBlocks
from smabot.domain.known_orders import KnownOrders
from smabot.domain.known_positions import KnownPositions
from smabot.domain.known_splits import KnownSplits
from smabot.domain.last_prices import LastPrices
from smabot.domain.records import (
    MICRO,
    ZERO,
    Account,
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
from smabot.domain.valuation import Valuation
from smabot.domain.wanted_targets import WantedTargets

R = TypeVar("R")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLLAR = Decimal("0.10")
ASKED_FOR = timedelta(days=7)
"""How long the bot queries an order that it ended without the broker's confirmation."""
STALE = timedelta(minutes=5)
"""The age from which on a price is stale."""


class BookView:
    """Positions, cash, orders, last prices, last signals and the plugins' declared records.

    A type checker sees a plugin's `Book` as this class: read-only, with `apply` for the plugin's
    own rows. A test makes a ``Book()`` and applies what it needs.
    """

    if TYPE_CHECKING:  # what a Book has to be written, and a plugin to be read

        @property
        def calendar(self) -> Calendar:
            """The exchange's sessions."""

        @property
        def now(self) -> datetime:
            """The time of the step, UTC."""

        @property
        def account(self) -> Account | None:
            """The account as last committed, with its cash."""

        @property
        def point(self) -> EquityPoint | None:
            """The last point of the equity curve."""

        @property
        def point_before(self) -> EquityPoint | None:
            """The point before the last one; None where this process has seen none."""

        @property
        def stances(self) -> int:
            """How often blocks and targets have changed. After a change the gate checks waiting orders again."""

        def apply(self, record: Any) -> bool:
            """Apply a row of a record that the plugin declared, its own `Block`, or an `Event`.

            False: the book had it already, and nothing changed. A row replaces the one with its key.
            """

        def copy(self) -> BookView:
            """Return an independent book with the same account, positions, open orders and last prices."""

    def __init__(
        self,
        calendar: Calendar | None = None,
        find_order: Callable[[str], Order | None] | None = None,
        collar: Decimal = COLLAR,
    ) -> None:
        """``collar``: the fraction that a close may be away from the one before; 0: any."""
        self._prices = LastPrices(collar)
        self._orders = KnownOrders(find_order)
        self._positions = KnownPositions()
        self._targets = WantedTargets()
        self._blocks = KnownBlocks()
        self._rows = DeclaredRows()
        self._splits = KnownSplits()
        self._valuation = Valuation(self._value_price, self._prices.jumped_from)

    @property
    def last(self) -> Mapping[str, Bar]:
        """The last bar of each symbol."""
        return self._prices.bars

    @property
    def marks(self) -> Mapping[str, Mark]:
        """Prices that the bot requested because no bar came, by symbol."""
        return self._prices.marks

    @property
    def orders(self) -> Mapping[str, Order]:
        """Orders by id: the open ones, and the newest of each position."""
        return self._orders.all

    @property
    def canceling(self) -> Mapping[str, Order]:
        """Open orders whose cancel was requested, by id."""
        return self._orders.canceling

    @property
    def positions(self) -> Mapping[Holding, Position]:
        """Positions by strategy and symbol, closed ones too."""
        return self._positions.all

    @property
    def signals(self) -> Mapping[Holding, SignalState]:
        """The last signal of each strategy in each symbol."""
        return self._targets.signals

    @property
    def ignored(self) -> frozenset[str]:
        """Plugins whose blocks the operator ignores in this run (`--ignore-block`)."""
        return self._blocks.ignored

    @property
    def blocks(self) -> Mapping[tuple[str, str], Block]:
        """Blocks by plugin and scope."""
        return self._blocks.all

    @property
    def splits(self) -> KnownSplits:
        """The corporate actions that the bot knows, and what they hold back."""
        return self._splits

    def split_holds(self, symbol: str) -> str:
        """Return the split for which nothing is bought or sold in a symbol now; empty where none is."""
        return self._splits.holds(symbol, self.now)

    @property
    def changes(self) -> int:
        """How often orders and positions have changed. An answer requested before a change may be outdated."""
        return self._orders.changes + self._positions.changes

    @property
    def trading_date(self) -> date:
        """The exchange's trading date now."""
        return self.calendar.trading_date(self.now)

    def row(self, kind: type[R], *key: object) -> R | None:
        """Return a plugin's declared record by its key, or None."""
        rows = self._rows.tables.get(kind)
        return rows.get(key) if rows else None

    def table(self, kind: type[R]) -> list[R]:
        """Return all records that a plugin declared and that are restored at start."""
        return self._rows.table(kind)

    def order(self, client_order_id: str) -> Order | None:
        """Return an order, from the journal if it ended long ago, or None."""
        return self._orders.get(client_order_id)

    def latest_order(self, strategy: str, symbol: str) -> Order | None:
        """Return the newest order of a position. An open order comes before a later entry that was blocked."""
        return self._orders.latest((strategy, symbol))

    def open_orders(self) -> list[Order]:
        """Return the orders that may still fill, oldest first."""
        return list(self._orders.open.values())

    def unconfirmed(self) -> list[Order]:
        """Return the orders that the bot ended lately, and whose end the broker has not confirmed.

        They may still fill at the broker.
        """
        return self._orders.given_up_since(self.now - ASKED_FOR)

    def working(self, symbol: str) -> Iterable[Order]:
        """Return a symbol's open orders, of all strategies."""
        return self._valuation.orders(symbol)

    def holding(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy holds."""
        return self._positions.qty((strategy, symbol))

    def in_symbol(self, symbol: str) -> Mapping[str, Position]:
        """Return the positions of a symbol by their strategies, closed ones too."""
        return MappingProxyType(self._positions.by_symbol.get(symbol, {}))

    def open_qty(self, strategy: str, symbol: str) -> Decimal:
        """Return the signed shares that a strategy's open orders may still fill."""
        orders = self._valuation.orders(symbol)
        return sum((order.open_qty for order in orders if order.strategy == strategy), ZERO)

    def net(self, symbol: str) -> Decimal:
        """Return the signed shares held of a symbol by all strategies together."""
        return self._valuation.held(symbol)

    def price(self, symbol: str) -> Decimal | None:
        """Return the last price of a symbol in US dollars, or None before its first one.

        It is the last bar's close, or a newer price that the bot requested.
        """
        return self._prices.price(symbol)

    def priced_at(self, symbol: str) -> datetime | None:
        """Return when a symbol had its last price, or None before its first one."""
        return self._prices.priced_at(symbol)

    def age(self, priced_at: datetime | None, now: datetime) -> timedelta:
        """Return how old a price is within the session that is open at an instant; 0 where none is.

        It counts from the session's open, as there is nothing newer before.
        """
        session = self.calendar.session_at(now)
        if session is None:
            return timedelta(0)
        return now - max(priced_at or session.open, session.open)

    def stale(self, symbol: str, now: datetime) -> bool:
        """Whether a symbol's last price is too old for the session that is open at an instant."""
        return self.age(self.priced_at(symbol), now) >= STALE

    def at_risk(self) -> list[str]:
        """Return the symbols with a position or an open order, sorted."""
        return self._valuation.symbols()

    def jumped_from(self, symbol: str) -> Decimal | None:
        """Return the close before the last bar where that bar is outside the price collar."""
        return self._prices.jumped_from(symbol)

    def worse_price(self, symbol: str) -> Decimal | None:
        """Return the price for sizes and exposure: the last one, after a jump the higher one of both.

        So one bad print can't make an order larger than the price before it would.
        """
        price, before = self.price(symbol), self.jumped_from(symbol)
        return price if price is None or before is None else max(price, before)

    def exposure(self, symbol: str | None = None) -> Decimal:
        """Return the exposure in a symbol, or in all, in US dollars: positions and open buys at last prices."""
        return self._valuation.exposure(symbol)

    def blocking(self, *, reduces: bool = False) -> list[Block]:
        """Return the blocks that now stop an entry, or (``reduces``) an exit."""
        return self._blocks.holding(self.now, reduces=reduces)

    @property
    def halted(self) -> str:
        """Why an operator halted entries; empty when none did."""
        return self._blocks.halted

    def positions_value(self) -> Decimal:
        """Return the worth of all positions at last prices."""
        return self._valuation.value()

    def realized_pnl(self) -> Decimal:
        """Return the P&L realized since the database was created."""
        return self._positions.realized_pnl

    def equity(self) -> Decimal:
        """Return cash plus positions at last prices."""
        return (self.account.cash if self.account else ZERO) + self.positions_value()

    @property
    def at_rest(self) -> bool:
        """Whether no order is open and no target differs from what is held."""
        return not self._orders.open and not self._targets.unsettled

    def unsettled(self) -> Mapping[str, Mapping[str, SignalState]]:
        """Return, by symbol and strategy, the signal states whose target differs from the position."""
        return MappingProxyType(self._targets.unsettled)

    def fill_of(self, update: OrderUpdate) -> Fill | None:
        """Return the fill that an update would add, or None when it adds no shares."""
        order = self.order(update.client_order_id)
        if order is None or update.filled_qty <= order.filled_qty:
            return None
        if update.filled_avg_price is None:
            return None
        value, new_value = filled_value(order), filled_value(update)
        qty = update.filled_qty - order.filled_qty
        gross = self._positions.realized_by(order, update.filled_qty, new_value) - order.gross_pnl
        fees = update.fees - order.fees
        price = ((new_value - value) / qty).quantize(MICRO)
        return Fill(
            client_order_id=order.client_order_id,
            cumulative_qty=update.filled_qty,
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            qty=qty,
            price=price,
            realized_pnl=gross - fees,
            time=update.filled_at or update.time,
            reduces=order.reduces,
            fees=fees,
        )

    def _value_price(self, symbol: str) -> Decimal:
        price = self._prices.value_price(symbol)
        return self._positions.average_price(symbol) if price is None else price
