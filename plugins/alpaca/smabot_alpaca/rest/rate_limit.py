"""How many requests may leave: below the server's limit, the most urgent first.

Requests of the last minute are counted here, and the server's own count, which other programs under
the same account add to, is read from its answers: ``X-RateLimit-Limit``, ``-Remaining``, ``-Reset``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import IntEnum

from smabot.provider import NotSent
from smabot_alpaca.machine import REAL, Changed

WINDOW = 61.0
"""Seconds: a second above the server's minute, as requests do not all travel equally long."""
LONGEST_PAUSE = 60.0
TOO_MANY = 429


class RateLimitFull(NotSent):
    """The rate limit lets nothing of this urgency pass for ``wait`` more seconds."""


class Urgency(IntEnum):
    """Who goes first. A part of the limit is kept for those before."""

    EXIT = 0
    ENTRY = 1
    READ = 2
    BULK = 3
    """What no bot waits for: a bot that runs with the same key keeps half of the limit."""


_RESERVED = {Urgency.EXIT: 0.0, Urgency.ENTRY: 0.05, Urgency.READ: 0.25, Urgency.BULK: 0.5}


class RateLimiter:
    """Lets requests pass. Request threads share its counts, and read and write them under one lock.

    ``limit`` requests pass in each window; None: only the server's answers limit. The server's own
    limit replaces it, or only lowers it where it is ``fixed``.
    """

    def __init__(
        self,
        limit: int | None,
        *,
        fixed: bool = False,
        window: float = WINDOW,
        clock: Callable[[], float] = REAL.seconds,
        wall: Callable[[], float] = lambda: REAL.wall().timestamp(),
        condition: Callable[[], Changed] = REAL.condition,
    ) -> None:
        self._limit = limit
        self._most = limit if fixed else None
        self._window = window
        self._clock = clock
        self._wall = wall
        self._passed: deque[float] = deque()
        self._room: int | None = None  # by the server's count, less what is under way
        self._reset = 0.0
        self._closed_until = 0.0
        self._under_way = 0
        self._waiting = dict.fromkeys(Urgency, 0)
        self._changed = condition()

    @property
    def allowance(self) -> tuple[int | None, int | None]:
        """The limit, and what the server last said is left of it; None where it is not known."""
        return self._limit, self._room

    def acquire(self, urgency: Urgency, timeout: float = 0.0) -> None:
        """Let one request pass; `release` has to follow.

        Raises NoRoom when there is no room for it within ``timeout`` seconds.
        """
        with self._changed:
            deadline = self._clock() + timeout
            self._waiting[urgency] += 1
            try:
                while (wait := self._seconds_until_room(urgency)) > 0:
                    left = deadline - self._clock()
                    if left <= 0:
                        raise RateLimitFull(f"the rate limit leaves no room for {wait:.1f} s", wait)
                    self._changed.wait(min(wait, left))
                now = self._clock()
                self._passed.append(now)
                self._under_way += 1
                if self._room is not None:
                    self._room -= 1
            finally:
                self._waiting[urgency] -= 1
                self._changed.notify_all()

    def release(self) -> None:
        """A request has been answered, or given up."""
        with self._changed:
            self._under_way -= 1

    def update_from_answer(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the limit from the headers of an answer whose request is not yet released."""
        limit = _whole(headers.get("X-RateLimit-Limit"))
        remaining = _whole(headers.get("X-RateLimit-Remaining"))
        reset = _number(headers.get("X-RateLimit-Reset"))
        retry_after = _number(headers.get("Retry-After"))
        with self._changed:
            now = self._clock()
            pause = min(max(reset - self._wall(), 0.0), LONGEST_PAUSE) if reset else 0.0
            if limit and self._limit is not None:
                self._limit = min(limit, self._most or limit)
            if remaining is not None and reset is not None:
                self._room = remaining - max(self._under_way - 1, 0)
                self._reset = now + pause
            if status == TOO_MANY:
                pause = min(max(retry_after or pause, 1.0), LONGEST_PAUSE)
                self._closed_until = max(self._closed_until, now + pause)
            self._changed.notify_all()

    def seconds_until_room(self, urgency: Urgency) -> float:
        """Return the seconds until a request of that urgency may pass, as far as is known now."""
        with self._changed:
            return max(self._seconds_until_room(urgency), 0.0)

    def _seconds_until_room(self, urgency: Urgency) -> float:
        """Return the seconds until a request of that urgency may pass, as far as is known now."""
        now = self._clock()
        wait = self._closed_until - now
        if self._limit is not None:
            while self._passed and self._passed[0] <= now - self._window:
                self._passed.popleft()
            allowed = self._limit - int(self._limit * _RESERVED[urgency])
            if len(self._passed) >= allowed:
                wait = max(wait, self._passed[len(self._passed) - allowed] + self._window - now)
        else:
            self._passed.clear()
        if self._room is not None and now >= self._reset:
            self._room = None
        if self._room is not None and self._room <= int((self._limit or 0) * _RESERVED[urgency]):
            wait = max(wait, self._reset - now)
        if wait <= 0 and any(self._waiting[other] for other in Urgency if other < urgency):
            return 0.05  # a more urgent request goes first
        return wait


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e12 else None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)
