"""What moves the exchange's clock: a client's calls, or the server at a pace of its own."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Literal

from smabot_exchange.exchange import Exchange
from smabot_exchange.streams.broadcast import Broadcast

LONGEST_WAIT = 5.0
"""Seconds that clients get to take a minute in, when the pace is as fast as can be."""

PacedBy = Literal["stepped", "paced"]


class ClockDriver:
    """Replays minute after minute. ``clock`` says who requests the next."""

    def __init__(
        self, exchange: Exchange, broadcast: Broadcast, clock: PacedBy = "stepped"
    ) -> None:
        self.clock: PacedBy = clock
        self._exchange = exchange
        self._broadcast = broadcast

    @property
    def ended(self) -> bool:
        """Whether all data are replayed."""
        return self._exchange.next_time() is None

    def now(self) -> datetime:
        """Return what the clock shows."""
        return self._exchange.now

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

    async def _wait_for_clients(self) -> None:
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._broadcast.clients.wait_until_sent()
        except TimeoutError:
            pass
