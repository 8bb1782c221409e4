"""Prices to play: seeded, so that every run measures the same work."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Bar, Batch

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""A Monday's opening in New York."""
SESSION = 390
COLUMNS = ["symbol", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"]


def names(count: int) -> list[str]:
    """Return tickers of three letters: AAA, AAB, …"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [letters[n // 676] + letters[n // 26 % 26] + letters[n % 26] for n in range(count)]


def waves(symbols: int, minutes: int) -> Iterator[list[float]]:
    """Yield each minute's closes: slow waves, where averages cross once in about 125 bars."""
    for minute in range(minutes):
        yield [round(100 + 5 * math.sin((minute + s) / 40), 2) for s in range(symbols)]


def walks(symbols: int, minutes: int) -> Iterator[list[float]]:
    """Yield each minute's closes: random walks, where averages cross once in about 25 bars."""
    rng = random.Random(7)
    prices = [100.0] * symbols
    for _ in range(minutes):
        prices = [round(max(p * (1 + rng.gauss(0, 0.0005)), 1), 2) for p in prices]
        yield prices


def steps(symbols: int, crossing: int, quiet: int, count: int) -> Iterator[list[float]]:
    """Yield closes that stand still, but for some symbols that step up and down in turn, each
    ``quiet`` minutes; ``count`` times that many minutes and one more."""
    for minute in range(quiet * count + 1):
        high = minute // quiet % 2 == 1
        yield [100.0 + (s < crossing and high) for s in range(symbols)]


def batches(closes: Iterable[Sequence[float]], symbols: int) -> list[Batch]:
    """Return a batch a minute, session after session, as a feed replays them."""
    tickers = names(symbols)
    made = []
    for minute, prices in enumerate(closes):
        start = OPEN + timedelta(days=minute // SESSION) + minute % SESSION * MINUTE
        bars = [Bar(t, start, p, p, p, p, 1e6) for t, p in zip(tickers, prices, strict=True)]
        made.append(Batch(start + MINUTE, bars=tuple(bars), comes_again=True))
    return made


def write_csv(path: Path, closes: Iterable[Sequence[float]], symbols: int) -> None:
    """Write one session's bars as a tape; each opens at the close before it."""
    tickers = names(symbols)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        before: Sequence[float] = ()
        for minute, prices in enumerate(closes):
            time = f"{OPEN + minute * MINUTE:%Y-%m-%dT%H:%M:%SZ}"
            for ticker, o, c in zip(tickers, before or prices, prices, strict=True):
                out.writerow([ticker, time, o, max(o, c), min(o, c), c, 10**6, 9, c])
            before = prices
