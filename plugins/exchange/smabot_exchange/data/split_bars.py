"""Bars in other shares than those that they were traded in."""

from __future__ import annotations

from smabot.provider import Bar


def split_bar(bar: Bar, ratio: float) -> Bar:
    """Return a bar of old shares in new ones, of which there are ``ratio`` for an old one."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    open_, high, low, close = (_rounded(price / ratio) for price in prices)
    return bar._replace(
        open=open_, high=high, low=low, close=close,
        volume=float(max(round(bar.volume * ratio), 1)),
        vwap=None if bar.vwap is None else min(max(round(bar.vwap / ratio, 4), low), high),
    )  # fmt: skip


def _rounded(price: float) -> float:
    """Return a price in whole cents; below a dollar to four digits, as exchanges quote it."""
    return round(price, 2) if price >= 1 else max(round(price, 4), 0.0001)
