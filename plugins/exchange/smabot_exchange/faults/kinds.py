"""The faults that can be asked for, and their fields."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from smabot.config import Settings
from smabot.records import Side

Stream = Literal["trade", "data"]


class Fault(Settings):
    """What every fault has: a name to count it by, and when it strikes.

    It strikes at occasions of its kind (a request, an update, a minute …) that all its fields match.
    """

    model_config = ConfigDict(defer_build=True)  # most runs ask for none

    kind: ClassVar[str]
    patterns: ClassVar[tuple[str, ...]] = ()
    """Fields that are globs on the occasion's fields of the same name."""

    name: str = ""
    """Counted under this name; without one under its kind."""
    nth: int | None = Field(None, ge=1)
    """Only at this one of the occasions that match, counted from 1."""
    times: int | None = Field(None, ge=1)
    """At most so often."""
    probability: float = Field(1.0, gt=0, le=1)
    """Strikes with this probability, drawn from the seed and the occasion, not from chance."""
    since: AwareDatetime | None = None
    """From this time of the exchange on."""
    until: AwareDatetime | None = None
    """Before this time of the exchange."""

    @property
    def label(self) -> str:
        return self.name or self.kind

    def covers(self, time: datetime) -> bool:
        """Whether a time of the exchange lies in the fault's window."""
        return (self.since is None or self.since <= time) and (
            self.until is None or time < self.until
        )

    def told(self) -> dict[str, Any]:
        """Return it as it was asked for."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}


class OrderFault(Fault):
    """Strikes where an order, or a request about one, is concerned."""

    patterns: ClassVar[tuple[str, ...]] = ("symbol", "client_order_id")

    symbol: str = "*"
    client_order_id: str = "*"


class RequestFault(OrderFault):
    """Strikes at a REST request."""

    patterns: ClassVar[tuple[str, ...]] = ("method", "path", *OrderFault.patterns)

    method: str = "*"
    path: str = "*"


class Error(RequestFault):
    """Answers an error instead of the answer."""

    kind = "error"

    when: Literal["before", "after"] = "before"
    """``before``: the request is not carried out; ``after``: it is, and the answer is lost."""
    status: int = Field(504, ge=400, le=599)
    html: bool = False
    """A page instead of JSON, as gateways answer."""


class Reset(RequestFault):
    """Resets the TCP connection instead of answering."""

    kind = "reset"

    when: Literal["before", "after"] = "before"


class Hang(RequestFault):
    """Answers late. ``before``: it is carried out late too, even when the client has given up."""

    kind = "hang"

    when: Literal["before", "after"] = "before"
    seconds: float = Field(30.0, gt=0)


class RateLimit(RequestFault):
    """Answers 429 as if the quota were used up."""

    kind = "rate_limit"

    reset_seconds: float = Field(1.0, ge=0)
    """X-RateLimit-Reset lies so far ahead."""


class Hidden(OrderFault):
    """Hides an accepted order from lookups and lists."""

    kind = "hidden"

    seconds: float = Field(2.0, gt=0)


class StuckCancel(OrderFault):
    """Answers a cancel with 204, tells `pending_cancel`, and does not cancel."""

    kind = "stuck_cancel"

    minutes: int | None = Field(None, ge=1)
    """The cancel takes effect after so many minutes of the exchange; without: never."""


class UnknownStatus(OrderFault):
    """Shows an open order's status as a word that nobody knows."""

    kind = "unknown_status"

    value: str = "under_review"


class UpdateFault(OrderFault):
    """Strikes at a trade update."""

    patterns: ClassVar[tuple[str, ...]] = ("event", *OrderFault.patterns)

    event: str = "*"


class UpdateDropped(UpdateFault):
    """Does not send it."""

    kind = "update_dropped"


class UpdateDoubled(UpdateFault):
    """Sends it twice."""

    kind = "update_doubled"


class UpdateLate(UpdateFault):
    """Sends it late."""

    kind = "update_late"

    minutes: int = Field(1, ge=1)


class UpdateSwapped(UpdateFault):
    """Sends it after the next update, or with the next minute when there is none."""

    kind = "update_swapped"


class UpdateReplayed(UpdateFault):
    """Sends it again later, with the same execution id, on whatever connection there is then."""

    kind = "update_replayed"

    minutes: int = Field(1, ge=1)


class UpdateUnknown(UpdateFault):
    """Sends it with an event that nobody knows."""

    kind = "update_unknown"

    value: str = "reviewed"


class StreamFault(Fault):
    """Strikes a stream's connections, at a minute's end or before an update is sent."""

    stream: Stream = "data"
    at: Literal["minute", "update"] = "minute"

    @model_validator(mode="after")
    def _updates_are_of_trades(self) -> Self:
        if self.at == "update" and self.stream != "trade":
            raise ValueError('at = "update" needs stream = "trade"')
        return self


class Mute(StreamFault):
    """Sends nothing more; the connection stays, and pings are answered."""

    kind = "mute"

    minutes: int | None = Field(None, ge=1)
    """For so many minutes of the exchange; without: until the client connects anew."""


class Disconnect(StreamFault):
    """Closes the connection; unclean: by a TCP reset, without a close frame."""

    kind = "disconnect"

    clean: bool = False
    code: int = Field(1001, ge=1000, le=4999)
    """The close code of a clean end."""


class Garbage(StreamFault):
    """Sends a frame that can't be read."""

    kind = "garbage"

    form: Literal["bytes", "text", "cut", "empty"] = "bytes"


class Refuse(Fault):
    """Refuses connections to a stream after a connection to it was dropped without a close frame."""

    kind = "refuse"

    stream: Stream = "data"
    seconds: float = Field(90.0, gt=0)


class BarFault(Fault):
    """Strikes at a bar that is to be sent."""

    patterns: ClassVar[tuple[str, ...]] = ("symbol",)

    symbol: str = "*"


class BarMissing(BarFault):
    """Does not send it; REST has it."""

    kind = "bar_missing"


class BarLate(BarFault):
    """Sends it with a later minute's bars."""

    kind = "bar_late"

    minutes: int = Field(1, ge=1)


class BarRevised(BarFault):
    """Sends it again as an updated bar, half a minute later, with other values."""

    kind = "bar_revised"

    change: float = Field(0.001, gt=-0.5, lt=0.5)
    """The close moves by this fraction, and volume and trade count grow by as much and by one."""


class MinuteMissing(Fault):
    """Sends no bar of a minute; REST has them."""

    kind = "minute_missing"


class ForeignOrder(Fault):
    """Somebody else sends an order under the same account, at a minute's end."""

    kind = "foreign_order"

    symbol: str
    side: Side = Side.BUY
    qty: Decimal = Field(Decimal(1), gt=0)
    limit_price: Decimal | None = Field(None, gt=0)
    client_order_id: str | None = None
    times: int | None = Field(1, ge=1)


class ForeignPosition(Fault):
    """Shares appear or vanish from outside, at a minute's end."""

    kind = "foreign_position"

    symbol: str
    qty: Decimal
    price: Decimal | None = Field(None, gt=0)
    """What each cost, US dollars; without: the last price."""
    times: int | None = Field(1, ge=1)


KINDS: dict[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        Error, Reset, Hang, RateLimit, Hidden, StuckCancel, UnknownStatus,
        UpdateDropped, UpdateDoubled, UpdateLate, UpdateSwapped, UpdateReplayed, UpdateUnknown,
        Mute, Disconnect, Garbage, Refuse,
        BarMissing, BarLate, BarRevised, MinuteMissing, ForeignOrder, ForeignPosition,
    )
}  # fmt: skip
