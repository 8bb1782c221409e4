"""smabot: a crash-safe trading bot."""

from __future__ import annotations

from time import perf_counter

__version__ = "0.1.0"
BEGUN = perf_counter()
"""When this process began to load smabot: time to ready is counted from here."""
