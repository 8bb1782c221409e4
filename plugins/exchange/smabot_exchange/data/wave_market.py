"""The simulated market's shape ``waves``: two sine waves a day and noise that fades.

A moving average wins on it, so that it says nothing of a strategy. It makes many crossings, which is what
tests want, and ledgers of earlier releases were begun with it: its bars must stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from smabot.provider import MINUTE, Bar, Session
from smabot_exchange.data.simulated_symbols import seeded, wave_character


class WaveMarket:
    """Sessions of symbols in waves."""

    def __init__(self, seed: int, symbols: Sequence[str]) -> None:
        self._seed = seed
        self._symbols = symbols

    def session(self, session: Session) -> list[Iterator[Bar]]:
        """Return the session's bars of each symbol."""
        return [_session_bars(self._seed, symbol, session) for symbol in self._symbols]


def _session_bars(seed: int, symbol: str, session: Session) -> Iterator[Bar]:
    """Make one symbol's session: two slow swings, noise that fades, busy at open and close."""
    level, sigma, shares, _ = wave_character(seed, symbol)
    rng = seeded(f"{seed} {symbol} {session.date} bars")
    gauss, uniform, sin, exp = rng.gauss, rng.random, math.sin, math.exp
    count = int((session.close - session.open) / MINUTE)
    start = _close_level(seed, symbol, session.date - timedelta(days=1)) + gauss(0, 0.35 * sigma)
    drift = (_close_level(seed, symbol, session.date) - start) / count
    pace = [2 * math.pi / rng.uniform(105, 165), 2 * math.pi / rng.uniform(60, 90)]
    phase = [rng.uniform(0, 2 * math.pi) for _ in pace]
    size = [0.30 * sigma * rng.uniform(0.8, 1.2), 0.10 * sigma * rng.uniform(0.6, 1.0)]
    offset = sum(a * sin(p) for a, p in zip(size, phase, strict=True))
    (pace_a, pace_b), (phase_a, phase_b), (size_a, size_b) = pace, phase, size
    noise = 0.0
    close = round(level * exp(start), 2)
    time = session.open
    for minute in range(count):
        side = 2 * minute / count - 1
        busy = 0.6 + 1.2 * side * side * side * side + 0.9 * exp(-minute / 12)
        noise = 0.85 * noise + gauss(0, 0.014 * sigma * busy)
        swing = size_a * sin(pace_a * minute + phase_a) + size_b * sin(pace_b * minute + phase_b)
        wick = 0.03 * sigma * busy
        open_ = close if uniform() < 0.5 else round(close * (1 + wick * (uniform() - 0.5)), 2)
        close = round(level * exp(start + drift * minute + swing - offset + noise), 2)
        top, bottom = (open_, close) if open_ > close else (close, open_)
        high = round(top * (1 + wick * uniform()), 2)
        low = round(bottom * (1 - wick * uniform()), 2)
        volume = int(shares * busy * (0.4 + 1.2 * uniform())) + 1
        yield Bar(
            symbol, time, open_, high, low, close, float(volume),
            volume // 110 + 1, round((open_ + high + low + close) / 4, 4),
        )  # fmt: skip
        time += MINUTE


def _close_level(seed: int, symbol: str, day: date) -> float:
    """Return the logarithm of a day's close over the symbol's level: three slow waves and a jolt."""
    sigma = wave_character(seed, symbol).volatility
    phases = seeded(f"{seed} {symbol} waves")
    waves = 0.0
    for period in (9, 23, 61):
        size = 0.5 * sigma * period / (2 * math.pi)
        turn = 2 * math.pi * (day.toordinal() / period + phases.random())
        waves += size * math.sin(turn)
    return waves + seeded(f"{seed} {symbol} {day}").gauss(0, 0.3 * sigma)
