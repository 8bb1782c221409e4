"""Daily limits: how much may be traded, lost and held on one trading date of the exchange."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import Field

from smabot.book import Book
from smabot.hookspecs import Recovery, RecoveryStep, hookimpl
from smabot.records import ZERO, EquityPoint, Fill, Order, Status, Veto
from smabot.tables import record
from smabot_risk.common import DayStart, RiskSettings

if TYPE_CHECKING:
    import click


@record(table="daily_limits", key=("trading_date",))
class DayCounts:
    """What happened on a trading date of the exchange. Money in US dollars.

    ``trade_count`` counts orders with a fill, ``order_count`` orders that were not blocked.
    ``start_equity`` is the equity before the date's first event.
    """

    trading_date: date
    trade_count: int = 0
    order_count: int = 0
    realized_pnl: Decimal = ZERO
    start_equity: Decimal = ZERO


@record(table="daily_symbol_limits", key=("symbol",))
class SymbolCounts:
    """The orders of a symbol on the last trading date that had any."""

    symbol: str
    trading_date: date
    order_count: int = 0


class DailySettings(RiskSettings):
    """The limits; 0 switches one off. Money in US dollars."""

    max_trades: int = Field(200, ge=0)
    """Orders with a fill."""
    max_orders: int = Field(500, ge=0)
    max_orders_per_symbol: int = Field(100, ge=0)
    max_loss: Decimal = Field(Decimal(2000), ge=0)
    """Realized and unrealized, against the equity that the date began with."""
    max_loss_fraction: Decimal = Field(ZERO, ge=0, lt=1)
    """The same as a fraction of that equity."""
    max_exposure: Decimal = Field(Decimal(100_000), ge=0)
    """Holdings and open entries at last prices, all symbols together."""
    max_exposure_per_symbol: Decimal = Field(Decimal(25_000), ge=0)


class DailyLimits:
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
        self._start.see(recovery.book.point)
        return RecoveryStep(self._used(recovery.book))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "limits", self._used(book)

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> Veto | None:
        if self._settings.lets_pass(order):
            return None
        day = self._counts(book.trading_date, book)
        reached = (
            self._too_many(order, day, book)
            or self._lost_too_much(day, book)
            or self._too_exposed(order, book)
        )
        return Veto(reached) if reached else None

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
        day = book.calendar.trading_date(point.time)
        if book.row(DayCounts, day) is None:
            book.apply(self._counts(day, book))
        self._start.see(point)

    def _used(self, book: Book) -> str:
        day, settings = self._counts(book.trading_date, book), self._settings
        of_trades = f" of {settings.max_trades}" if settings.max_trades else ""
        of_loss = f" of {settings.max_loss:,.2f}" if settings.max_loss else ""
        loss = max(day.start_equity - book.equity(), ZERO)
        return f"{day.trade_count}{of_trades} trades today, loss {loss:,.2f}{of_loss}"

    def _counts(self, day: date, book: Book) -> DayCounts:
        return book.row(DayCounts, day) or DayCounts(day, start_equity=self._start.equity(book))

    def _too_many(self, order: Order, day: DayCounts, book: Book) -> str:
        settings, today = self._settings, day.trading_date
        if settings.max_orders and day.order_count >= settings.max_orders:
            return f"max_orders {settings.max_orders}: {day.order_count} orders on {today}"
        if settings.max_orders_per_symbol:
            count = _symbol_orders(order.symbol, today, book)
            if count >= settings.max_orders_per_symbol:
                limit = f"max_orders_per_symbol {settings.max_orders_per_symbol}"
                return f"{limit}: {count} orders of {order.symbol} on {today}"
        if settings.max_trades:
            # An open order may become a trade yet.
            orders, left = book.open_orders(), settings.max_trades - day.trade_count
            if len(orders) >= left and (
                (waiting := sum(1 for each in orders if not each.filled_qty)) >= left
            ):
                trades = f"{day.trade_count} trades and {waiting} unfilled orders"
                return f"max_trades {settings.max_trades}: {trades} on {today}"
        return ""

    def _lost_too_much(self, day: DayCounts, book: Book) -> str:
        settings = self._settings
        if not (settings.max_loss or settings.max_loss_fraction):
            return ""
        loss = day.start_equity - book.equity()
        lost = f"lost {loss:,.2f} of {day.start_equity:,.2f} on {day.trading_date}"
        if settings.max_loss and loss >= settings.max_loss:
            return f"max_loss {settings.max_loss:,.2f}: {lost}"
        fraction = settings.max_loss_fraction
        if fraction and loss > 0 and loss >= day.start_equity * fraction:
            return f"max_loss_fraction {fraction:.2%}: {lost}"
        return ""

    def _too_exposed(self, order: Order, book: Book) -> str:
        settings = self._settings
        limits = (
            ("max_exposure", settings.max_exposure, None),
            ("max_exposure_per_symbol", settings.max_exposure_per_symbol, order.symbol),
        )
        for name, limit, symbol in limits:
            if not limit or order.reduces:
                continue
            price = order.limit_price or book.price(order.symbol)
            if price is None:
                return f"{name} {limit:,.2f}: no price of {order.symbol} to judge it by"
            exposure = book.exposure(symbol) + order.qty * price
            if exposure > limit:
                return f"{name} {limit:,.2f}: {exposure:,.2f} with this order"
        return ""


def _symbol_orders(symbol: str, day: date, book: Book) -> int:
    counts = book.row(SymbolCounts, symbol)
    return counts.order_count if counts and counts.trading_date == day else 0
