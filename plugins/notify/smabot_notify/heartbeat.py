"""A ping to a monitoring service, which tells of the bot's death when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable

from loguru import logger

SECONDS = (3.0, 5.0)
"""How long a ping may take to connect, and to be answered."""
LAST_SECONDS = (1.0, 1.0)
"""The same at a run's end, which waits for it."""


class Heartbeat:
    """Pings a URL every so often, when it is asked whether that is due. One thread uses it at a time."""

    def __init__(
        self, url: str, every_seconds: float, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._every = every_seconds
        self._seconds = seconds
        self._due_at = 0.0
        self._failing = False

    def beat(self) -> None:
        """Ping where it is time to."""
        if (now := self._seconds()) >= self._due_at:
            self._due_at = now + self._every
            self._ping(self._url, SECONDS)

    def fail(self) -> None:
        """Say that the run has ended by a failure."""
        address, mark, query = self._url.partition("?")
        self._ping(f"{address.rstrip('/')}/fail{mark}{query}", LAST_SECONDS)

    def _ping(self, url: str, seconds: tuple[float, float]) -> None:
        import requests

        try:
            with requests.get(url, timeout=seconds, stream=True) as answer:
                why = "" if answer.ok else f"HTTP {answer.status_code}"
        except requests.RequestException as error:
            why = type(error).__name__
        if bool(why) != self._failing:
            self._failing = bool(why)
            if why:
                logger.warning("the heartbeat does not get through: {}", why)
            else:
                logger.info("the heartbeat gets through again")
