"""What the daily limits count: a row for the trading date, and one for each symbol."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from smabot.api import ZERO, Book, record


@record(table="daily_limits", key=("trading_date",))
class DayCounts:
    """What happened on a trading date of the exchange. Money in US dollars.

    ``trade_count`` counts orders with a fill, ``order_count`` orders that were not blocked.
    ``start_equity`` is the equity before the date's first event, and ``opening_cash`` the account's, by
    which a deposit or withdrawal moves it.
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


def orders_of_symbol(symbol: str, day: date, book: Book) -> int:
    """Return how many orders a symbol had on a trading date."""
    counts = book.row(SymbolCounts, symbol)
    return counts.order_count if counts and counts.trading_date == day else 0


def count_of_limit(count: int, most: int) -> str:
    """Say how much of a limit is used; exits count, too, and pass. A limit of 0: there is none."""
    if not most:
        return f"{count:,}"
    return f"{count:,} of {most:,}" + (" (exits count, and pass)" if count > most else "")
