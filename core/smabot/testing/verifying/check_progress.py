"""How much the checks of a plugin replay, how far they are, and how many cases they can afford."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smabot.testing.verifying.generated_markets import Market

AFFORDED = 60_000
"""Minutes that a check with many restarts replays of each market, about."""
LEAST_CASES = 8
WARMING = 0.3
"""What a minute of a warm-up takes of the time of one that is traded."""
LONGEST_WATCH = 500
"""Minutes for which a restart is watched."""

TellEffort = Callable[[float, str], None]
"""Tells how many minutes were replayed, about, and what is done now."""


def watched_minutes(lookback: int) -> int:
    """Return for how many minutes a restart is compared: two lookbacks, where they are not too long."""
    return min(2 * lookback + 5, max(LONGEST_WATCH, lookback // 4))


def minutes_of_cut(lookback: int) -> float:
    """Return what a restart costs that is shown one lookback, and then two."""
    return 2 * watched_minutes(lookback) + 3 * lookback * WARMING


def minutes_of_kill(market: Market, lookback: int) -> float:
    """Return what a killed bot's restart costs, which runs to the market's end; some are killed twice."""
    return 1.7 * (len(market.minutes) / 2 + lookback * WARMING)


def affordable(most: int, minutes_each: float) -> int:
    """Return how many cases of so many minutes each are tried of a market."""
    return max(LEAST_CASES, min(most, int(AFFORDED / minutes_each)))


@dataclass(slots=True)
class CheckProgress:
    """How far the checks of a plugin are."""

    tell: TellEffort = lambda done, text: None
    _done: float = 0.0
    _effort: float = 0.0
    _text: str = ""

    def begin(self, done: float, effort: float, text: str) -> None:
        """A check begins, after ``done`` minutes of others; it takes ``effort``."""
        self._done, self._effort, self._text = done, effort, text
        self.part(0.0)

    def part(self, part: float) -> None:
        """A part of the check is done, from 0 to 1."""
        self.tell(self._done + min(part, 1.0) * self._effort, self._text)
