"""What the database says of a span: its orders' fills, what others traded, and moved cash."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from smabot.domain.bot_records import BotState
from smabot.domain.calendar import new_york_date
from smabot.domain.cash_movements import CashMovement
from smabot.domain.order_terms import Side
from smabot.domain.records import ZERO, Account, Adjustment, Fill, Order, Position
from smabot.engine.reconciling.cash_activities import COUNTED_FROM, LATE
from smabot.hooks.ports import Rows

SKEW = timedelta(minutes=1)
"""How far the broker's clock may be from the one that the orders' times are by."""
MOST_NAMES = 500
"""Ids that the database is asked for at once."""


@dataclass(frozen=True, slots=True)
class Traded:
    """What an order has filled: shares, and what they were traded for, US dollars without fees."""

    symbol: str
    side: Side
    qty: Decimal = ZERO
    value: Decimal = ZERO
    day: date | None = None

    def plus(self, qty: Decimal, value: Decimal, time: datetime) -> Traded:
        """Return it with more shares of its side."""
        day = self.day or new_york_date(time)
        return Traded(self.symbol, self.side, self.qty + qty, self.value + value, day)


@dataclass(frozen=True, slots=True)
class Span:
    """What is audited: orders that were made from ``orders_since`` on, and movements of cash that were booked
    from ``cash_since`` on; None: no movements. ``until`` ends both; None: now."""

    orders_since: datetime
    cash_since: date | None
    until: datetime | None = None

    def has_order(self, order: Order) -> bool:
        """Whether an order of the database is among them."""
        return self.orders_since <= order.created_at and (
            self.until is None or order.created_at < self.until
        )

    def has_day(self, booked_on: date) -> bool:
        """Whether a movement of cash is among them."""
        return self.cash_since is not None and (
            self.cash_since <= booked_on
            and (self.until is None or booked_on <= new_york_date(self.until))
        )

    @classmethod
    def from_time(cls, rows: Rows, since: datetime, until: datetime | None = None) -> Span:
        """Return the span of what filled since a time: its orders may have been made before."""
        filled = {fill.client_order_id for fill in rows.rows(Fill, since=("time", since))}
        orders = _orders(rows, "client_order_id", filled)
        begin = min([since, *(order.created_at for order in orders)]) - SKEW
        counted = rows.row(BotState, *COUNTED_FROM)
        if counted is None:
            return cls(begin, None, until)
        first = new_york_date(datetime.fromisoformat(counted.value)) - LATE
        return cls(begin, max(first, new_york_date(since)), until)


@dataclass(frozen=True, slots=True)
class OwnRecords:
    """The database's side. Orders and what external orders traded are by client order id."""

    orders: dict[str, Order]
    traded: dict[str, Traded]
    movements: dict[str, CashMovement]
    others: frozenset[str]
    """The broker's ids of orders that traded in the span and were made before it, or after it."""
    symbols: frozenset[str]
    """Symbols that the bot has ever held."""
    cash: Decimal


def own_records(rows: Rows, span: Span, seen: Collection[str]) -> OwnRecords:
    """Return what the database has of a span. ``seen``: the broker's ids of orders that traded in it."""
    made = rows.rows(Order, since=("created_at", span.orders_since), newest_by="created_at")
    orders = {order.client_order_id: order for order in made if span.has_order(order)}
    known = {order.broker_order_id for order in orders.values()}
    others = _orders(rows, "broker_order_id", set(seen) - known)
    moved = (
        []
        if span.cash_since is None
        else rows.rows(CashMovement, since=("booked_on", span.cash_since), newest_by="booked_on")
    )
    accounts = rows.rows(Account)
    return OwnRecords(
        orders,
        _traded(rows, span, orders),
        {each.activity_id: each for each in moved if span.has_day(each.booked_on)},
        frozenset(order.broker_order_id or "" for order in others),
        frozenset(position.symbol for position in rows.rows(Position)),
        accounts[0].cash if accounts else ZERO,
    )


def _orders(rows: Rows, column: str, ids: Iterable[str]) -> list[Order]:
    wanted, found = sorted(ids), list[Order]()
    for place in range(0, len(wanted), MOST_NAMES):
        found += rows.rows(Order, where={column: wanted[place : place + MOST_NAMES]})
    return found


def _traded(rows: Rows, span: Span, orders: dict[str, Order]) -> dict[str, Traded]:
    """Return what orders have filled in all, by their trades and what an audit has corrected; also what was
    adopted of external orders."""
    found: dict[str, Traded] = {}
    for fill in rows.rows(Fill, since=("time", span.orders_since), newest_by="time"):
        if fill.client_order_id in orders and fill.qty:
            before = found.get(fill.client_order_id) or Traded(fill.symbol, fill.side)
            value = fill.qty * fill.price
            found[fill.client_order_id] = before.plus(fill.qty, value, fill.time)
    since = ("time", span.orders_since)
    for row in rows.rows(Adjustment, since=since, newest_by="time"):
        name = row.client_order_id
        if not name:
            continue
        order, side = orders.get(name), Side.BUY if row.qty > 0 else Side.SELL
        before = found.get(name) or Traded(row.symbol, order.side if order else side)
        sign = before.side.sign
        found[name] = before.plus(row.qty * sign, -row.cash * sign, row.time)
    return {name: each for name, each in found.items() if each.qty or each.value}
