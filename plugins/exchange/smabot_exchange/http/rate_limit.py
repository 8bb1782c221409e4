"""How many requests a key may make: so many in each window of time, as at Alpaca."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class QuotaAnswer:
    """What a request finds: how many are left after it, and when (Unix time) all are back."""

    granted: bool
    limit: int
    remaining: int
    reset: int


class RequestQuota:
    """``limit`` requests of each key per window of ``seconds``."""

    def __init__(
        self, limit: int, seconds: float = 60, clock: Callable[[], float] = time.time
    ) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._used: dict[str, tuple[float, int]] = {}

    def take(self, key_id: str) -> QuotaAnswer:
        """Count a request of a key whose id is known to be right."""
        now = self._clock()
        begun, used = self._used.get(key_id, (now, 0))
        if not begun <= now < begun + self.seconds:
            begun, used = now, 0
        granted = used < self.limit
        used += granted
        self._used[key_id] = (begun, used)
        return QuotaAnswer(granted, self.limit, self.limit - used, ceil(begun + self.seconds))
