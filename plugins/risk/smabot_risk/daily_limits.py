"""Daily limits: how much may be traded, lost and held on one trading date of the exchange."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from smabot.api import (
    ZERO,
    Book,
    Check,
    EquityBounds,
    EquityPoint,
    Event,
    Fill,
    Order,
    Recovery,
    RecoveryStep,
    Rule,
    Status,
    Veto,
    end_of,
    hookimpl,
    read_checks,
    replace,
)
from smabot_risk.blocks import put_block
from smabot_risk.daily_counts import DayCounts, SymbolCounts, count_of_limit, orders_of_symbol
from smabot_risk.day_start import DayStart
from smabot_risk.equity_floor import equity_floor
from smabot_risk.external_cash import external_cash_since, opening_cash
from smabot_risk.settings import DailyLimitsSettings
from smabot_risk.trading_day import TradingDay

if TYPE_CHECKING:
    import click


NAME = "risk.daily_limits"


class DailyLimits(Rule):
    """The plugin. Its state is a row of the book for the date, and one for each symbol."""

    def __init__(self, settings: DailyLimitsSettings) -> None:
        self._settings = settings
        self._day_start = DayStart()
        self._floor_of: Decimal | None = None
        self._floor = ZERO

    @hookimpl
    def records(self) -> list[type]:
        return [DayCounts, SymbolCounts]

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        from smabot_risk.commands import limits_command

        cli.add_command(limits_command(self._settings))

    @hookimpl
    def on_startup_recover(self, recovery: Recovery) -> RecoveryStep:
        today, book = TradingDay(recovery), recovery.book
        self._day_start.note_point(book.point, book.account)
        self._recount(today, book)
        if curve := today.curve():
            lowest = min(worth.equity for worth in curve)
            self._block_after_loss(self._counts(today.date, book), lowest, book.now, book)
        return RecoveryStep(self._describe_use(book))

    @hookimpl
    def describe(self, book: Book) -> tuple[str, str]:
        return "limits", self._describe_use(book)

    @hookimpl
    def before_submit(self, order: Order, book: Book) -> list[Check] | None:
        if self._settings.exempts_order(order):
            return None
        day = self._counts(book.trading_date, book)
        checks = self._size_checks(order, book) + self._count_checks(order, day, book)
        if not self._is_blocking(book, book.now):  # else core has said so
            checks += self._loss_checks(day, book.equity())
        return [*checks, *self._exposure_checks(order, book)]

    @hookimpl
    def may_leave(self, order: Order, book: Book) -> Veto | None:
        """Judge an entry that was made when this plugin was off, or its limits were wider."""
        if order.reduces or book.order(order.client_order_id) is None:  # `before_submit` judges it
            return None
        day = self._counts(book.trading_date, book)
        counts = self._count_checks(order, day, book, made=True)
        checks = self._size_checks(order, book) + self._exposure_checks(order, book, made=True)
        checks += [check for check in counts if not _passed_when_made(check, order)]
        failed = [check.reason for check in checks if not check.passed]
        return Veto("; ".join(failed)) if failed else None

    @hookimpl
    def on_order(self, order: Order, book: Book) -> None:
        if order.status is not Status.PENDING:
            return
        day = self._counts(book.trading_date, book)
        book.apply(replace(day, order_count=day.order_count + 1))
        count = orders_of_symbol(order.symbol, day.trading_date, book)
        book.apply(SymbolCounts(order.symbol, day.trading_date, count + 1))

    @hookimpl
    def on_fill(self, fill: Fill, book: Book) -> None:
        day = self._counts(book.calendar.trading_date(fill.time), book)
        trades, realized = day.trade_count + fill.first, day.realized_pnl + fill.realized_pnl
        book.apply(replace(day, trade_count=trades, realized_pnl=realized))

    @hookimpl
    def on_equity(self, point: EquityPoint, book: Book) -> EquityBounds:
        day, account = book.calendar.trading_date(point.time), book.account
        counts = book.row(DayCounts, day)
        if counts is None or account is None or counts.opening_cash != account.opening_cash:
            counts = self._counts(day, book, point)
            book.apply(counts)
        self._day_start.note_point(point, account)
        start = counts.start_equity
        if start is not self._floor_of:
            fraction, dollars = self._settings.max_loss_fraction, self._settings.max_loss
            self._floor_of, self._floor = start, equity_floor(start, fraction, dollars)
        if point.equity < self._floor:
            self._block_after_loss(counts, point.equity, point.time, book)
        return EquityBounds(floor=self._floor, until=end_of(day))

    def _recount(self, today: TradingDay, book: Book) -> None:
        """Count the date's orders and trades, also those made in runs without this plugin."""
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
        """Block entries once a loss limit is reached, until the trading date ends, whatever equity does then."""
        loss = day.start_equity - equity
        if loss <= 0 or not any(self._reached(day, loss)) or self._is_blocking(book, now):
            return
        reached = next(check for check in self._loss_checks(day, equity) if not check.passed)
        until = end_of(day.trading_date)
        put_block(book, NAME, self._settings.block, reached.reason, now, until)
        book.apply(Event(now, "limit_reached", NAME, reached.reason, grave=True))

    def _describe_use(self, book: Book) -> str:
        day, settings = self._counts(book.trading_date, book), self._settings
        trades = f"{count_of_limit(day.trade_count, settings.max_trades)} orders filled today"
        of_loss = f" of {settings.max_loss:,.2f}" if settings.max_loss else ""
        loss = max(day.start_equity - book.equity(), ZERO)
        return f"{trades}, loss {loss:,.2f}{of_loss}"

    def _counts(self, day: date, book: Book, present: EquityPoint | None = None) -> DayCounts:
        counts, opening = book.row(DayCounts, day), opening_cash(book)
        if counts is None:
            start = self._day_start.equity(book, present)
            return DayCounts(day, start_equity=start, opening_cash=opening)
        if counts.opening_cash == opening:
            return counts
        start = counts.start_equity + external_cash_since(counts.opening_cash, book)
        return replace(counts, start_equity=start, opening_cash=opening)

    def _size_checks(self, order: Order, book: Book) -> list[Check]:
        """Check one order's size. Exits pass: an exit is as large as the position."""
        settings, checks = self._settings, []
        if order.reduces:
            return []
        if limit := settings.max_order_qty:
            checks.append(_check("max_order_qty", order.qty, limit, order.qty <= limit, "shares"))
        if limit := settings.max_order_notional:
            price = _price(order, book)
            if price is None:
                return [*checks, _no_price_check("max_order_notional", limit, order)]
            value = order.qty * price
            checks.append(_check("max_order_notional", value, limit, value <= limit))
        return checks

    def _count_checks(
        self, order: Order, day: DayCounts, book: Book, *, made: bool = False
    ) -> list[Check]:
        """Check how many orders there are; ``made``: this one is among them."""
        settings, today, checks = self._settings, day.trading_date, []
        if most := settings.max_orders:
            count = day.order_count - made
            checks.append(_check("max_orders", count, most, count < most, f"orders on {today}"))
        if most := settings.max_orders_per_symbol:
            count = orders_of_symbol(order.symbol, today, book) - made
            what = f"orders of {order.symbol} on {today}"
            checks.append(_check("max_orders_per_symbol", count, most, count < most, what))
        if most := settings.max_trades:
            # An open order may become a trade yet.
            orders, left = book.open_orders(), most - day.trade_count
            waiting = 0
            if len(orders) >= left:
                waiting = sum(1 for each in orders if not each.filled_qty) - made
            what = f"filled and {waiting} open orders on {today}"
            checks.append(_check("max_trades", day.trade_count, most, waiting < left, what))
        return checks

    def _is_blocking(self, book: Book, now: datetime) -> bool:
        held = book.blocks.get((NAME, self._settings.block))
        return held is not None and held.holds(now)

    def _loss_checks(self, day: DayCounts, equity: Decimal) -> list[Check]:
        settings, checks = self._settings, []
        if not (settings.max_loss or settings.max_loss_fraction):
            return []
        loss = max(day.start_equity - equity, ZERO)
        dollars, part = self._reached(day, loss)
        lost = f"lost {loss:,.2f} of {day.start_equity:,.2f} on {day.trading_date}"
        if limit := settings.max_loss:
            checks.append(_loss_check("max_loss", loss, f"{limit:,.2f}", not dollars, lost))
        if fraction := settings.max_loss_fraction:
            checks.append(_loss_check("max_loss_fraction", loss, f"{fraction:.2%}", not part, lost))
        return checks

    def _reached(self, day: DayCounts, loss: Decimal) -> tuple[bool, bool]:
        """Whether a loss has reached max_loss, and max_loss_fraction; called for every point."""
        dollars, fraction = self._settings.max_loss, self._settings.max_loss_fraction
        return (
            dollars > 0 and loss >= dollars,
            fraction > 0 and loss > 0 and loss >= day.start_equity * fraction,
        )

    def _exposure_checks(self, order: Order, book: Book, *, made: bool = False) -> list[Check]:
        """Check what would be held; ``made``: this order is among the open ones."""
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
                checks.append(_no_price_check(name, limit, order))
                continue
            more = -_below_last_prices(symbol, book) if made else order.qty * price
            exposure = book.exposure(symbol) + more
            checks.append(_check(name, exposure, limit, exposure <= limit, "with this order"))
        return checks


def _passed_when_made(check: Check, order: Order) -> bool:
    """Whether an order has passed a check by the same limit.

    It is not counted against again: exits, which may be made beyond a limit while it waits, would stop it.
    """
    return any(
        each.passed and each.name == check.name and each.limit == check.limit
        for each in read_checks(order.checks)
    )


def _price(order: Order, book: Book) -> Decimal | None:
    return order.limit_price or book.worse_price(order.symbol)


def _below_last_prices(symbol: str | None, book: Book) -> Decimal:
    """Return how much less the open entries in a symbol, or in all, cost by their limits than by last prices.

    Each was admitted by its limit, and counts among the open ones by the last price.
    """
    less = ZERO
    for order in book.open_orders():
        last = book.worse_price(order.symbol)
        if order.limit_price and last and not order.reduces and symbol in (None, order.symbol):
            less += max(abs(order.open_qty) * (last - order.limit_price), ZERO)
    return less


def _no_price_check(name: str, limit: Decimal, order: Order) -> Check:
    why = f"{name} {limit:,.2f}: no price of {order.symbol} to check it by"
    return Check(name, False, "", f"{limit:,.2f}", why)


def _check(
    name: str, value: int | Decimal, limit: int | Decimal, passed: bool, what: str = ""
) -> Check:
    """Return a check; its texts are made only where they are read."""
    unit = ",.2f" if isinstance(value, Decimal) and what != "shares" else ","
    measured, most = f"{value:{unit}}", f"{limit:{unit}}"
    reason = "" if passed else f"{name} {most}: {measured} {what}".rstrip()
    return Check(name, passed, measured, most, reason)


def _loss_check(name: str, loss: Decimal, limit: str, passed: bool, lost: str) -> Check:
    return Check(name, passed, f"{loss:,.2f}", limit, "" if passed else f"{name} {limit}: {lost}")
