"""When a stream is stale: connected, yet it no longer brings what it should. One rule for both streams.

Pure: functions of what was seen and the clock. REST is the measure, as it has everything in the end:

====================  ============================================================  ==================
stream                it is stale when                                              setting
====================  ============================================================  ==================
market data           so many minutes came by REST alone since its last bar         ``mute_minutes``
order updates         REST knows of a fill, or an end, for so long without it        ``silent_order_seconds``
either, stepped       what the exchange says it sent has not come                   (2 seconds)
either                a ping is not answered: the library closes the connection     (10 to 30 seconds)
====================  ============================================================  ==================

A stale stream is reconnected. A stream that is down is not stale: it is reconnected anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from smabot.provider import OrderUpdate
from smabot_alpaca.clock import EPOCH

PING_SECONDS, PONG_SECONDS = 10, 20
LOOPBACK_PING_SECONDS, LOOPBACK_PONG_SECONDS = 5, 10
"""How often a ping is sent, and how long its answer may take."""


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict: fresh, or stale and why."""

    stale: bool
    why: str = ""


FRESH = Health(False)


@dataclass(frozen=True, slots=True)
class DataStreamSeen:
    """What was seen of the data stream; each method returns what is seen after one more event.

    ``up_since``: when it came up, on the feed's clock, None while it is down. ``streamed_until``: the
    end of the newest minute of which it brought a bar. ``rest_minutes``: the minutes that REST alone
    brought since.
    """

    up_since: datetime | None = None
    streamed_until: datetime = EPOCH
    rest_minutes: int = 0

    def after_up(self, now: datetime) -> DataStreamSeen:
        return replace(self, up_since=now, rest_minutes=0)

    def after_down(self) -> DataStreamSeen:
        return replace(self, up_since=None)

    def after_bars(self, end: datetime) -> DataStreamSeen:
        """The stream brought bars, the newest of a minute that ended at ``end``."""
        return replace(self, streamed_until=max(self.streamed_until, end), rest_minutes=0)

    def after_rest(self, minutes: Iterable[datetime]) -> DataStreamSeen:
        """REST brought bars of the minutes that start then. Those before the newest streamed one are
        a hole in what the stream brought, and no sign that it has stopped."""
        if self.up_since is None:
            return self
        since = max(self.up_since, self.streamed_until)
        alone = {minute for minute in minutes if minute >= since}
        return replace(self, rest_minutes=self.rest_minutes + len(alone))

    def after_reconnect(self) -> DataStreamSeen:
        """A reconnect was requested: what the old connection missed counts no more."""
        return replace(self, rest_minutes=0)


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """What each side knows of one order. ``by_rest_at``: since when, in seconds, REST knows it."""

    by_rest: OrderUpdate
    by_rest_at: float
    by_stream: OrderUpdate | None = None


def data_stream_health(seen: DataStreamSeen, most_minutes: int) -> Health:
    """Judge the data stream; ``most_minutes`` by REST alone make it stale."""
    if seen.up_since is None or seen.rest_minutes < most_minutes:
        return FRESH
    return Health(True, "it is stale: REST has bars that it does not bring")


def trade_stream_health(orders: Iterable[OrderSeen], at: float, patience: float) -> Health:
    """Judge the trade stream at ``at`` seconds; it may lag ``patience`` seconds behind REST."""
    for order in orders:
        if at - order.by_rest_at >= patience and knows_more(order.by_rest, order.by_stream):
            name = order.by_rest.client_order_id
            return Health(True, f"it is stale: REST knows more of order {name}")
    return FRESH


def delivery_health(sent: int | None, received: int) -> Health:
    """Judge a stream of which an exchange says how many messages it sent on this connection; None: it
    does not know, or has no connection."""
    if received >= (sent or 0):
        return FRESH
    return Health(True, "it is stale: updates of sent orders do not arrive")


def knows_more(update: OrderUpdate, other: OrderUpdate | None) -> bool:
    """Whether an update knows of fills, or of the order's end, that the other does not."""
    if other is None:
        return bool(update.filled_qty) or update.status.terminal
    if update.filled_qty != other.filled_qty:
        return update.filled_qty > other.filled_qty
    return update.status.terminal and not other.status.terminal
