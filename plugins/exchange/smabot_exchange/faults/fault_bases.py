"""What the kinds of faults have in common, by what they strike at."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from smabot.provider import Settings

A_DAY = 86_400.0
"""Seconds."""
A_MILLION = 1_000_000

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
    nth: int | None = Field(None, ge=1, le=A_MILLION)
    """Only at this one of the occasions that match, counted from 1."""
    times: int | None = Field(None, ge=1, le=A_MILLION)
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

    def document(self) -> dict[str, Any]:
        """Return it as it was given."""
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


class UpdateFault(OrderFault):
    """Strikes at a trade update."""

    patterns: ClassVar[tuple[str, ...]] = ("event", *OrderFault.patterns)

    event: str = "*"


class StreamFault(Fault):
    """Strikes a stream's connections, at a minute's end or before an update is sent."""

    stream: Stream = "data"
    at: Literal["minute", "update"] = "minute"

    @model_validator(mode="after")
    def _updates_are_of_trades(self) -> Self:
        if self.at == "update" and self.stream != "trade":
            raise ValueError('at = "update" needs stream = "trade"')
        return self


class BarFault(Fault):
    """Strikes at a bar that is to be sent."""

    patterns: ClassVar[tuple[str, ...]] = ("symbol",)

    symbol: str = "*"
