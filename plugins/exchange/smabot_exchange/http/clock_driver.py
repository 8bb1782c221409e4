"""What moves the exchange's clock: a client's calls, the server at a pace of its own, or the wall clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from smabot_exchange.exchange import Exchange
from smabot_exchange.streams.broadcast import Broadcast

LONGEST_WAIT = 5.0
"""Seconds that clients get to take a minute in, when the pace is as fast as can be."""

LONGEST_SLEEP = 1.0
"""Seconds between looks at the wall clock, which may be set, or go on while the machine sleeps."""
SETTLING = 0.05
"""Seconds after a minute's end until its bars are sent."""

PacedBy = Literal["stepped", "paced"]
Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    return datetime.now(UTC)


class ClockDriver:
    """Replays minute after minute. ``clock`` says who requests the next; given as a function it is followed."""

    def __init__(
        self,
        exchange: Exchange,
        broadcast: Broadcast,
        clock: PacedBy | Clock = "stepped",
    ) -> None:
        self.clock: Literal["stepped", "paced", "wall"]
        self._wall = wall_clock
        if callable(clock):
            self.clock, self._wall = "wall", clock
            exchange.follow(clock)
        else:
            self.clock = clock
        self._exchange = exchange
        self._broadcast = broadcast

    @property
    def ended(self) -> bool:
        """Whether all data are replayed."""
        return self._exchange.next_time() is None

    def now(self) -> datetime:
        """Return what the clock shows, UTC."""
        now = self._exchange.now
        return max(now, self._wall()) if self.clock == "wall" else now

    def step(self) -> bool:
        """Replay the next minute; return whether there was one. Raises BrokerError."""
        return self._broadcast.replay_minute() is not None

    async def run(self, per_second: float | None, *, at_once: bool = False) -> None:
        """Replay to the data's end, so many minutes a second (None: as fast as clients can take it).

        Begins when a client has subscribed to market data, or listens while orders are open, unless
        ``at_once``.
        Raises BrokerError when the exchange has failed.
        """
        if not at_once:
            await self._broadcast.time_wanted.wait()
        due = time.monotonic()
        while self.step():
            if per_second is None:
                await self._wait_for_clients()
                continue
            now = time.monotonic()
            due = max(due + 1 / per_second, now - 1)  # late minutes pile up for a second
            await asyncio.sleep(max(due - now, 0))

    async def follow_wall(self) -> None:
        """Replay each minute when it has ended on the wall clock, for good; after a pause those missed.

        Raises BrokerError when the exchange has failed.
        """
        while True:
            self.catch_up()
            now = self._wall()
            left = 60 + SETTLING - now.second - now.microsecond / 1e6
            await asyncio.sleep(min(left, LONGEST_SLEEP))

    def catch_up(self) -> None:
        """Replay the minutes that have ended on the wall clock. Raises BrokerError."""
        minute = self._wall().replace(second=0, microsecond=0)
        while (ends := self._exchange.next_time()) is not None and ends <= minute:
            self.step()
        self._exchange.pass_time(minute)
        self._broadcast.time_passed()

    async def _wait_for_clients(self) -> None:
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._broadcast.clients.wait_until_sent()
        except TimeoutError:
            pass
