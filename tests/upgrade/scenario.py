"""What the release traded, and what it left behind: shared by the fixture's maker and its test.

Plain data without an import of smabot: the maker runs with the release's packages, the test with today's.
A strategy wants 1 (long) or 0 (flat) of a symbol from a minute of the session on.
"""

from __future__ import annotations

from typing import Any

MINUTES = 60
GAP = range(12, 18)
"""Minutes in which the exchange went on and no bot ran."""
KILLED = 25
"""The last minute that the release decided on: its orders are committed, and not sent."""
RESUMES = 28
"""The first minute after the gap in which DDD has a bar."""
ENTERS = 40
"""When a strategy wants to enter after the upgrade."""
SHARES = 10

WANTS: dict[str, dict[tuple[str, int], int]] = {
    "one": {("AAA", 2): 1},
    "two": {("BBB", 2): 1},
    "partly": {("CCC", 2): 1, ("CCC", 22): 0},
    "missed": {("DDD", 2): 1, ("DDD", 14): 0},
    "unanswered": {("EEE", 2): 1, ("EEE", 24): 0},
    "lost": {("FFF", 23): 1},
    "unsent": {("GGG", 2): 1, ("GGG", KILLED): 0, ("HHH", KILLED): 1},
    "later": {("III", ENTERS): 1},
}
SYMBOLS = sorted({symbol for wants in WANTS.values() for symbol, _ in wants})
SETTINGS: dict[str, Any] = {
    "plugins": ("risk",),
    "base_plugins": ("persistence_sqlite", "reconciliation", "exchange"),
    "broker": "exchange",
    "reconcile_every_minutes": 60,
    "plugin": {"risk": {"circuit_breaker": {"max_session_drawdown": "0.001"}}},
}
HALT = "before the upgrade"


def price(symbol: str, minute: int) -> float:
    """Return a close: AAA falls when the release is killed, so far that the breaker trips."""
    if symbol == "AAA":
        return 50.0 if minute >= KILLED else 100.0
    return round(100 + minute / 10, 2)


def volume(symbol: str) -> int:
    """Return a minute's volume: an order in CCC gets two shares a minute."""
    return 20 if symbol == "CCC" else 10_000


def has_bar(symbol: str, minute: int) -> bool:
    """Whether a symbol trades in a minute: DDD pauses from its missed signal on."""
    return symbol != "DDD" or not 14 < minute < RESUMES
