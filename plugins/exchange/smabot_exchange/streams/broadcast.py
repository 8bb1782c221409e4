"""The streams' middle: who is connected, and what each is sent of what happens at the exchange."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from starlette.websockets import WebSocket

from smabot.provider import MINUTE
from smabot_exchange.exchange import Exchange, ReplayedMinute
from smabot_exchange.faults.fault_bases import Stream
from smabot_exchange.faults.fault_kinds import (
    Disconnect,
    ExternalOrder,
    ExternalPosition,
    MuteStream,
    RefuseConnections,
    UnreadableFrame,
)
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.matching.orders import OrderEvent, OrderRequest, OrderType, RequestRefused
from smabot_exchange.streams.bar_messages import MinuteComposer, MinuteEncoder
from smabot_exchange.streams.client_connection import ClientConnection
from smabot_exchange.streams.frames import Codec
from smabot_exchange.streams.order_messages import OrderMessages
from smabot_exchange.streams.order_visibility import PENDING_CANCEL, OrderVisibility
from smabot_exchange.streams.subscriptions import Subscriptions
from smabot_exchange.streams.tcp_connections import TcpConnections
from smabot_exchange.streams.timers import ExchangeTimers

GARBAGE: dict[str, bytes | str] = {
    "bytes": b"\xc1\xff\x00\xfe garbage",
    "text": "garbage",
    "cut": b'\x91\x85\xa1T\xa1b\xa1S{"stream":"trade_up',
    "empty": b"",
}
"""Frames that are neither msgpack nor JSON."""

SLOW_GRACE = 2.0
"""Seconds in which a client that is too slow may read that it is, before it is cut off."""


class TradeConnection(ClientConnection):
    """A client of the trading stream; it hears of orders when it has asked to."""

    listening = False


class DataConnection(ClientConnection):
    """A client of the stock data stream; ``codec`` is how it wants to be written to."""

    def __init__(self, socket: WebSocket, codec: Codec) -> None:
        super().__init__(socket)
        self.codec = codec
        self.subscriptions = Subscriptions()

    def say(self, now: Any, *messages: dict[str, Any]) -> None:
        """Send control messages."""
        self.put(self.codec.join([self.codec.pack(message) for message in messages]), now)


class Broadcast:
    """Belongs to the server's event loop, but for hearing of order events, which any thread may tell."""

    def __init__(self, exchange: Exchange, plan: FaultPlan, sockets: TcpConnections) -> None:
        self.exchange = exchange
        self.plan = plan
        self.sockets = sockets
        self.masks = OrderVisibility(plan)
        self.later = ExchangeTimers()
        self.trading: list[TradeConnection] = []
        """Those that are authenticated, the newest last."""
        self.data: dict[str, DataConnection] = {}
        """Those that are authenticated, by key id."""
        self.wanted = asyncio.Event()
        """Whether a client waits for time to pass: for bars, or for what becomes of open orders."""
        self._updates = OrderMessages(plan, self.masks, self.later, self._send_update)
        self._ticker = MinuteComposer(exchange, plan, self.later)
        self._refused_until: dict[Stream, float] = {}
        self._heard: deque[Sequence[OrderEvent]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- orders ------------------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to hear of orders, and deliver on this loop."""
        self._loop = loop
        self.exchange.listen(self._hear)

    def _hear(self, events: Sequence[OrderEvent]) -> None:
        self._heard.append(events)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        """Send the order events that were heard, in the order they happened."""
        while self._heard:
            for event in self._heard.popleft():
                self._updates.hear(event, self.exchange.now)

    def _send_update(self, message: bytes, occasion: Occasion) -> None:
        self._strike("trade", occasion, "update")
        for connection in list(self.trading):
            if connection.listening and not connection.put(message, self.exchange.now, 1):
                self._cut_off(connection)

    def stick(self, order_id: UUID, minutes: int | None) -> None:
        """Show an order as waiting for a cancel that does not come, or comes so much later."""
        if not self.masks.stick(str(order_id)):
            return
        now = self.exchange.now
        order = self.exchange.order(order_id)
        self._updates.hear(OrderEvent(PENDING_CANCEL, now, order), now)
        if minutes is not None:
            self.later.at(now + minutes * MINUTE, lambda: self._unstick(order_id))

    def _unstick(self, order_id: UUID) -> None:
        self.masks.release(str(order_id))
        with suppress(RequestRefused):  # it has ended meanwhile
            self.exchange.cancel(order_id)

    # -- minutes -----------------------------------------------------------------------------------

    def play(self) -> ReplayedMinute | None:
        """Play the exchange's next minute and send what it brings; None at the tape's end.

        Raises BrokerError when the exchange has failed.
        """
        self.deliver()
        minute = self.exchange.advance()
        if minute is None:
            return None
        self.later.run(minute.time)
        self.deliver()
        self._updates.release(minute.time)
        occasion = Occasion(f"minute {minute.time}", minute.time)
        self._strike("trade", occasion, "minute")
        self._strike("data", occasion, "minute")
        self._tell(minute)
        self._foreign(occasion)
        return minute

    def _tell(self, minute: ReplayedMinute) -> None:
        daily = any(c.subscriptions.wants("dailyBars") for c in self.data.values())
        writer = MinuteEncoder(self._ticker.news(minute, daily=daily), self.exchange.symbols)
        for connection in list(self.data.values()):
            for frame, bars in writer.frames(connection.codec, connection.subscriptions):
                if not connection.put(frame, minute.time, bars):
                    self._cut_off(connection)
                    break

    def _foreign(self, occasion: Occasion) -> None:
        for order in self.plan.strikes(ExternalOrder, occasion):
            kind = OrderType.MARKET if order.limit_price is None else OrderType.LIMIT
            with suppress(RequestRefused):  # as its sender's trouble
                self.exchange.submit(
                    OrderRequest(
                        order.symbol, order.side, order.qty, kind, order.limit_price,
                        client_order_id=order.client_order_id,
                    )
                )  # fmt: skip
        for held in self.plan.strikes(ExternalPosition, occasion):
            with suppress(RequestRefused):
                price = held.price or self.exchange.last_price(held.symbol)
                self.exchange.adjust(held.symbol, held.qty, price)
        self.deliver()

    # -- connections -------------------------------------------------------------------------------

    def refuses(self, stream: Stream) -> bool:
        """Whether a stream takes no connections for now."""
        return time.monotonic() < self._refused_until.get(stream, 0.0)

    def left(self, stream: Stream, connection: ClientConnection, *, clean: bool) -> None:
        """Forget a connection that has ended; unclean: without a close frame from the client."""
        if isinstance(connection, TradeConnection) and connection in self.trading:
            self.trading.remove(connection)
        elif self.data.get(connection.key_id) is connection:
            del self.data[connection.key_id]
        else:
            return  # it was never in, or has been parted with
        if not clean:
            occasion = Occasion(f"drop {stream}", self.exchange.now)
            if refuse := self.plan.first(RefuseConnections, occasion, stream=stream):
                self._refused_until[stream] = time.monotonic() + refuse.seconds

    def newest_trading(self, key_id: str) -> TradeConnection | None:
        return next((c for c in reversed(self.trading) if c.key_id == key_id), None)

    async def drained(self) -> None:
        """Wait until all that was sent has left."""
        for connection in (*self.trading, *self.data.values()):
            await connection.drained()

    def _strike(self, stream: Stream, occasion: Occasion, at: str) -> None:
        """Do to a stream's connections what the faults of this moment ask for."""
        plan = self.plan
        if not plan.any(MuteStream, Disconnect, UnreadableFrame):
            return
        connections: list[ClientConnection] = [
            *(self.trading if stream == "trade" else self.data.values())
        ]
        now = occasion.time
        for garbage in plan.strikes(UnreadableFrame, occasion, stream=stream, at=at):
            for connection in connections:
                connection.put(GARBAGE[garbage.form], now)
        for mute in plan.strikes(MuteStream, occasion, stream=stream, at=at):
            for connection in connections:
                connection.mute(None if mute.minutes is None else now + mute.minutes * MINUTE)
        for cut in plan.strikes(Disconnect, occasion, stream=stream, at=at):
            for connection in connections:
                self.left(stream, connection, clean=cut.clean)
                if cut.clean:
                    connection.close(cut.code)
                else:
                    self.sockets.reset(connection.socket.scope)

    def _cut_off(self, connection: ClientConnection) -> None:
        """Tell a client that it is too slow, and part with it."""
        now = self.exchange.now
        connection.drop_waiting()
        if isinstance(connection, DataConnection):
            self.left("data", connection, clean=True)
            connection.say(now, {"T": "error", "code": 407, "msg": "slow client"})
        else:
            self.left("trade", connection, clean=True)
        connection.close(1008, "slow client")
        asyncio.get_running_loop().call_later(
            SLOW_GRACE, self.sockets.reset_if_open, connection.socket.scope
        )
