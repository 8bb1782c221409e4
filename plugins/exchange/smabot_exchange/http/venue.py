"""The exchange as its REST routes and streams share it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_kinds import KeysRefused
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.http.account_configuration import AccountConfiguration
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.clock_driver import Clock, ClockDriver, PacedBy
from smabot_exchange.http.rate_limit import RequestQuota
from smabot_exchange.streams.broadcast import Broadcast
from smabot_exchange.streams.stream_access import StreamLimits
from smabot_exchange.streams.tcp_connections import TcpConnections


@dataclass
class Venue:
    """An exchange as clients of the API see it.

    ``quota`` limits the requests of each key, None does not; ``largest_body`` is in bytes.
    ``clock`` says what moves the exchange's clock: clients, the server, or a clock that it follows.
    Without ``admin`` the calls under ``/_exchange`` are unknown, as at Alpaca. ``as_seen`` is what it does
    otherwise than by itself.
    """

    exchange: Exchange
    keys: ApiKeys
    quota: RequestQuota | None = None
    largest_body: int = 64 * 1024
    clock: PacedBy | Clock = "stepped"
    stream_limits: StreamLimits = field(default_factory=StreamLimits)
    admin: bool = True
    as_seen: AsSeen = field(default_factory=AsSeen)
    configuration: AccountConfiguration = field(init=False)
    broadcast: Broadcast = field(init=False)
    clock_driver: ClockDriver = field(init=False)

    def __post_init__(self) -> None:
        self.configuration = AccountConfiguration(self.exchange)
        self.broadcast = Broadcast(self.exchange, self.faults, self.as_seen)
        self.exchange.allow_opposite(self.as_seen.opposite_allowed.pairs)
        self.clock_driver = ClockDriver(self.exchange, self.broadcast, self.clock)
        self._closing = asyncio.Event()

    @property
    def tcp_connections(self) -> TcpConnections:
        return self.broadcast.clients.tcp_connections

    @property
    def faults(self) -> FaultPlan:
        return self.exchange.faults

    def accepts_key(self, key_id: str, secret: str, path: str) -> bool:
        """Whether a stream's client may come in with this key, at this path."""
        if not self.keys.match(key_id, secret):
            return False
        now = self.exchange.now
        occasion = Occasion(f"WS {path} {now}", now, "WS", path)
        return self.faults.first(KeysRefused, occasion) is None

    def close(self) -> None:
        """End what waits on purpose; belongs to the server's event loop."""
        self._closing.set()

    async def wait(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass
