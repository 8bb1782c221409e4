"""Frames and pages to core's bars, without a model or a date parsed per bar.

Shapes: https://docs.alpaca.markets/docs/real-time-stock-pricing-data (stream: ``T S o h l c v n vw t``)
and https://docs.alpaca.markets/reference/stockbars (pages: the same without ``T`` and ``S``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgpack

from smabot.calendar import Calendar
from smabot.records import Bar

NANOSECONDS = 1_000_000_000
MINUTE_NANOSECONDS = 60 * NANOSECONDS
TIMESTAMP_AS_NANOSECONDS = 2  # msgpack.unpackb(timestamp=…)
CACHED_MINUTES = 50_000
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, OverflowError, OSError)


class Garbage(ValueError):
    """What came is not what Alpaca's documents say."""


@dataclass(slots=True)
class Frame:
    """What one frame of the data stream held. ``counted`` is the number of its minute bars, all told."""

    bars: list[Bar] = field(default_factory=list)
    revisions: list[Bar] = field(default_factory=list)
    control: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0


class BarDecoder:
    """Decodes bars of regular sessions; the 16:00 bar and those of extended hours are dropped.

    A minute's start is looked up by its wire form, so that a date is parsed once a minute. Not safe to
    share between threads.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._minutes: dict[int | str, datetime | None] = {}

    def frame(self, data: bytes | str) -> Frame:
        """Decode one frame of the data stream. Raises Garbage."""
        try:
            messages = msgpack.unpackb(data, timestamp=TIMESTAMP_AS_NANOSECONDS)
        except Exception as error:
            raise Garbage(f"no msgpack: {error}") from error
        if not isinstance(messages, list):
            raise Garbage(f"a {type(messages).__name__} instead of a list of messages")
        frame = Frame()
        bars, minutes, make = frame.bars, self._minutes, Bar._make
        try:
            for m in messages:
                kind = m["T"]
                if kind == "b":
                    frame.counted += 1
                elif kind != "u":
                    frame.control.append(m)
                    continue
                t = m["t"]
                time = minutes[t] if t in minutes else self._minute(t)
                if time is None:
                    continue
                low, high, vwap = m["l"], m["h"], m["vw"]
                if not 0 < low <= high < math.inf:
                    raise Garbage(f"low {low!r} and high {high!r} of {m['S']!r}")
                bar = make(
                    (m["S"], time, float(m["o"]), float(high), float(low), float(m["c"]),
                     float(m["v"]), m["n"] or None, float(vwap) if vwap else None)
                )  # fmt: skip
                (bars if kind == "b" else frame.revisions).append(bar)
        except UNREADABLE as error:
            if isinstance(error, Garbage):
                raise
            raise Garbage(f"a message that can't be read: {error!r}") from error
        return frame

    def page(self, bars: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[Bar]:
        """Decode one page of historical bars. Raises Garbage."""
        minutes, decoded = self._minutes, []
        try:
            for symbol, rows in bars.items():
                for m in rows:
                    t = m["t"]
                    time = minutes[t] if t in minutes else self._minute(t)
                    if time is None:
                        continue
                    low, high, vwap = float(m["l"]), float(m["h"]), m.get("vw")
                    if not 0 < low <= high < math.inf:
                        raise Garbage(f"low {low!r} and high {high!r} of {symbol!r}")
                    decoded.append(
                        Bar(symbol, time, float(m["o"]), high, low, float(m["c"]),
                            float(m["v"]), m.get("n") or None, float(vwap) if vwap else None)
                    )  # fmt: skip
        except UNREADABLE as error:
            if isinstance(error, Garbage):
                raise
            raise Garbage(f"a bar that can't be read: {error!r}") from error
        return decoded

    def _minute(self, t: int | str) -> datetime | None:
        """Return the minute's start, UTC, or None where no regular session is open."""
        if isinstance(t, str):
            time = datetime.fromisoformat(t).astimezone(UTC)
            whole = not (time.second or time.microsecond)
        else:
            whole = t % MINUTE_NANOSECONDS == 0
            time = datetime.fromtimestamp(t // NANOSECONDS, UTC)
        if not whole:
            raise Garbage(f"a bar that begins at {time.isoformat()}, not at a minute")
        if len(self._minutes) >= CACHED_MINUTES:
            self._minutes.clear()
        self._minutes[t] = minute = time if self._calendar.session_at(time) else None
        return minute
