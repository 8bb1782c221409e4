"""Daily limits: how much may be traded, lost and held on one trading date of the exchange."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from smabot.api import (
    ZERO,
    Book,
    Check,
    EquityPoint,
    Event,
    Fill,
    Order,
    Recovery,
    RecoveryStep,
    Rule,
    Status,
    end_of,
    hookimpl,
    record,
)
from smabot_risk.blocks import put_block
from smabot_risk.common import DayStart, RiskSettings, from_outside, opening_cash
from smabot_risk.daily_totals import Today

if TYPE_CHECKING:
    import click


NAME = "risk.daily_limits"
MOST = 1_000_000_000_000
"""Of anything that a limit counts: beyond it a limit is a slip of the pen."""


@record(table="daily_limits", key=("trading_date",))
class DayCounts:
    """What happened on a trading date of the exchange. Money in US dollars.

    ``trade_count`` counts orders with a fill, ``order_count`` orders that were not blocked.
    ``start_equity`` is the equity before the date's first event, and ``opening_cash`` the account's, by
    which a deposit or withdrawal moves it along.
    """

    trading_date: date
    trade_count: int = 0
    order_count: int = 0
    realized_pnl: Decimal = ZERO
    start_equity: Decimal = ZERO
    opening_cash: Decimal | None = None


@record(table="daily_symbol_limits", key=("symbol",))
class SymbolCounts:
    """The orders of a symbol on the last trading date that had any."""

    symbol: str
    trading_date: date
    order_count: int = 0


class DailySettings(RiskSettings):
    """The limits; 0 switches one off. Money in US dollars."""

    max_trades: int = Field(200, ge=0, le=MOST)
    """Orders with a fill."""
    max_orders: int = Field(500, ge=0, le=MOST)
    max_orders_per_symbol: int = Field(100, ge=0, le=MOST)
    max_order_qty: Decimal = Field(ZERO, ge=0, le=MOST)
    """Shares of one entry."""
    max_order_notional: Decimal = Field(Decimal(25_000), ge=0, le=MOST)
    """One entry's worth, at its limit, else at the last price."""
    max_loss: Decimal = Field(Decimal(2000), ge=0, le=MOST)
    """Realized and unrealized, against the equity that the date began with."""
    max_loss_fraction: Decimal = Field(ZERO, ge=0, lt=1)
    """The same as a fraction of that equity."""
    max_exposure: Decimal = Field(Decimal(100_000), ge=0, le=MOST)
    """Holdings and open entries at last prices, all symbols together."""
    max_exposure_per_symbol: Decimal = Field(Decimal(25_000), ge=0, le=MOST)


class DailyLimits(Rule):
    """The plugin. Its state is a row of the book for the date, and one for each symbol."""

    def __init__(self, settings: DailySettings) -> None:
        self._settings = settings
        self._start = DayStart()

    @hookimpl
    def records(self) -> list[type]:
        return [DayCounts, SymbolCounts]

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_risk.commands import limits_command

        cli.add_command(limits_command(self._settings))

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
        today, book = Today(recovery), recovery.book
        self._start.see(book.point, book)
        self._count(today, book)
        if curve := today.curve():
            lowest = min(worth.equity for worth in curve)
            self._block_after_loss(self._counts(today.date, book), lowest, book.now, book)
        return RecoveryStep(self._used(book))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "limits", self._used(book)

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> list[Check] | None:
        if self._settings.lets_pass(order):
            return None
        day = self._counts(book.trading_date, book)
        checks = self._sized(order, book) + self._counted(order, day, book)
        if not self._blocks(book, book.now):  # else core has said so
            checks += self._lost(day, book.equity())
        return [*checks, *self._exposed(order, book)]

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        if order.status is not Status.PENDING:
            return
        day = self._counts(book.trading_date, book)
        book.apply(replace(day, order_count=day.order_count + 1))
        count = _symbol_orders(order.symbol, day.trading_date, book)
        book.apply(SymbolCounts(order.symbol, day.trading_date, count + 1))

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        day = self._counts(book.calendar.trading_date(fill.time), book)
        trades, realized = day.trade_count + fill.first, day.realized_pnl + fill.realized_pnl
        book.apply(replace(day, trade_count=trades, realized_pnl=realized))

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> None:
        counts = self._counts(book.calendar.trading_date(point.time), book)
        book.apply(counts)
        self._start.see(point, book)
        self._block_after_loss(counts, point.equity, point.time, book)

    def _count(self, today: Today, book: Book) -> None:
        """Count the date's orders and trades, whoever was there when they were made."""
        orders, fills = today.orders(), today.fills()
        counts = self._counts(today.date, book)
        if book.row(DayCounts, today.date) is None:
            if not (orders or fills or today.curve()):
                return
            start = today.start_equity()
            counts = counts if start is None else replace(counts, start_equity=start)
        trades = sum(1 for fill in fills if fill.first)
        realized = sum((fill.realized_pnl for fill in fills), ZERO)
        made = Counter(order.symbol for order in orders)
        counts = replace(
            counts, trade_count=trades, order_count=made.total(), realized_pnl=realized
        )
        book.apply(counts)
        for symbol, count in made.items():
            book.apply(SymbolCounts(symbol, today.date, count))

    def _block_after_loss(self, day: DayCounts, equity: Decimal, now: datetime, book: Book) -> None:
        """A loss limit that was reached holds until its trading date ends, whatever equity does then."""
        loss = day.start_equity - equity
        if loss <= 0 or not any(self._reached(day, loss)) or self._blocks(book, now):
            return
        reached = next(check for check in self._lost(day, equity) if not check.passed)
        until = end_of(day.trading_date)
        put_block(book, NAME, self._settings.block, reached.reason, now, until)
        book.apply(Event(now, "limit_reached", NAME, reached.reason, grave=True))

    def _used(self, book: Book) -> str:
        day, settings = self._counts(book.trading_date, book), self._settings
        trades = f"{of_limit(day.trade_count, settings.max_trades)} trades today"
        of_loss = f" of {settings.max_loss:,.2f}" if settings.max_loss else ""
        loss = max(day.start_equity - book.equity(), ZERO)
        return f"{trades}, loss {loss:,.2f}{of_loss}"

    def _counts(self, day: date, book: Book) -> DayCounts:
        counts, opening = book.row(DayCounts, day), opening_cash(book)
        if counts is None:
            return DayCounts(day, start_equity=self._start.equity(book), opening_cash=opening)
        if counts.opening_cash == opening:
            return counts
        start = counts.start_equity + from_outside(counts.opening_cash, book)
        return replace(counts, start_equity=start, opening_cash=opening)

    def _sized(self, order: Order, book: Book) -> list[Check]:
        """One order's size. An exit is as large as what is held."""
        settings, checks = self._settings, []
        if order.reduces:
            return []
        if limit := settings.max_order_qty:
            checks.append(_check("max_order_qty", order.qty, limit, order.qty <= limit, "shares"))
        if limit := settings.max_order_notional:
            price = _price(order, book)
            if price is None:
                return [*checks, _unpriced("max_order_notional", limit, order)]
            value = order.qty * price
            checks.append(_check("max_order_notional", value, limit, value <= limit))
        return checks

    def _counted(self, order: Order, day: DayCounts, book: Book) -> list[Check]:
        settings, today, checks = self._settings, day.trading_date, []
        if most := settings.max_orders:
            count, room = day.order_count, day.order_count < most
            checks.append(_check("max_orders", count, most, room, f"orders on {today}"))
        if most := settings.max_orders_per_symbol:
            count = _symbol_orders(order.symbol, today, book)
            what = f"orders of {order.symbol} on {today}"
            checks.append(_check("max_orders_per_symbol", count, most, count < most, what))
        if most := settings.max_trades:
            # An open order may become a trade yet.
            orders, left = book.open_orders(), most - day.trade_count
            waiting = 0
            if len(orders) >= left:
                waiting = sum(1 for each in orders if not each.filled_qty)
            what = f"trades and {waiting} unfilled orders on {today}"
            checks.append(_check("max_trades", day.trade_count, most, waiting < left, what))
        return checks

    def _blocks(self, book: Book, now: datetime) -> bool:
        held = book.blocks.get((NAME, self._settings.block))
        return held is not None and held.holds(now)

    def _lost(self, day: DayCounts, equity: Decimal) -> list[Check]:
        settings, checks = self._settings, []
        if not (settings.max_loss or settings.max_loss_fraction):
            return []
        loss = day.start_equity - equity
        dollars, part = self._reached(day, loss)
        lost = f"lost {loss:,.2f} of {day.start_equity:,.2f} on {day.trading_date}"
        if limit := settings.max_loss:
            checks.append(_loss("max_loss", loss, f"{limit:,.2f}", not dollars, lost))
        if fraction := settings.max_loss_fraction:
            checks.append(_loss("max_loss_fraction", loss, f"{fraction:.2%}", not part, lost))
        return checks

    def _reached(self, day: DayCounts, loss: Decimal) -> tuple[bool, bool]:
        """Whether a loss has reached max_loss, and max_loss_fraction; asked of every point."""
        dollars, fraction = self._settings.max_loss, self._settings.max_loss_fraction
        return (
            dollars > 0 and loss >= dollars,
            fraction > 0 and loss > 0 and loss >= day.start_equity * fraction,
        )

    def _exposed(self, order: Order, book: Book) -> list[Check]:
        settings, checks = self._settings, []
        if order.reduces:
            return []
        for name, limit, symbol in (
            ("max_exposure", settings.max_exposure, None),
            ("max_exposure_per_symbol", settings.max_exposure_per_symbol, order.symbol),
        ):
            if not limit:
                continue
            price = _price(order, book)
            if price is None:
                checks.append(_unpriced(name, limit, order))
                continue
            exposure = book.exposure(symbol) + order.qty * price
            checks.append(_check(name, exposure, limit, exposure <= limit, "with this order"))
        return checks


def of_limit(count: int, most: int) -> str:
    """Say how much of a limit is used that exits count for, too, and pass; 0: there is none."""
    if not most:
        return f"{count:,}"
    return f"{count:,} of {most:,}" + (" (exits count, and pass)" if count > most else "")


def _price(order: Order, book: Book) -> Decimal | None:
    return order.limit_price or book.worse_price(order.symbol)


def _unpriced(name: str, limit: Decimal, order: Order) -> Check:
    why = f"{name} {limit:,.2f}: no price of {order.symbol} to judge it by"
    return Check(name, False, "", f"{limit:,.2f}", why)


def _check(
    name: str, value: int | Decimal, limit: int | Decimal, passed: bool, what: str = ""
) -> Check:
    """Return an answer; its words are made only where they are read."""
    unit = ",.2f" if isinstance(value, Decimal) and what != "shares" else ","
    measured, most = f"{value:{unit}}", f"{limit:{unit}}"
    reason = "" if passed else f"{name} {most}: {measured} {what}".rstrip()
    return Check(name, passed, measured, most, reason)


def _loss(name: str, loss: Decimal, limit: str, passed: bool, lost: str) -> Check:
    return Check(name, passed, f"{loss:,.2f}", limit, "" if passed else f"{name} {limit}: {lost}")


def _symbol_orders(symbol: str, day: date, book: Book) -> int:
    counts = book.row(SymbolCounts, symbol)
    return counts.order_count if counts and counts.trading_date == day else 0
