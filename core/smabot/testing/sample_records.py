"""Bars, orders and fills for tests, with defaults for all that a test does not care about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from typing import Any

from smabot.domain.calendar import EXCHANGE_ZONE, MINUTE, Session
from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.domain.records import ZERO, Bar, Fill, Order

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""The first minute of a Monday's regular session."""
FIRST_DAY = OPEN.date()


def bars(
    symbol: str,
    closes: Iterable[float | None],
    *,
    start: datetime = OPEN,
    spread: float = 0.0,
    volume: float = 10_000.0,
) -> list[Bar]:
    """Return bars of one minute each, a close a minute from ``start`` on (UTC); None: no bar.

    A bar opens at the close before it. ``spread`` is how far, in US dollars, the high and the low lie
    beyond open and close.
    """
    made: list[Bar] = []
    before: float | None = None
    for minute, close in enumerate(closes):
        if close is None:
            continue
        end, begin = float(close), float(close if before is None else before)
        high, low = max(begin, end) + spread, min(begin, end) - spread
        made.append(Bar(symbol, start + minute * MINUTE, begin, high, low, end, volume))
        before = end
    return made


def sessions(count: int, *, minutes: int = 390, first: date = FIRST_DAY) -> list[Session]:
    """Return regular sessions on weekdays from a date on, each opening at 9:30 New York."""
    found: list[Session] = []
    day = first
    while len(found) < count:
        if day.weekday() < 5:
            opened = datetime.combine(day, clock_time(9, 30), EXCHANGE_ZONE).astimezone(UTC)
            found.append(Session(day, opened, opened + minutes * MINUTE))
        day += timedelta(days=1)
    return found


def order(**given: Any) -> Order:
    """Return a pending market order to buy 10 SPY; fields are those of `smabot.api.Order`.

    ``qty`` and prices may be numbers or texts. Its id follows from strategy, symbol and minute.
    """
    fields: dict[str, Any] = {
        "strategy": "test", "symbol": "SPY", "side": Side.BUY, "qty": Decimal(10),
        "type": OrderType.MARKET, "limit_price": None, "time_in_force": TimeInForce.DAY,
        "bar_time": OPEN, "attempt": 1, "reduces": False, "status": Status.PENDING,
    } | _with_decimals(given, ("qty", "limit_price", "filled_qty", "filled_avg_price", "realized_pnl"))  # fmt: skip
    fields.setdefault("created_at", fields["bar_time"] + MINUTE)
    minute = f"{fields['bar_time']:%Y%m%dT%H%MZ}"
    name = f"smabot-{fields['strategy']}-{fields['symbol']}-{minute}-{fields['attempt']}"
    fields.setdefault("client_order_id", name)
    return Order(**fields)


def fill(**given: Any) -> Fill:
    """Return the fill of 10 SPY bought at 100; fields are those of `smabot.api.Fill`.

    ``qty`` and prices may be numbers or texts. It is an order's first unless ``cumulative_qty`` is given.
    """
    fields: dict[str, Any] = {
        "strategy": "test", "symbol": "SPY", "side": Side.BUY, "qty": Decimal(10),
        "price": Decimal(100), "realized_pnl": ZERO, "time": OPEN + MINUTE, "reduces": False,
    } | _with_decimals(given, ("qty", "price", "realized_pnl", "cumulative_qty"))  # fmt: skip
    fields.setdefault("cumulative_qty", fields["qty"])
    minute = f"{fields['time'] - MINUTE:%Y%m%dT%H%MZ}"
    fields.setdefault(
        "client_order_id", f"smabot-{fields['strategy']}-{fields['symbol']}-{minute}-1"
    )
    return Fill(**fields)


def _with_decimals(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    exact = {name: Decimal(str(given[name])) for name in names if given.get(name) is not None}
    return {**given, **exact}
