"""Markets to try a plugin on: bars made from a seed, with gaps, several symbols and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import pi, sin
from random import Random

from smabot.domain.calendar import MINUTE, Session
from smabot.domain.records import Bar
from smabot.testing.sample_records import bars, sessions

SYMBOLS = ("SPY", "QQQ", "IWM")
SHORTEST, COMMON, LONGEST = 90, 1500, 10_000
"""Minutes of a market: at least; of one that fits three lookbacks; of any."""
AFTER = 500
"""Minutes after two lookbacks, where three are too long."""


@dataclass(frozen=True, slots=True)
class Market:
    """Bars, and the sessions they fall into; none: the market never closes."""

    name: str
    bars: tuple[Bar, ...]
    sessions: tuple[Session, ...] = ()

    @property
    def minutes(self) -> list[datetime]:
        """The minutes that have a bar, oldest first."""
        return sorted({bar.time for bar in self.bars})


def generated_markets(lookback: int, symbols: Sequence[str], *, falling: bool) -> list[Market]:
    """Return the markets that fit a lookback, the same ones each time.

    ``falling``: also one whose prices fall by a third and come back, for what limits losses.
    """
    minutes = minutes_for(lookback)
    markets = [_waves(symbols, minutes), _gaps(symbols, minutes), _sessions(symbols, minutes)]
    return [*markets, _fall(symbols, minutes)] if falling else markets


def minutes_for(lookback: int) -> int:
    """Return how long a market is that fits a lookback."""
    wanted = min(3 * lookback + 30, max(COMMON, 2 * lookback + AFTER))
    return max(SHORTEST, min(LONGEST, wanted))


def _waves(symbols: Sequence[str], minutes: int) -> Market:
    made = [bar for n, s in enumerate(symbols[:2]) for bar in bars(s, _prices(11 + n, minutes))]
    return Market("waves", tuple(made))


def _gaps(symbols: Sequence[str], minutes: int) -> Market:
    """Each symbol lacks minutes of its own: a fifth of them, and a hole of some length; one begins late."""
    made: list[Bar] = []
    for n, symbol in enumerate(symbols[:3]):
        chance = Random(31 + n)  # noqa: S311 - the same each time
        hole = range(minutes // 2 + 5 * n, minutes // 2 + 12 + 5 * n)
        closes = [
            None if minute in hole or minute < 20 * (n == 2) or chance.random() < 0.2 else close
            for minute, close in enumerate(_prices(21 + n, minutes))
        ]
        made += bars(symbol, closes)
    return Market("gaps", tuple(made))


def _sessions(symbols: Sequence[str], minutes: int) -> Market:
    """Two short sessions, with another price at the second one's open."""
    length = -(-minutes // 2)
    days = sessions(2, minutes=length)
    made: list[Bar] = []
    for n, symbol in enumerate(symbols[:2]):
        prices = _prices(41 + n, 2 * length)
        made += bars(symbol, prices[:length], start=days[0].open)
        made += bars(symbol, [p * 1.03 for p in prices[length:]], start=days[1].open)
    return Market("sessions", tuple(made), tuple(days))


def _fall(symbols: Sequence[str], minutes: int) -> Market:
    """Quiet at first; then prices fall by a third, and come back."""
    made: list[Bar] = []
    for n, symbol in enumerate(symbols[:3]):
        prices = _prices(51 + n, minutes)
        quiet = minutes // 4
        fallen = [max(0, minute - quiet) / (minutes - quiet) for minute in range(minutes)]
        parts = [1 - sin(pi * each) / 3 for each in fallen]
        closes = [round(price * part, 2) for price, part in zip(prices, parts, strict=True)]
        made += bars(symbol, closes)
    return Market("fall", tuple(made))


def _prices(seed: int, minutes: int) -> list[float]:
    """Return closes that swing on two wavelengths, with noise: averages cross, streaks occur."""
    chance = Random(seed)  # noqa: S311 - the same each time
    short, long_ = chance.uniform(17, 29), chance.uniform(50, 90)
    level, found = chance.uniform(80, 120), []
    for minute in range(minutes):
        level *= 1 + chance.gauss(0, 0.0006)
        swing = 0.01 * sin(2 * pi * minute / short) + 0.015 * sin(2 * pi * minute / long_)
        found.append(round(level * (1 + swing + chance.gauss(0, 0.0008)), 2))
    return found


def at_minutes(market: Market, count: int) -> list[datetime]:
    """Return so many ends of a market's minutes, spread over it."""
    minutes = market.minutes[:-1]
    step = max(1, len(minutes) // count)
    return [minute + MINUTE for minute in minutes[step // 2 :: step]]


def with_other_future(market: Market, since: datetime) -> Market:
    """Return the market with other prices in every bar that starts from a time on."""
    chance = Random(61)  # noqa: S311 - the same each time

    def other(bar: Bar) -> Bar:
        if bar.time < since:
            return bar
        begin, end = (round(p * chance.uniform(0.96, 1.04), 2) for p in (bar.open, bar.close))
        return bar._replace(open=begin, close=end, high=max(begin, end), low=min(begin, end))

    return Market(market.name, tuple(map(other, market.bars)), market.sessions)
