"""Bars of more than a minute, made of minute bars.

https://docs.alpaca.markets/reference/stockbars: minutes and hours are counted from New York's
midnight; days, weeks and months are New York's and start there at midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from smabot.provider import EXCHANGE_ZONE, Bar

_PATTERN = re.compile(r"(\d{1,2})(T|H|D|W|M|(?i:Min|Hour|Day|Week|Month))", re.ASCII)
_MONTHS = (1, 2, 3, 4, 6, 12)


@dataclass(frozen=True, slots=True)
class Timeframe:
    """``count`` of a ``unit``: ``Min``, ``Hour``, ``Day``, ``Week`` or ``Month``."""

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Read ``1Min``, ``5T``, ``1Hour``, ``1D`` … Raises ValueError for what Alpaca has not."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(f"invalid timeframe: {text}")
        count, name = int(found[1]), found[2]
        short = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
        unit = short.get(name, name.capitalize())
        allowed = {
            "Min": range(1, 60), "Hour": range(1, 24), "Day": (1,), "Week": (1,), "Month": _MONTHS,
        }  # fmt: skip
        if count not in allowed[unit]:
            raise ValueError(f"invalid timeframe: {text}")
        return cls(count, unit)

    @property
    def minute(self) -> bool:
        """Whether its bars are the minutes themselves."""
        return self.unit == "Min" and self.count == 1

    def span(self, moment: datetime) -> tuple[datetime, datetime]:
        """Return start and end, UTC, of the bar that an instant belongs to."""
        local = moment.astimezone(EXCHANGE_ZONE)
        day = local.date()
        if self.unit in ("Min", "Hour"):
            size = timedelta(minutes=self.count) * (60 if self.unit == "Hour" else 1)
            midnight = _midnight(day)
            start = midnight + (moment - midnight) // size * size
            return start, min(start + size, _midnight(day + timedelta(1)))
        if self.unit == "Day":
            first, following = day, day + timedelta(1)
        elif self.unit == "Week":
            first = day - timedelta(day.weekday())
            following = first + timedelta(7)
        else:
            month = (day.month - 1) // self.count * self.count
            first = date(day.year, month + 1, 1)
            years, months = divmod(month + self.count, 12)
            following = date(day.year + years, months + 1, 1)
        return _midnight(first), _midnight(following)

    def spanner(self) -> Callable[[datetime], tuple[datetime, datetime]]:
        """Return `span` for instants that ascend: it keeps the last answer."""
        last: tuple[datetime, datetime] = (datetime.max.replace(tzinfo=UTC),) * 2

        def span(moment: datetime) -> tuple[datetime, datetime]:
            nonlocal last
            if not last[0] <= moment < last[1]:
                last = self.span(moment)
            return last

        return span

    def merge(self, minutes: Iterable[Bar]) -> Iterator[Bar]:
        """Yield the bars that a symbol's minutes make, oldest first; the last as far as it got."""
        span = self.spanner()
        for (start, _), group in groupby(minutes, lambda bar: span(bar.time)):
            yield merged(start, list(group))


def merged(start: datetime, minutes: list[Bar]) -> Bar:
    """Return one bar of a symbol's minutes, one at least.

    Trade count and average price are given where every minute has its own.
    """
    volume = sum(bar.volume for bar in minutes)
    counts = [bar.trade_count for bar in minutes if bar.trade_count is not None]
    worth = [bar.vwap * bar.volume for bar in minutes if bar.vwap is not None]
    complete = len(worth) == len(minutes) and volume > 0
    return Bar(
        minutes[0].symbol,
        start,
        minutes[0].open,
        max(bar.high for bar in minutes),
        min(bar.low for bar in minutes),
        minutes[-1].close,
        volume,
        sum(counts) if len(counts) == len(minutes) else None,
        round(sum(worth) / volume, 6) if complete else None,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), EXCHANGE_ZONE).astimezone(UTC)
