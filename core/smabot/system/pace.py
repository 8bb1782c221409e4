"""So many turns a second."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """So many turns a second by deadlines, which do not drift; late turns pile up for a second."""

    def __init__(
        self,
        per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval = None if per_second is None else 1 / per_second
        self._due: float | None = None
        self._clock = clock
        self._sleep = sleep

    def wait(self, timeout: float) -> bool:
        """Wait for the next turn, ``timeout`` seconds at most; tell whether it has come."""
        if self._interval is None:
            return True
        now = self._clock()
        due = now if self._due is None else max(self._due, now - 1)
        delay = due - now
        if delay > timeout:
            self._sleep(max(timeout, 0))
            return False
        if delay > 0:
            self._sleep(delay)
        self._due = due + self._interval
        return True
