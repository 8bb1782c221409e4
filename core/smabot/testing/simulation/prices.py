"""The bars of a simulated world: walks with falls, a little of several sessions, gaps, and thin volume."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from smabot.domain.calendar import EXCHANGE_ZONE, MINUTE
from smabot.domain.corporate_actions import CorporateAction
from smabot.domain.records import Bar
from smabot.testing.simulation.shares import traded_in_new_shares

FIRST_DAY = date(2026, 3, 2)
"""A Monday; until the 13th every weekday is a whole session, and summer time begins in between."""
OPEN, NOON, LAST_HALF_HOUR = time(9, 30), time(12, 0), time(15, 37)
AT_OPEN, AT_NOON, AT_CLOSE = 24, 5, 23
"""Minutes with bars of each session. In the hours between there are none."""
MINUTES = AT_OPEN + AT_NOON + AT_CLOSE
"""Minutes with bars in a session."""
STEP, FALL = 0.002, (0.06, 0.15)
FALL_CHANCES = (0.01, 0.02, 0.06)
"""Of a minute, in markets of different kinds."""
MISSING = 0.04
"""The share of bars that a symbol lacks."""


def session_bars(
    seed: int, symbols: Sequence[str], sessions: int, splits: Sequence[CorporateAction] = ()
) -> list[Bar]:
    """Return the bars of so many sessions, by time and symbol; the same for a seed, but in the shares of their days."""
    bars = _bars(seed, symbols, sessions)
    for split in splits:
        bars = [
            traded_in_new_shares(bar, split)
            if bar.symbol == split.symbol and bar.time >= split.effective_at
            else bar
            for bar in bars
        ]
    return bars


def _bars(seed: int, symbols: Sequence[str], sessions: int) -> list[Bar]:
    chance = random.Random(f"prices {seed}")  # noqa: S311 - it must come again
    prices = {symbol: 50.0 + 50.0 * number for number, symbol in enumerate(symbols)}
    bars = []
    for start in _starts(sessions):
        for symbol in symbols:
            before = prices[symbol]
            after = _moved(before, chance, FALL_CHANCES[seed % len(FALL_CHANCES)])
            prices[symbol] = after
            if chance.random() >= MISSING:
                bars.append(_bar(symbol, start, before, after, chance))
    return bars


def _starts(sessions: int) -> list[datetime]:
    days: list[date] = []
    day = FIRST_DAY
    while len(days) < sessions:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    parts = ((OPEN, AT_OPEN), (NOON, AT_NOON), (LAST_HALF_HOUR, AT_CLOSE))
    return [
        datetime.combine(day, begin, EXCHANGE_ZONE).astimezone(UTC) + number * MINUTE
        for day in days
        for begin, minutes in parts
        for number in range(minutes)
    ]


def _moved(price: float, chance: random.Random, falls: float) -> float:
    price *= 1 + chance.gauss(0, STEP)
    if chance.random() < falls:
        price *= 1 - chance.uniform(*FALL)
    return max(round(price, 2), 1.0)


def _bar(symbol: str, start: datetime, open_: float, close: float, chance: random.Random) -> Bar:
    volume = float(chance.choice((800, 2_500, 20_000, 20_000)))
    high, low = max(open_, close) + 0.02, max(min(open_, close) - 0.02, 0.01)
    return Bar(symbol, start, open_, round(high, 2), round(low, 2), close, volume)
