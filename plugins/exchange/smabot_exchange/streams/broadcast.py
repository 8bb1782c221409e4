"""What happens at the exchange, sent to each client of the streams: order updates and minutes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from smabot.provider import MINUTE
from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.exchange import Exchange
from smabot_exchange.faults.fault_kinds import ExternalOrder, ExternalPosition
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion
from smabot_exchange.matching.orders import OrderEvent, OrderRequest, OrderType, RequestRefused
from smabot_exchange.replay import ReplayedMinute
from smabot_exchange.streams.bar_messages import MinuteComposer, MinuteEncoder
from smabot_exchange.streams.connected_clients import ConnectedClients
from smabot_exchange.streams.order_messages import OrderMessages
from smabot_exchange.streams.order_visibility import PENDING_CANCEL, OrderVisibility
from smabot_exchange.streams.timers import ExchangeTimers


class Broadcast:
    """Belongs to the server's event loop. One thing is shared with other threads on purpose: whichever
    thread changes an order appends its events to a deque, which the event loop alone empties."""

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        as_seen: AsSeen | None = None,
    ) -> None:
        self.exchange = exchange
        self.plan = plan
        self.clients = ConnectedClients(plan, lambda: exchange.now)
        self.visibility = OrderVisibility(plan, as_seen)
        self.timers = ExchangeTimers()
        self.time_wanted = asyncio.Event()
        """Whether a client waits for time to pass: for bars, or for what becomes of open orders."""
        self._order_messages = OrderMessages(
            plan,
            self.visibility,
            self.timers,
            self._send_order_message,
            announces_pending=as_seen is not None and as_seen.announces_pending,
        )
        self._composer = MinuteComposer(exchange, plan, self.timers)
        self._unsent: deque[Sequence[OrderEvent]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- orders ------------------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Receive the exchange's order events from now on, and send them on this loop."""
        self._loop = loop
        self.exchange.listen(self._receive_events)

    def _receive_events(self, events: Sequence[OrderEvent]) -> None:
        self._unsent.append(events)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: no client is left
                self._loop.call_soon_threadsafe(self.send_order_events)

    def send_order_events(self) -> None:
        """Send the order events that came in, in the order they happened."""
        while self._unsent:
            for event in self._unsent.popleft():
                self._order_messages.send_event(event, self.exchange.now)

    def _send_order_message(self, message: bytes, occasion: Occasion) -> None:
        self.clients.apply_stream_faults("trade", occasion, "update")
        for connection in list(self.clients.trading):
            if connection.listening and not connection.send_json(message, self.exchange.now, 1):
                self.clients.disconnect_slow(connection)

    def show_cancel_pending(self, order_id: UUID, minutes: int | None) -> None:
        """Show an order as waiting for a cancel that does not come, or comes so much later."""
        if not self.visibility.show_cancel_pending(str(order_id)):
            return
        now = self.exchange.now
        order = self.exchange.order(order_id)
        self._order_messages.send_event(OrderEvent(PENDING_CANCEL, now, order), now)
        if minutes is not None:
            self.timers.call_at(now + minutes * MINUTE, lambda: self._cancel_at_last(order_id))

    def _cancel_at_last(self, order_id: UUID) -> None:
        self.visibility.end_cancel_pending(str(order_id))
        with suppress(RequestRefused):  # it has ended meanwhile
            self.exchange.cancel(order_id)

    # -- minutes -----------------------------------------------------------------------------------

    def replay_minute(self) -> ReplayedMinute | None:
        """Replay the exchange's next minute and send what it brings; None at the data's end.

        Raises BrokerError when the exchange has failed.
        """
        self.send_order_events()
        minute = self.exchange.advance()
        if minute is None:
            return None
        self.timers.run_due(minute.time)
        self.send_order_events()
        self._order_messages.send_held_back(minute.time)
        occasion = Occasion(f"minute {minute.time}", minute.time)
        self.clients.apply_stream_faults("trade", occasion, "minute")
        self.clients.apply_stream_faults("data", occasion, "minute")
        self._send_minute(minute)
        self._apply_external_faults(occasion)
        return minute

    def time_passed(self) -> None:
        """Send what became of orders as time passed without a bar."""
        self.timers.run_due(self.exchange.now)
        self.send_order_events()

    def _send_minute(self, minute: ReplayedMinute) -> None:
        connections = list(self.clients.data.values())
        daily = any(each.subscriptions.wants("dailyBars") for each in connections)
        encoder = MinuteEncoder(
            self._composer.compose(minute, daily=daily),
            self.exchange.symbols,
            self.exchange.half_spread,
        )
        for connection in connections:
            for frame, bars in encoder.frames(connection.codec, connection.subscriptions):
                if not connection.send_frame(frame, minute.time, bars):
                    self.clients.disconnect_slow(connection)
                    break

    def _apply_external_faults(self, occasion: Occasion) -> None:
        for order in self.plan.strikes(ExternalOrder, occasion):
            kind = OrderType.MARKET if order.limit_price is None else OrderType.LIMIT
            with suppress(RequestRefused):  # its sender's trouble
                self.exchange.submit(
                    OrderRequest(
                        order.symbol, order.side, order.qty, kind, order.limit_price,
                        client_order_id=order.client_order_id,
                    )
                )  # fmt: skip
        for position in self.plan.strikes(ExternalPosition, occasion):
            with suppress(RequestRefused):
                price = position.price or self.exchange.last_price(position.symbol)
                self.exchange.adjust(position.symbol, position.qty, price)
        self.send_order_events()
