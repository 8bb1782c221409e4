"""The server's TCP connections, so that one can be reset: ASGI shows none of them."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any
from weakref import WeakValueDictionary

from starlette.types import Receive, Scope

_LINGER_NOT = struct.pack("ii", 1, 0)


class TcpConnections:
    """The open connections by the client's address, as ASGI's ``scope["client"]`` has it."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple[str, int], asyncio.Transport] = WeakValueDictionary()

    def register(self, transport: asyncio.Transport) -> None:
        """Remember a connection; a websocket keeps its request's."""
        peer = transport.get_extra_info("peername")
        self._open[(str(peer[0]), int(peer[1]))] = transport

    def reset(self, scope: Scope) -> None:
        """Reset the connection of a request or websocket: the client gets a TCP RST, no more bytes.

        Raises RuntimeError where the server does not register its connections.
        """
        transport = self._open.get(tuple(scope["client"]))
        if transport is None:
            raise RuntimeError("the connection is unknown: serve with smabot_exchange.http.server")
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        transport.abort()

    def reset_if_open(self, scope: Scope) -> None:
        """Reset a connection unless it has ended already."""
        if tuple(scope["client"]) in self._open:
            self.reset(scope)

    async def reset_request(self, scope: Scope, receive: Receive) -> None:
        """Reset a request's connection, and wait until the server knows that it is gone."""
        self.reset(scope)
        while (await receive())["type"] != "http.disconnect":
            pass

    def protocol(self) -> type[asyncio.Protocol]:
        """Return uvicorn's HTTP protocol, which registers each connection here."""
        from uvicorn.protocols.http.auto import AutoHTTPProtocol

        connections = self
        base: Any = AutoHTTPProtocol

        class RegisteringProtocol(base):  # type: ignore[misc]
            def connection_made(self, transport: asyncio.Transport) -> None:
                connections.register(transport)
                super().connection_made(transport)

        return RegisteringProtocol
