"""The simulated market's default shape: as a trader expects prices to be, and nothing to be won on them.

Seeds are fixed, so that these are facts about those bars. The bounds are those that a
sceptic would set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import log, sqrt
from statistics import mean, stdev

import pytest

from smabot.domain.order_terms import Side
from smabot.domain.records import Bar
from smabot_exchange.data.simulated_market import SimulatedMarket
from smabot_exchange.matching.fill_prices import bid_or_ask

SYMBOLS = ("AAPL", "IBM", "KO", "MSFT", "SPY")
NORMAL_KURTOSIS = 3
Sessions = dict[str, list[list[Bar]]]


def sessions_of(spec: str) -> Sessions:
    """The bars of each symbol, a list for each session."""
    found: defaultdict[str, defaultdict[date, list[Bar]]] = defaultdict(lambda: defaultdict(list))
    for bar in SimulatedMarket.parse(spec).bars():
        found[bar.symbol][bar.time.date()].append(bar)
    return {symbol: list(days.values()) for symbol, days in found.items()}


@cache
def many() -> Sessions:
    """Sixty sessions of each symbol, over thirty seeds."""
    found: Sessions = {symbol: [] for symbol in SYMBOLS}
    for seed in range(1, 31):
        for symbol, days in sessions_of(f"simulated:seed={seed}").items():
            found[symbol] += days
    return found


def returns(session: Sequence[Bar]) -> list[float]:
    """A session's minute returns, from close to close."""
    return [log(bar.close / before.close) for before, bar in pairwise(session)]


def minute_returns(symbol: str) -> list[list[float]]:
    return [returns(session) for session in many()[symbol]]


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Of returns, whose mean is zero."""
    both = sum(a * b for a, b in zip(one, other, strict=True))
    return both / sqrt(sum(a * a for a in one) * sum(b * b for b in other))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_minute_says_nothing_of_the_next(symbol: str) -> None:
    pairs = [pair for session in minute_returns(symbol) for pair in pairwise(session)]
    assert abs(correlation(*zip(*pairs, strict=True))) < 0.03


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_half_an_hour_moves_as_thirty_minutes_do(symbol: str) -> None:
    of_minutes = of_half_hours = 0.0
    for session in minute_returns(symbol):
        for start in range(0, len(session) - 29, 5):
            some = session[start : start + 30]
            of_half_hours += sum(some) ** 2
            of_minutes += sum(each * each for each in some)
    assert 0.8 < of_half_hours / of_minutes < 1.2


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_large_moves_are_more_frequent_than_in_a_bell_curve(symbol: str) -> None:
    flat = [each for session in minute_returns(symbol) for each in session]
    variance = mean(each * each for each in flat)
    assert mean(each**4 for each in flat) / variance**2 > NORMAL_KURTOSIS + 2


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_day_is_busy_at_its_ends(symbol: str) -> None:
    def part(start: int, end: int) -> tuple[float, float]:
        """Volatility and volume of some minutes of all sessions."""
        bars = [session[start:end] for session in many()[symbol]]
        squares = (each * each for some in bars for each in returns(some))
        return sqrt(mean(squares)), mean(bar.volume for some in bars for bar in some)

    (first, volume_first), (middle, volume_middle) = part(0, 30), part(165, 225)
    last, volume_last = part(360, 390)
    assert first > last > 1.5 * middle
    assert volume_first > volume_last > 1.5 * volume_middle


def test_the_symbols_share_a_factor() -> None:
    def between(one: str, other: str) -> float:
        flat = ([r for day in minute_returns(symbol) for r in day] for symbol in (one, other))
        return correlation(*flat)

    assert 0.5 < between("SPY", "AAPL") < 0.75
    assert 0.2 < between("SPY", "KO") < 0.5
    assert 0.3 < between("AAPL", "MSFT") < 0.6
    assert 0.05 < between("IBM", "KO") < 0.4


def test_prices_jump_overnight() -> None:
    gaps = [
        log(today[0].open / yesterday[-1].close)
        for days in sessions_of("simulated:sessions=60").values()
        for yesterday, today in pairwise(days)
    ]
    assert 0.003 < sqrt(mean(gap * gap for gap in gaps)) < 0.012
    assert max(map(abs, gaps)) < 0.06


def test_some_days_are_wilder_than_others() -> None:
    def volatility(session: Sequence[Bar]) -> float:
        return sqrt(sum(each * each for each in returns(session)))

    by_day = [volatility(session) for session in sessions_of("simulated:sessions=30")["AAPL"]]
    assert 0.007 < mean(by_day) < 0.02
    assert max(by_day) > 2 * min(by_day)


def test_prices_do_not_drift() -> None:
    """Over many symbols and some weeks gains and losses are in balance."""
    days = sessions_of("simulated:symbols=40,sessions=12,seed=5")
    moves = [log(sessions[-1][-1].close / sessions[0][0].open) for sessions in days.values()]
    assert abs(mean(moves)) < 0.04  # they share a factor, which is 0.01 a day
    assert 0.03 < stdev(moves) < 0.08


def test_sessions_follow_one_another_wherever_one_begins() -> None:
    """Over the turn of a year, and before the year whose prices are the known ones."""
    for start, later, skipped in (("2026-12-30", "2027-01-04", 2), ("2025-12-30", "2026-01-02", 2)):
        long = sessions_of(f"simulated:symbols=2,sessions=4,start={start}")["AAPL"]
        short = sessions_of(f"simulated:symbols=9,sessions=2,start={later}")["AAPL"]
        assert long[skipped:] == short
        for yesterday, today in pairwise(long):
            assert abs(log(today[0].open / yesterday[-1].close)) < 0.03


def trades(seed: int, half_spread: Decimal) -> Iterator[float]:
    """What each round trip of the moving averages earns a share, filled as market orders are.

    One that is open at the end is sold there: left out, it would be missed among the winners, which last longer.
    """
    crossover = pytest.importorskip("smabot_sma.crossover")
    for sessions in sessions_of(f"simulated:seed={seed}").values():
        rule, paid = crossover.Crossover(10, 30), None
        bars = [bar for session in sessions for bar in session]
        for bar, following in pairwise(bars):
            crossing = rule.add(bar.close)
            opening = Decimal(repr(following.open))
            if crossing > 0 and paid is None:
                paid = bid_or_ask(opening, Side.BUY, half_spread)
            elif crossing < 0 and paid is not None:
                yield float(bid_or_ask(opening, Side.SELL, half_spread) - paid)
                paid = None
        if paid is not None:
            yield float(bid_or_ask(Decimal(repr(bars[-1].close)), Side.SELL, half_spread) - paid)


@pytest.mark.slow
def test_a_moving_average_earns_minus_its_cost() -> None:
    """Two half spreads a round trip, within two standard errors over a hundred seeds."""
    half_spread = SimulatedMarket().half_spread
    by_seed = [list(trades(seed, half_spread)) for seed in range(1, 101)]
    count = sum(map(len, by_seed))
    average = sum(map(sum, by_seed)) / count
    excess = [sum(some) - average * len(some) for some in by_seed]
    error = sqrt(sum(each * each for each in excess)) / count
    assert count > 5_000
    assert abs(average + 2 * float(half_spread)) < 2 * error
    assert error < 0.03, "or anything would do"
