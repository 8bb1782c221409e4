"""Buys after so many rising closes in a row, sells after as many falling ones.

A streak and the longest one ever are no function of the last few bars: they are kept as a record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import Field

from smabot.api import Bar, Book, Settings, Signal, hookimpl, record


class StreaksSettings(Settings):
    """The settings table ``plugin.streaks``."""

    length: int = Field(3, ge=1)
    """Closes in a row."""


@record(table="streaks", key=("symbol",))
class Streak:
    """The streak that a symbol is on: above 0 rising, below 0 falling."""

    symbol: str
    length: int
    longest: int
    bars: int
    close: float
    bar_time: datetime


class Streaks:
    """The plugin."""

    def __init__(self, settings: StreaksSettings) -> None:
        self._length = settings.length

    @hookimpl
    def records(self) -> list[type]:
        return [Streak]

    @hookimpl
    def lookback(self) -> int:
        return 1

    @hookimpl
    def on_bar(self, bar: Bar, book: Book) -> Signal | None:
        last = book.row(Streak, bar.symbol)
        if last is None:
            book.apply(Streak(bar.symbol, 0, 0, 1, bar.close, bar.time))
            return None
        if bar.time <= last.bar_time:
            return None  # counted before the restart
        step = (bar.close > last.close) - (bar.close < last.close)
        length = last.length + step if step * last.length > 0 else step
        book.apply(
            replace(
                last,
                length=length,
                longest=max(last.longest, abs(length)),
                bars=last.bars + 1,
                close=bar.close,
                bar_time=bar.time,
            )
        )
        if length == self._length:
            return Signal.long(bar, f"rose {length} times in a row")
        if length == -self._length:
            return Signal.flat(bar, f"fell {-length} times in a row")
        return None
