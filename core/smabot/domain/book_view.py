"""The Book as whoever decides sees it: all of it to read, and `apply` for rows of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from smabot.domain.calendar import Calendar
from smabot.domain.records import (
    HALT,
    ZERO,
    Account,
    Bar,
    Block,
    EquityPoint,
    Fill,
    Mark,
    Order,
    OrderUpdate,
    Position,
    SignalState,
)
from smabot.domain.valuation import Valuation

R = TypeVar("R")
Holding = tuple[str, str]
"""A strategy and a symbol."""

COLLAR = Decimal("0.10")
ASKED_FOR = timedelta(days=7)
"""How long the broker is asked about an order that was ended without its word."""
STALE = timedelta(minutes=5)
"""The age from which on a price says no more what a symbol is worth."""


class BookView:
    """Positions, cash, orders, last prices, last signals and the plugins' declared records.

    A plugin changes them by `apply` alone. A test makes a ``Book()`` and applies what it needs.
    """

    _open: dict[str, Order]
    _latest: dict[Holding, str]
    _given_up: dict[str, Order]
    _valuation: Valuation
    _realized_pnl: Decimal
    _before: dict[str, float]
    _unsettled: dict[str, dict[str, SignalState]]
    _in_symbol: dict[str, dict[str, Position]]
    _tables: dict[type, dict[tuple[Any, ...], Any]]
    find_order: Callable[[str], Order | None] | None

    if TYPE_CHECKING:

        def __init__(
            self,
            calendar: Calendar | None = None,
            find_order: Callable[[str], Order | None] | None = None,
            collar: Decimal = COLLAR,
        ) -> None: ...

        def apply(self, record: Any) -> bool:
            """Take in a row of a record that the plugin declared, its own `Block`, or an `Event`.

            False: it was known already, and nothing changed. A row replaces the one with its key.
            """

        def copy(self) -> BookView:
            """Return a book of its own with the same account, positions, open orders and last prices."""

        def fill_of(self, update: OrderUpdate) -> Fill | None:
            """Return the fill that an update would add, or None when it adds no shares."""

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
        def last(self) -> Mapping[str, Bar]:
            """Each symbol's last bar."""

        @property
        def orders(self) -> Mapping[str, Order]:
            """Orders by their ids: the open ones, and each holding's latest."""

        @property
        def positions(self) -> Mapping[Holding, Position]:
            """Positions by strategy and symbol, closed ones too."""

        @property
        def signals(self) -> Mapping[Holding, SignalState]:
            """The last signals by strategy and symbol."""

        @property
        def blocks(self) -> Mapping[tuple[str, str], Block]:
            """Blocks by plugin and scope, those that no longer hold too."""

        @property
        def ignored(self) -> frozenset[str]:
            """Plugins whose blocks hold no order of this run, by the operator's word."""

        @property
        def marks(self) -> Mapping[str, Mark]:
            """Prices that were asked for because no bar came, by symbol."""

        @property
        def point(self) -> EquityPoint | None:
            """What the account was worth last."""

        @property
        def canceling(self) -> Mapping[str, Order]:
            """Open orders whose cancel was asked for, by their ids."""

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
