"""The simulated market: seeded minute bars with the shape of a real trading day.

A symbol's bars on a date are a function of the seed, the symbol and the date alone, so that asking
for more symbols or more sessions never changes those one already has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from smabot.provider import MINUTE, Bar, ConfigError, Session, suggest

VERSION = 1
"""Part of the fingerprint: a change of the shape below makes another market."""

KNOWN_SYMBOLS = {
    "SPY": (682.0, 0.009, 150_000),
    "AAPL": (264.0, 0.014, 95_000),
    "MSFT": (415.0, 0.013, 48_000),
    "IBM": (301.0, 0.013, 11_000),
    "KO": (71.5, 0.010, 36_000),
}
"""Price level in US dollars, daily volatility, shares a minute."""

_LETTERS = 26
MOST_SYMBOLS = len(KNOWN_SYMBOLS) + _LETTERS**3
MOST_SESSIONS = 2_520
_YEARS = (1900, 2200)
WAVES = "waves"
SHAPES = (WAVES,)
_SETTINGS = ("symbols", "sessions", "seed", "start", "shape")


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """``symbols`` symbols over ``sessions`` regular sessions from ``start`` on."""

    symbols: int = len(KNOWN_SYMBOLS)
    sessions: int = 2
    seed: int = 1
    start: date = date(2026, 3, 2)
    shape: str = WAVES

    label = "simulated market"
    stored_label = "made market"

    @classmethod
    def parse(cls, spec: str) -> SimulatedMarket:
        """Read ``simulated`` or ``simulated:symbols=50,sessions=3,seed=7,start=2026-03-02``.

        Raises ConfigError on anything else.
        """
        settings: dict[str, str] = {}
        for part in filter(None, spec.removeprefix("simulated").removeprefix(":").split(",")):
            name, equals, text = (piece.strip() for piece in part.partition("="))
            if name not in _SETTINGS:
                hint = suggest(name, _SETTINGS)
                raise _wrong(spec, f"unknown setting {name!r}{hint}")
            if not equals or name in settings:
                raise _wrong(spec, f"{name!r} must be given once, as {name}=VALUE")
            settings[name] = text
        if (shape := settings.pop("shape", WAVES)) not in SHAPES:
            raise _wrong(spec, f"shape must be {' or '.join(SHAPES)}")
        try:
            start = date.fromisoformat(settings.pop("start", cls().start.isoformat()))
        except ValueError:
            raise _wrong(spec, "start must be a date like 2026-03-02") from None
        try:
            market = cls(
                **{name: int(text) for name, text in settings.items()}, start=start, shape=shape
            )
        except ValueError:
            raise _wrong(spec, "symbols, sessions and seed must be whole numbers") from None
        if not 1 <= market.symbols <= MOST_SYMBOLS:
            raise _wrong(spec, f"symbols must be 1 to {MOST_SYMBOLS}")
        if not _YEARS[0] <= market.start.year <= _YEARS[1]:
            raise _wrong(spec, f"start must be in {_YEARS[0]} to {_YEARS[1]}")
        if not 1 <= market.sessions <= MOST_SESSIONS:
            raise _wrong(spec, f"sessions must be 1 to {MOST_SESSIONS}")
        return market

    def signature(self) -> str:
        """Return all that decides the bars."""
        return (
            f"made {VERSION} symbols={self.symbols} sessions={self.sessions} "
            f"seed={self.seed} start={self.start}"
        )

    def fingerprint(self) -> str:
        """Return the same: a simulated market has no contents but its description."""
        return self.signature()

    def bars(self) -> Iterator[Bar]:
        """Yield the bars a minute at a time, sorted by symbol within it."""
        from smabot_exchange.data.sessions import first_sessions

        symbols = sorted(simulated_symbols(self.symbols))
        for session in first_sessions(self.start, self.sessions):
            days = [_session_bars(self.seed, symbol, session) for symbol in symbols]
            for minute in zip(*days, strict=True):
                yield from minute


def simulated_symbols(count: int) -> list[str]:
    """Return the known symbols, then invented ones: ZAAA, ZAAB, …"""
    names = list(KNOWN_SYMBOLS)[:count]
    for index in range(count - len(names)):
        high, low = divmod(index, _LETTERS)
        first, second = divmod(high, _LETTERS)
        names.append("Z" + "".join(chr(ord("A") + digit) for digit in (first, second, low)))
    return names


def _session_bars(seed: int, symbol: str, session: Session) -> Iterator[Bar]:
    """Make one symbol's session: two slow swings, noise that fades, busy at open and close."""
    level, sigma, shares = _character(seed, symbol)
    rng = _rng(f"{seed} {symbol} {session.date} bars")
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


def _character(seed: int, symbol: str) -> tuple[float, float, float]:
    if symbol in KNOWN_SYMBOLS:
        return KNOWN_SYMBOLS[symbol]
    rng = _rng(f"{seed} {symbol}")
    return math.exp(rng.uniform(2.7, 6)), rng.uniform(0.009, 0.022), rng.uniform(3_000, 60_000)


def _close_level(seed: int, symbol: str, day: date) -> float:
    """Return the logarithm of a day's close over the symbol's level: three slow waves and a jolt."""
    _, sigma, _ = _character(seed, symbol)
    phases = _rng(f"{seed} {symbol} waves")
    waves = 0.0
    for period in (9, 23, 61):
        size = 0.5 * sigma * period / (2 * math.pi)
        turn = 2 * math.pi * (day.toordinal() / period + phases.random())
        waves += size * math.sin(turn)
    return waves + _rng(f"{seed} {symbol} {day}").gauss(0, 0.3 * sigma)


def _rng(purpose: str) -> Random:
    return Random(purpose)  # noqa: S311


def _wrong(spec: str, reason: str) -> ConfigError:
    return ConfigError(
        f"data {spec!r}: {reason}; write simulated or simulated:symbols=50,sessions=3,seed=7,start=2026-03-02"
    )
