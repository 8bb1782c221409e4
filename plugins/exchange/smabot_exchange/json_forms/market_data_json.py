"""How bars, and the trades and quotes made of them, look as JSON, by REST and on the stream.

The data have bars only. A bar's trade is a round lot at its close in its last microsecond; the quote
then is half a spread below to half a spread above it, without a spread one tick. https://docs.alpaca.markets/reference/stockbars
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from smabot.provider import MINUTE, ZERO, Bar

EXCHANGE = "V"
"""The code of the Investors Exchange, where all is said to be traded."""
TAPE = "C"
_ROUND_LOT = 100
_LAST_MOMENT = MINUTE - timedelta(microseconds=1)


def stamp(time: datetime) -> str:
    """Return an instant in UTC as RFC 3339, its fraction without trailing zeros."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S")
    if time.microsecond:
        text += f".{time.microsecond:06d}".rstrip("0")
    return text + "Z"


def stamp_ns(time: int) -> str:
    """Return nanoseconds since 1970 as `stamp` returns an instant."""
    seconds, fraction = divmod(time, 10**9)
    text = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"


def bar(bar: Bar, time: str | None = None) -> dict[str, Any]:
    """Return a bar; ``n`` and ``vw`` are null where the data do not have them.

    ``time`` is its start as JSON shows it, for callers that have it already.
    """
    return {
        "t": time or stamp(bar.time),
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": count(bar.volume),
        "n": bar.trade_count,
        "vw": bar.vwap,
    }


def trade(bar: Bar, time: str | None = None) -> dict[str, Any]:
    """Return the last trade of a minute; its id is made of the minute."""
    return {
        "t": time or stamp(bar.time + _LAST_MOMENT),
        "x": EXCHANGE,
        "p": bar.close,
        "s": count(min(bar.volume, _ROUND_LOT)),
        "c": ["@"],
        "i": int(bar.time.timestamp()) // 60,
        "z": TAPE,
    }


def quote(bar: Bar, time: str | None = None, *, half_spread: Decimal = ZERO) -> dict[str, Any]:
    """Return the quote at a minute's end."""
    tick, digits = (0.01, 2) if bar.close > 1 else (0.0001, 4)
    if half_spread:
        tick, digits = float(half_spread), 4
    return {
        "t": time or stamp(bar.time + _LAST_MOMENT),
        "ax": EXCHANGE,
        "ap": round(bar.close + tick, digits),
        "as": 1,
        "bx": EXCHANGE,
        "bp": max(round(bar.close - tick, digits), 0.0),
        "bs": 1,
        "c": ["R"],
        "z": TAPE,
    }


def count(value: float) -> float:
    """Return a quantity that is whole as a whole number."""
    return int(value) if isfinite(value) and value == int(value) else value
