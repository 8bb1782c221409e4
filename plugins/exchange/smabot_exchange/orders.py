"""What a client asks for, what becomes of it, and how a refusal is worded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from smabot.records import ZERO, OrderType, Side, TimeInForce

LONGEST_CLIENT_ID = 128
DUPLICATE_ID = "client_order_id must be unique"

_IDS = uuid5(NAMESPACE_URL, "smabot exchange")


class OrderStatus(StrEnum):
    """The states of an order at the exchange, in Alpaca's words."""

    ACCEPTED = "accepted"  # while the exchange is closed: waits for the next session
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


OPEN_STATUSES = (OrderStatus.ACCEPTED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as a client sends it. Without a ``client_order_id`` the exchange gives one."""

    symbol: str
    side: Side
    qty: Decimal
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An accepted order. Times are UTC; ``seq`` counts the orders of a ledger from 1.

    ``opens_at`` is when it starts to work: at once, or at the next session's open. ``expires_at`` is
    the close that ends a DAY order. ``hold_price`` is what each share of an open buy order takes
    from the buying power.
    """

    id: UUID
    seq: int
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce
    status: OrderStatus
    submitted_at: datetime
    updated_at: datetime
    opens_at: datetime
    expires_at: datetime | None
    hold_price: Decimal
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None

    @property
    def open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> Decimal:
        """Shares not filled."""
        return self.qty - self.filled_qty

    @property
    def filled_avg_price(self) -> Decimal | None:
        return self.filled_value / self.filled_qty if self.filled_qty else None

    def same_payload(self, request: OrderRequest) -> bool:
        """Whether this is what the request asks for."""
        return (
            self.symbol == request.symbol
            and self.side is request.side
            and self.qty == request.qty
            and self.type is request.type
            and self.limit_price == request.limit_price
            and self.time_in_force is request.time_in_force
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """Shares that changed hands at once; ``cumulative_qty`` is the order's, after it."""

    id: UUID
    order_id: UUID
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    cumulative_qty: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A change of an order: ``accepted new partial_fill fill canceled expired``.

    ``order`` is the order after it. A fill comes with its execution and with the shares of the
    symbol that the account holds after it.
    """

    event: str
    time: datetime
    order: ExchangeOrder
    execution: Execution | None = None
    position_qty: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares held of a symbol, and what they cost by average cost, US dollars."""

    symbol: str
    qty: Decimal
    cost: Decimal

    @property
    def avg_price(self) -> Decimal:
        return self.cost / self.qty


class Refusal(Exception):
    """The exchange says no: HTTP status, Alpaca's code and message, and further fields."""

    def __init__(self, status: int, code: int, message: str, **extra: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra

    @property
    def duplicate(self) -> bool:
        """Whether the order's id is taken: the order, or another, got here before."""
        return self.message == DUPLICATE_ID

    def body(self) -> dict[str, Any]:
        """Return it as the wire shows it."""
        return {"code": self.code, "message": self.message, **self.extra}

    def __str__(self) -> str:
        extra = ", ".join(f"{name} {text}" for name, text in self.extra.items())
        return f"{self.status} {self.message}" + (f" ({extra})" if extra else "")


def made_client_id(seq: int) -> str:
    """Return the id of an order that came without one."""
    return str(uuid5(_IDS, f"order {seq}"))


def order_id(client_order_id: str) -> UUID:
    return uuid5(_IDS, client_order_id)


def execution_id(order: UUID, cumulative_qty: Decimal) -> UUID:
    """A fill's identity is its order and the cumulative quantity after it."""
    return uuid5(order, plain(cumulative_qty))


def asset_id(symbol: str) -> UUID:
    return uuid5(_IDS, f"asset {symbol}")


def plain(value: Decimal) -> str:
    """Return a decimal's digits, without exponent or trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
