"""The terms of an order: its side, its type, its time in force, its status."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self == "buy" else -1


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"


class Status(StrEnum):
    """The status of an order. ``order_intents.status`` has these values."""

    PENDING = "pending"  # committed, not known to be sent
    UNKNOWN = "unknown"  # sent, and it is unknown whether the broker has it
    SUBMITTED = "submitted"  # the broker has it, the market not yet
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    BLOCKED = "blocked"  # vetoed here, never sent
    ABANDONED = "abandoned"  # never arrived, and too late to send again
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"
    FILLED = "filled"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def rank(self) -> int:
        """The status's place in an order's life: an update never takes an order back to a lower rank."""
        return _RANK[self]


class RefusalCause(StrEnum):
    """Why a broker refused an order, where the next action depends on it."""

    OTHER = ""
    POSITION = "position"  # the account does not hold what the order was to close
    AVAILABLE = "available"  # fewer shares are free than were asked for
    WASH = "wash"  # an order of the other side is open in the symbol


TERMINAL = frozenset(
    {
        Status.BLOCKED,
        Status.ABANDONED,
        Status.REJECTED,
        Status.CANCELED,
        Status.EXPIRED,
        Status.FILLED,
    }
)
OPEN = tuple(status for status in Status if status not in TERMINAL)
_RANK = {status: rank for rank, status in enumerate(Status)}
