"""The kinds of faults, and their fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from smabot.provider import A_YEAR, Side
from smabot_exchange.faults.fault_bases import (
    A_DAY,
    A_MILLION,
    BarFault,
    Fault,
    OrderFault,
    RequestFault,
    Stream,
    StreamFault,
    UpdateFault,
)
from smabot_exchange.faults.market_kinds import (
    AccountFlag,
    BarWrong,
    CashTransfer,
    FrozenCancel,
    LeftAtClose,
    LostAnswer,
    RejectedLater,
    StuckPending,
    TradingHalt,
)


class ErrorAnswer(RequestFault):
    """Answers an error instead of the answer."""

    kind = "error"

    when: Literal["before", "after"] = "before"
    """``before``: the request is not carried out; ``after``: it is, and the answer is lost."""
    status: int = Field(504, ge=400, le=599)
    html: bool = False
    """A page instead of JSON, as gateways answer."""


class ConnectionReset(RequestFault):
    """Resets the TCP connection instead of answering."""

    kind = "reset"

    when: Literal["before", "after"] = "before"


class SlowAnswer(RequestFault):
    """Answers late. ``before``: it is carried out late too, even when the client has given up."""

    kind = "hang"

    when: Literal["before", "after"] = "before"
    seconds: float = Field(30.0, gt=0, le=A_DAY)


class RateLimit(RequestFault):
    """Answers 429 as if the quota were used up."""

    kind = "rate_limit"

    reset_seconds: float = Field(1.0, ge=0, le=A_DAY)
    """X-RateLimit-Reset lies so far ahead."""
    retry_after: int | None = Field(None, ge=0, le=86_400)
    """Seconds in a header Retry-After; without: there is none."""


class KeysRefused(RequestFault):
    """Takes no key: by REST it is answered that, and the streams refuse it. Connections that are open
    stay. On the streams ``method`` is ``WS``."""

    kind = "keys_refused"

    status: Literal[401, 403] = 401


class OrderHidden(OrderFault):
    """Hides an accepted order from status queries and lists."""

    kind = "hidden"

    seconds: float = Field(2.0, gt=0, le=A_DAY)


class StuckCancel(OrderFault):
    """Answers a cancel with 204, shows `pending_cancel`, and does not cancel."""

    kind = "stuck_cancel"

    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """The cancel takes effect after so many minutes of the exchange; without: never."""


class UnknownStatus(OrderFault):
    """Shows an open order's status as an unknown word."""

    kind = "unknown_status"

    value: str = "under_review"


class UpdateDropped(UpdateFault):
    """Does not send it."""

    kind = "update_dropped"


class UpdateDoubled(UpdateFault):
    """Sends it twice."""

    kind = "update_doubled"


class UpdateLate(UpdateFault):
    """Sends it late."""

    kind = "update_late"

    minutes: int = Field(1, ge=1, le=A_YEAR)


class UpdateSwapped(UpdateFault):
    """Sends it after the next update, or with the next minute when there is none."""

    kind = "update_swapped"


class UpdateReplayed(UpdateFault):
    """Sends it again later, with the same execution id, on whatever connection there is then."""

    kind = "update_replayed"

    minutes: int = Field(1, ge=1, le=A_YEAR)


class UpdateUnknown(UpdateFault):
    """Sends it with an unknown event."""

    kind = "update_unknown"

    value: str = "reviewed"


class MuteStream(StreamFault):
    """Sends nothing more; the connection stays, and pings are answered."""

    kind = "mute"

    minutes: int | None = Field(None, ge=1, le=A_YEAR)
    """For so many minutes of the exchange; without: until the client reconnects."""


class Disconnect(StreamFault):
    """Closes the connection; unclean: by a TCP reset, without a close frame."""

    kind = "disconnect"

    clean: bool = False
    code: int = Field(1001, ge=1000, le=4999)
    """The close code of a clean end."""


class UnreadableFrame(StreamFault):
    """Sends a frame that can't be read."""

    kind = "garbage"

    form: Literal["bytes", "text", "cut", "empty"] = "bytes"


class RefuseConnections(Fault):
    """Refuses connections to a stream after a connection to it was dropped without a close frame."""

    kind = "refuse"

    stream: Stream = "data"
    seconds: float = Field(90.0, gt=0, le=A_DAY)


class BarMissing(BarFault):
    """Does not send it; REST has it."""

    kind = "bar_missing"


class BarLate(BarFault):
    """Sends it with a later minute's bars."""

    kind = "bar_late"

    minutes: int = Field(1, ge=1, le=A_YEAR)


class BarRevised(BarFault):
    """Sends it again as an updated bar, half a minute later, with other values."""

    kind = "bar_revised"

    change: float = Field(0.001, gt=-0.5, lt=0.5)
    """The close moves by this fraction, and volume and trade count grow by as much and by one."""


class MinuteMissing(Fault):
    """Sends no bar of a minute; REST has them."""

    kind = "minute_missing"


class ExternalOrder(Fault):
    """An external order on the same account, at a minute's end."""

    kind = "foreign_order"

    symbol: str
    side: Side = Side.BUY
    qty: Decimal = Field(Decimal(1), gt=0)
    limit_price: Decimal | None = Field(None, gt=0)
    client_order_id: str | None = None
    times: int | None = Field(1, ge=1, le=A_MILLION)


class ExternalPosition(Fault):
    """Shares appear or vanish from outside, at a minute's end."""

    kind = "foreign_position"

    symbol: str
    qty: Decimal
    price: Decimal | None = Field(None, gt=0)
    """What each cost, US dollars; without: the last price."""
    times: int | None = Field(1, ge=1, le=A_MILLION)


KINDS: dict[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        ErrorAnswer, ConnectionReset, SlowAnswer, RateLimit, KeysRefused, OrderHidden, StuckCancel, UnknownStatus,
        FrozenCancel, LeftAtClose, RejectedLater, StuckPending, LostAnswer,
        UpdateDropped, UpdateDoubled, UpdateLate, UpdateSwapped, UpdateReplayed, UpdateUnknown,
        MuteStream, Disconnect, UnreadableFrame, RefuseConnections,
        BarMissing, BarLate, BarRevised, BarWrong, MinuteMissing, TradingHalt,
        AccountFlag, CashTransfer, ExternalOrder, ExternalPosition,
    )
}  # fmt: skip
