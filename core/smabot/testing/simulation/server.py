"""The exchange behind its API, in the simulation: what a plugin's own broker and feed talk to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smabot.hooks.simulated_machine import HttpRequest, SimulatedClient, SimulatedMachine
from smabot.testing.simulation.http_line import HttpLine, HttpWatch
from smabot.testing.simulation.socket_line import SocketLine
from smabot.testing.simulation.virtual_machine import KEY, VirtualMachine
from smabot.testing.simulation.wire import Wire

CLOCK = "https://paper-api.alpaca.markets/v2/clock"
Clients = Callable[[SimulatedMachine], SimulatedClient]
"""Makes broker and feed of a process."""


@dataclass(frozen=True)
class Server:
    """Outlives each process."""

    http: HttpLine
    sockets: SocketLine
    clients: Clients

    @classmethod
    def of(cls, wire: Wire, sockets: SocketLine, watch: HttpWatch, clients: Clients) -> Server:
        """Serve the exchange of a wire; ``watch`` sees the requests."""
        exchange, timeline = wire.exchange, wire.timeline
        application = exchange.serve(sockets.loop, lambda: timeline.now, dict([KEY]))
        sockets.application, sockets.set_fault = application, exchange.set_fault
        return cls(HttpLine(wire, application, sockets.loop, watch), sockets, clients)

    def use_up(self, left: int) -> None:
        """Another program under the same key makes requests, until so many are left of what is granted."""
        names = "APCA-API-KEY-ID", "APCA-API-SECRET-KEY"
        request = HttpRequest("query", "clock", "GET", CLOCK, dict(zip(names, KEY, strict=True)))
        while self.http.granted() > left:
            self.http.carry_out(request)

    def machine(self) -> VirtualMachine:
        """Return the machine of a new process."""
        return VirtualMachine(self.sockets.timeline, self.http, self.sockets)
