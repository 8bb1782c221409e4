"""Pauses between attempts: exponential, with full jitter.

https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Pauses up to ``first`` seconds, then twice that, …, and at most ``ceiling``."""

    def __init__(
        self,
        first: float,
        ceiling: float = 30.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``draw`` gives numbers from 0 to 1."""
        self._first = first
        self._ceiling = ceiling
        self._draw = draw
        self._failures = 0

    def reset(self) -> None:
        """The last attempt did well."""
        self._failures = 0

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt."""
        longest: float = min(self._first * 2 ** min(self._failures, 32), self._ceiling)
        self._failures += 1
        return self._draw() * longest
