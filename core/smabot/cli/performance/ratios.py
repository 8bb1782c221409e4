"""Ratios over the returns of sessions. Each is a fraction, or None where it is not defined.

A year has 252 sessions. Returns are simple: 0.01 is one percent. No interest is counted for money that is not
invested. The same definitions as those of empyrical, with which tests compare them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from statistics import fmean, stdev

SESSIONS_A_YEAR = 252


def total_return(returns: Sequence[float]) -> float:
    return prod(1 + each for each in returns) - 1


def annual_return(returns: Sequence[float]) -> float | None:
    """The return that a year at this pace would have, compounded."""
    total = total_return(returns)
    if not returns or total <= -1:
        return None
    try:
        return float((1 + total) ** (SESSIONS_A_YEAR / len(returns)) - 1)
    except OverflowError:
        return None


def volatility(returns: Sequence[float]) -> float | None:
    """The sample's standard deviation of a session's return, scaled to a year."""
    return stdev(returns) * sqrt(SESSIONS_A_YEAR) if len(returns) > 1 else None


def sharpe(returns: Sequence[float]) -> float | None:
    """The mean return of a session by its standard deviation, scaled to a year."""
    spread = volatility(returns)
    return _by(fmean(returns) * SESSIONS_A_YEAR, spread) if spread is not None else None


def sortino(returns: Sequence[float]) -> float | None:
    """As `sharpe`, but by the root mean square of the losing sessions, over all sessions."""
    if len(returns) < 2:
        return None
    downside = sqrt(fmean(min(each, 0.0) ** 2 for each in returns) * SESSIONS_A_YEAR)
    return _by(fmean(returns) * SESSIONS_A_YEAR, downside)


def calmar(returns: Sequence[float], drawdown: float) -> float | None:
    """The annual return by the largest drawdown, given as a positive fraction."""
    annual = annual_return(returns)
    return _by(annual, drawdown) if annual is not None else None


def _by(value: float, divisor: float) -> float | None:
    return value / divisor if divisor > 1e-12 else None
