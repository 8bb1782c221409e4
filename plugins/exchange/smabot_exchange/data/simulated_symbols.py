"""The symbols of the simulated market: five that are known, then as many invented ones as are wanted."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple


class Character(NamedTuple):
    """Price level in US dollars, daily volatility, shares a minute, and correlation with the market."""

    level: float
    volatility: float
    shares: float
    correlation: float


KNOWN_SYMBOLS = {
    "SPY": Character(682.0, 0.009, 150_000, 0.97),
    "AAPL": Character(264.0, 0.014, 95_000, 0.62),
    "MSFT": Character(415.0, 0.013, 48_000, 0.65),
    "IBM": Character(301.0, 0.013, 11_000, 0.45),
    "KO": Character(71.5, 0.010, 36_000, 0.35),
}

_LETTERS = 26
MOST_SYMBOLS = len(KNOWN_SYMBOLS) + _LETTERS**3


def simulated_symbols(count: int) -> list[str]:
    """Return the known symbols, then invented ones: ZAAA, ZAAB, …"""
    names = list(KNOWN_SYMBOLS)[:count]
    for index in range(count - len(names)):
        high, low = divmod(index, _LETTERS)
        first, second = divmod(high, _LETTERS)
        names.append("Z" + "".join(chr(ord("A") + digit) for digit in (first, second, low)))
    return names


def seeded(purpose: str) -> Random:
    """Return random numbers that depend on the purpose's text alone."""
    return Random(purpose)  # noqa: S311


def wave_character(seed: int, symbol: str) -> Character:
    """Return a symbol's character in the market of waves, in which nothing is correlated."""
    if symbol in KNOWN_SYMBOLS:
        return KNOWN_SYMBOLS[symbol]
    rng = seeded(f"{seed} {symbol}")
    return Character(
        math.exp(rng.uniform(2.7, 6)), rng.uniform(0.009, 0.022), rng.uniform(3_000, 60_000), 0.0
    )


def character(seed: int, symbol: str) -> Character:
    """Return a symbol's character.

    Invented ones cost 60 to 400 dollars: a cent is then small beside a minute's move, whose rounding
    would make returns autocorrelated.
    """
    if symbol in KNOWN_SYMBOLS:
        return KNOWN_SYMBOLS[symbol]
    rng = seeded(f"{seed} {symbol} character")
    return Character(
        math.exp(rng.uniform(4.1, 6)), rng.uniform(0.011, 0.02),
        rng.uniform(3_000, 60_000), rng.uniform(0.3, 0.65),
    )  # fmt: skip
