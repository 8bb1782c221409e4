"""Which bars can be: the one rule for whatever brings them (a stream, REST, a data file, a plugin)."""

from __future__ import annotations

from datetime import datetime
from math import inf

from smabot.domain.bot_records import Event
from smabot.domain.records import Bar

MOST_TRADES = 2**63 - 1
"""What a database can hold: no minute has so many."""
_PRICES = ("open", "high", "low", "close")


def is_valid_bar(bar: Bar) -> bool:
    """Whether a bar's numbers can be those of a minute; a comparison with NaN never holds."""
    _, _, open_, high, low, close, volume, trades, vwap = bar
    return (
        0 < low <= open_ <= high < inf
        and low <= close <= high
        and 0 <= volume < inf
        and (trades is None or 0 <= trades <= MOST_TRADES)
        and (vwap is None or 0 < vwap < inf)
    )


def bar_fault(bar: Bar) -> str:
    """Return what is wrong with a bar's numbers, in words; an empty string where nothing is."""
    _, _, open_, high, low, close, volume, trades, vwap = bar
    for name, price in zip(_PRICES, (open_, high, low, close), strict=True):
        if not 0 < price < inf:
            return f"{name} {price} must be a finite price above 0"
    if high < low:
        return f"high {high} is below low {low}"
    for name, price in (("open", open_), ("close", close)):
        if not low <= price <= high:
            return f"{name} {price} is outside of low {low} to high {high}"
    if not 0 <= volume < inf:
        return f"volume {volume} must be a finite number, 0 or more"
    if trades is not None and not trades >= 0:
        return f"trade_count {trades} must be 0 or more, or empty"
    if trades is not None and trades > MOST_TRADES:
        return f"trade_count {trades} is too large to be kept"
    if vwap is not None and not 0 < vwap < inf:
        return f"vwap {vwap} must be a finite price above 0, or empty"
    return ""


def bad_bar_event(bar: Bar, now: datetime) -> Event:
    """Return the row for the table of events that a bar leaves which can't be."""
    return Event(now, "bad_bar", bar.symbol, left_out_bar(bar))


def left_out_bar(bar: Bar) -> str:
    """Say that a bar which can't be is left out, and why."""
    return f"the bar of {bar.time:%H:%M}Z is left out: {bar_fault(bar)}"
