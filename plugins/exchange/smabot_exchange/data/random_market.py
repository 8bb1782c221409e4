"""The simulated market's shape ``random``: prices that nobody can foretell.

Each price is a martingale: whatever is known of the past, the expected change is zero. Real are the busy open
and close, gaps overnight, fat tails, days that are calmer or wilder than others, and a common factor that
correlates the symbols.

A symbol's bars on a date depend on seed, symbol and date alone. Therefore each day's return is drawn first, from
numbers that belong to symbol and year; a date's price level is the sum of the returns of all weekdays since the
beginning of 2026, where prices are those of `simulated_symbols`. The minutes are drawn as a random walk and then
moved, each in proportion to its variance, so that they end where the day's return says (a Brownian bridge): such
minutes are as independent of each other as if they had been drawn freely. Two compromises: a weekday without a
session moves the price overnight as a session would, and decades away from 2026 prices may have moved far.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random
from typing import NamedTuple

from smabot.provider import MINUTE, Bar, Session
from smabot_exchange.data.simulated_symbols import character, seeded

_EPOCH_YEAR = 2026
_WEEK, _SATURDAY = 7, 5
_OVERNIGHT = 0.2
"""The share of a day's variance that comes between close and open."""
_DAY_SCATTER = 0.35
"""Standard deviation of the logarithm of a day's volatility."""
_CALM = 0.35
"""The share of a minute's variance that is always there; the rest is exponentially distributed."""
_AT_OPEN = 0.05
"""The share of a minute's variance that comes between the last close and the first trade, if any does."""
_UNIT = 1e12
"""Sums of days are whole numbers of this fraction: exact, whatever day they begin with."""


class _Day(NamedTuple):
    """A weekday's volatility, and its returns overnight and in the session, for a daily volatility of 1."""

    ordinal: int
    volatility: float
    gap: float
    move: float


class _Minutes(NamedTuple):
    """A session's returns, minute by minute, and the variance that each was drawn with."""

    returns: list[float]
    variances: list[float]
    activity: list[float]


class RandomMarket:
    """Sessions of symbols that walk at random, from the year of a date on."""

    def __init__(self, seed: int, symbols: Sequence[str], start: date) -> None:
        self._factor = _Factor(seed, start.year)
        self._walks = [_Walk(seed, symbol, self._factor, start.year) for symbol in symbols]

    def session(self, session: Session) -> list[Iterator[Bar]]:
        """Return the session's bars of each symbol. Sessions must be asked for in their order."""
        self._factor.begin(session)
        return [walk.session(session) for walk in self._walks]


class _Factor:
    """What moves all symbols."""

    def __init__(self, seed: int, year: int) -> None:
        self._seed = seed
        self._years: dict[int, list[_Day]] = {}
        self._day = _Day(0, 0, 0, 0)
        self.shape: list[float] = []
        """How busy each minute of the session is."""
        self.minutes = _Minutes([], [], [])

    def year(self, year: int) -> list[_Day]:
        """Return the weekdays of a year."""
        if year not in self._years:
            self._years[year] = list(_weekdays(self._seed, "market", year))
        return self._years[year]

    def begin(self, session: Session) -> None:
        """Draw the minutes of a session."""
        count = int((session.close - session.open) / MINUTE)
        if count != len(self.shape):
            self.shape = [_busy(minute, count) for minute in range(count)]
        ordinal = session.date.toordinal()
        day = next(day for day in self.year(session.date.year) if day.ordinal == ordinal)
        self.minutes = _minutes(seeded(f"{self._seed} market {session.date}"), day, self.shape)


class _Walk:
    """One symbol's price."""

    def __init__(self, seed: int, symbol: str, factor: _Factor, year: int) -> None:
        self._seed, self._symbol, self._factor = seed, symbol, factor
        level, sigma, self._shares, correlation = character(seed, symbol)
        self._common = correlation * sigma
        self._own = math.sqrt(1 - correlation * correlation) * sigma
        self._level = round(math.log(level) * _UNIT)
        """Logarithm of the last close, in units."""
        years = range(min(year, _EPOCH_YEAR), max(year, _EPOCH_YEAR))
        moved = sum(self._change(*pair) for each in years for pair in self._pairs(each))
        self._level += moved if year > _EPOCH_YEAR else -moved
        self._days = (pair for each in range(year, date.max.year) for pair in self._pairs(each))

    def session(self, session: Session) -> Iterator[Bar]:
        """Yield the bars of a session, a later one than those before."""
        ordinal = session.date.toordinal()
        for common, own in self._days:
            if own.ordinal == ordinal:
                break
            self._level += self._change(common, own)
        start = self._level / _UNIT + self._gap(common, own)
        self._level += self._change(common, own)
        rng = seeded(f"{self._seed} {self._symbol} {session.date}")
        return self._bars(session, start, rng, _minutes(rng, own, self._factor.shape))

    def _bars(self, session: Session, start: float, rng: Random, own: _Minutes) -> Iterator[Bar]:
        gauss, uniform, sqrt, log, exp = rng.gauss, rng.random, math.sqrt, math.log, math.exp
        symbol, shares, factor = self._symbol, self._shares, self._factor
        a, b = self._common, self._own
        a2, b2 = a * a, b * b
        digits = 2 if start > 0 else 4
        after = start
        time = session.open
        for common_move, common_variance, own_move, own_variance, active, busy in zip(
            factor.minutes.returns, factor.minutes.variances, *own, factor.shape, strict=True
        ):
            variance = a2 * common_variance + b2 * own_variance
            before = first = after
            after = before + a * common_move + b * own_move - variance / 2
            if uniform() < 0.5 and time > session.open:
                first += _AT_OPEN * (after - before) + gauss(
                    0, sqrt(_AT_OPEN * (1 - _AT_OPEN) * variance)
                )
                variance *= 1 - _AT_OPEN
            # The highest and the lowest point of a random walk between two ends.
            middle, square, spread = first + after, (after - first) * (after - first), 2 * variance
            high = round(exp((middle + sqrt(square - spread * log(1 - uniform()))) / 2), digits)
            low = round(exp((middle - sqrt(square - spread * log(1 - uniform()))) / 2), digits)
            open_, close = round(exp(first), digits), round(exp(after), digits)
            volume = int(shares * busy * active * (0.5 + uniform())) + 1
            yield Bar(
                symbol, time, open_, high, low, close, float(volume),
                volume // 110 + 1, round((open_ + high + low + close) / 4, 4),
            )  # fmt: skip
            time += MINUTE

    def _pairs(self, year: int) -> Iterator[tuple[_Day, _Day]]:
        """Yield the weekdays of a year, what is common to all symbols and what is this one's own."""
        return zip(self._factor.year(year), _weekdays(self._seed, self._symbol, year), strict=True)

    def _gap(self, common: _Day, own: _Day) -> float:
        drift = _OVERNIGHT * self._variance(common, own) / 2
        return self._common * common.gap + self._own * own.gap - drift

    def _change(self, common: _Day, own: _Day) -> int:
        """Return what a weekday adds to the logarithm of the price, in units."""
        change = self._common * (common.gap + common.move) + self._own * (own.gap + own.move)
        return round((change - self._variance(common, own) / 2) * _UNIT)

    def _variance(self, common: _Day, own: _Day) -> float:
        return (self._common * common.volatility) ** 2 + (self._own * own.volatility) ** 2


def _weekdays(seed: int, name: str, year: int) -> Iterator[_Day]:
    """Yield the weekdays of a year, sessions or not: the numbers do not depend on the calendar."""
    gauss, exp = seeded(f"{seed} {name} {year}").gauss, math.exp
    overnight, session = math.sqrt(_OVERNIGHT), math.sqrt(1 - _OVERNIGHT)
    centre = -_DAY_SCATTER * _DAY_SCATTER
    first = date(year, 1, 1)
    weekday = first.weekday()
    for number in range(date(year, 12, 31).toordinal() - first.toordinal() + 1):
        if (weekday + number) % _WEEK < _SATURDAY:
            volatility = exp(centre + gauss(0, _DAY_SCATTER))
            yield _Day(
                first.toordinal() + number, volatility,
                overnight * volatility * gauss(0, 1), session * volatility * gauss(0, 1),
            )  # fmt: skip


def _busy(minute: int, count: int) -> float:
    """Return how busy a minute of a session is: the open most, then the close."""
    side = 2 * minute / count - 1
    return 0.6 + 1.2 * side * side * side * side + 0.9 * math.exp(-minute / 12)


def _minutes(rng: Random, day: _Day, shape: Sequence[float]) -> _Minutes:
    """Draw a session's minutes, which end where the day's return says."""
    gauss, uniform, log, sqrt = rng.gauss, rng.random, math.log, math.sqrt
    wild = _CALM - 1
    activity = [_CALM + wild * log(1 - uniform()) for _ in shape]
    weights = [busy * busy * active for busy, active in zip(shape, activity, strict=True)]
    total = (1 - _OVERNIGHT) * day.volatility * day.volatility
    scale = total / sum(weights)
    variances = [weight * scale for weight in weights]
    free = [gauss(0, sqrt(variance)) for variance in variances]
    missing = (day.move - sum(free)) / total
    returns = [step + missing * variance for step, variance in zip(free, variances, strict=True)]
    return _Minutes(returns, variances, activity)
