"""Who is connected to the streams, and what faults do to their connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgpack
import orjson
from starlette.websockets import WebSocket

from smabot.provider import MINUTE
from smabot_exchange.faults.fault_bases import Stream
from smabot_exchange.faults.fault_kinds import (
    Disconnect,
    MuteStream,
    RefuseConnections,
    UnreadableFrame,
)
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.streams.client_connection import ClientConnection
from smabot_exchange.streams.frames import MessageCodec
from smabot_exchange.streams.subscriptions import Subscriptions
from smabot_exchange.streams.tcp_connections import TcpConnections

UNREADABLE: dict[str, bytes | str] = {
    "bytes": b"\xc1\xff\x00\xfe garbage",
    "text": "garbage",
    "cut": b'\x91\x85\xa1T\xa1b\xa1S{"stream":"trade_up',
    "empty": b"",
}
"""Frames that are neither msgpack nor JSON."""

SLOW_GRACE = 2.0
"""Seconds in which a client that is too slow may read that it is, before it is cut off."""


class TradeConnection(ClientConnection):
    """A client of the trading stream; it gets order updates once it has asked to listen.

    Its messages are JSON in binary frames, or ``packed`` as msgpack; ``in_text``: JSON in text frames.
    """

    listening = False
    packed = False
    in_text = False

    def send_json(self, message: bytes, now: datetime, records: int = 0) -> bool:
        """Send a message that is given as JSON, as `send_frame` does."""
        frame: bytes | str = message
        if self.packed:
            frame = msgpack.packb(orjson.loads(message))
        elif self.in_text:
            frame = message.decode()
        return self.send_frame(frame, now, records)


class DataConnection(ClientConnection):
    """A client of the stock data stream; ``codec`` is how its messages are written."""

    def __init__(self, socket: WebSocket, codec: MessageCodec) -> None:
        super().__init__(socket)
        self.codec = codec
        self.subscriptions = Subscriptions()

    def send_control(self, now: Any, *messages: dict[str, Any]) -> None:
        """Send messages that are no market data."""
        frame = self.codec.join([self.codec.pack(message) for message in messages])
        self.send_frame(frame, now)


class ConnectedClients:
    """The authenticated connections of both streams. Belongs to the server's event loop.

    ``now`` gives the exchange's time.
    """

    def __init__(self, plan: FaultPlan, now: Callable[[], datetime]) -> None:
        self.trading: list[TradeConnection] = []
        """The newest last."""
        self.data: dict[str, DataConnection] = {}
        """By key id."""
        self._plan = plan
        self.tcp_connections = TcpConnections()
        self._now = now
        self._refused_until: dict[Stream, float] = {}

    def newest_trading(self, key_id: str) -> TradeConnection | None:
        return next((c for c in reversed(self.trading) if c.key_id == key_id), None)

    def refuses(self, stream: Stream) -> bool:
        """Whether a stream takes no connections for now."""
        return time.monotonic() < self._refused_until.get(stream, 0.0)

    def remove(self, stream: Stream, connection: ClientConnection, *, clean: bool) -> None:
        """Remove a connection that has ended; unclean: without a close frame from the client."""
        if isinstance(connection, TradeConnection) and connection in self.trading:
            self.trading.remove(connection)
        elif self.data.get(connection.key_id) is connection:
            del self.data[connection.key_id]
        else:
            return  # it was never authenticated, or is removed already
        if not clean:
            occasion = Occasion(f"drop {stream}", self._now())
            if refuse := self._plan.first(RefuseConnections, occasion, stream=stream):
                self._refused_until[stream] = time.monotonic() + refuse.seconds

    async def wait_until_sent(self) -> None:
        """Wait until all queued frames are sent."""
        for connection in (*self.trading, *self.data.values()):
            await connection.wait_until_sent()

    def apply_stream_faults(self, stream: Stream, occasion: Occasion, at: str) -> None:
        """Do to a stream's connections what the faults of this moment ask for."""
        plan = self._plan
        if not plan.any(MuteStream, Disconnect, UnreadableFrame):
            return
        connections: list[ClientConnection] = [
            *(self.trading if stream == "trade" else self.data.values())
        ]
        now = occasion.time
        for unreadable in plan.strikes(UnreadableFrame, occasion, stream=stream, at=at):
            for connection in connections:
                connection.send_frame(UNREADABLE[unreadable.form], now)
        for mute in plan.strikes(MuteStream, occasion, stream=stream, at=at):
            for connection in connections:
                connection.mute(None if mute.minutes is None else now + mute.minutes * MINUTE)
        for cut in plan.strikes(Disconnect, occasion, stream=stream, at=at):
            for connection in connections:
                self.remove(stream, connection, clean=cut.clean)
                if cut.clean:
                    connection.close(cut.code)
                else:
                    self.tcp_connections.reset(connection.socket.scope)

    def disconnect_slow(self, connection: ClientConnection) -> None:
        """Say to a client that it is too slow, and disconnect it."""
        connection.drop_queue()
        if isinstance(connection, DataConnection):
            self.remove("data", connection, clean=True)
            error = {"T": "error", "code": 407, "msg": "slow client"}
            connection.send_control(self._now(), error)
        else:
            self.remove("trade", connection, clean=True)
        connection.close(1008, "slow client")
        asyncio.get_running_loop().call_later(
            SLOW_GRACE, self.tcp_connections.reset_if_open, connection.socket.scope
        )
