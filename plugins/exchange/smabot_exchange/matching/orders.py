"""Orders, what clients ask for, fills and events, and how a refusal is worded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from smabot.provider import EXCHANGE_ZONE, ZERO, Side
from smabot_exchange.matching.order_states import OPEN_STATUSES, OrderStatus, StallReason

LONGEST_CLIENT_ID = 128
SMALLEST_FRACTION = Decimal("1E-9")
"""Of a share."""
BETWEEN_SUBMISSIONS = 100_003
"""Nanoseconds between orders that are submitted at the same time of the exchange's clock."""
LASTS = timedelta(days=90)
"""A GTC order is canceled after so many days, at `LAST_MOMENT` in New York (docs.alpaca.markets/us/docs,
orders-at-alpaca)."""
LAST_MOMENT = time(16, 15)
DUPLICATE_ID = "client_order_id must be unique"

_DIGITS = 12
_IDS = uuid5(NAMESPACE_URL, "smabot exchange")


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    OPG = "opg"  # at the open only
    CLS = "cls"  # at the close only
    IOC = "ioc"  # at once, the rest is canceled
    FOK = "fok"  # at once and whole, or canceled


class OrderClass(StrEnum):
    SIMPLE = "simple"
    BRACKET = "bracket"  # an entry, and two exits of which one cancels the other
    OCO = "oco"  # two exits, one cancels the other: a limit order, and its leg the stop
    OTO = "oto"  # an entry and one exit


class PositionIntent(StrEnum):
    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"

    @property
    def opens(self) -> bool:
        """Whether it makes a position larger."""
        return self in (PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN)

    @property
    def opposite(self) -> PositionIntent:
        """What an exit of this entry intends."""
        return _OPPOSITE[self]


_OPPOSITE = {
    PositionIntent.BUY_TO_OPEN: PositionIntent.SELL_TO_CLOSE,
    PositionIntent.SELL_TO_CLOSE: PositionIntent.BUY_TO_OPEN,
    PositionIntent.SELL_TO_OPEN: PositionIntent.BUY_TO_CLOSE,
    PositionIntent.BUY_TO_CLOSE: PositionIntent.SELL_TO_OPEN,
}


@dataclass(frozen=True, slots=True)
class TakeProfit:
    """The exit with a gain: a limit order."""

    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StopLoss:
    """The exit with a loss: a stop order, or with a ``limit_price`` a stop-limit order."""

    stop_price: Decimal | None = None
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as a client sends it: so many shares (``qty``) or US dollars (``notional``).

    Without a ``client_order_id`` the exchange gives one. An OCO order is a limit order at its
    ``take_profit``. Enums are taken by value, so that core's do as well as the ones here. Without a
    ``position_intent`` it is inferred from the account's net position.
    """

    symbol: str
    side: Side
    qty: Decimal | None = None
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    client_order_id: str | None = None
    notional: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    position_intent: PositionIntent | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", OrderType(self.type))
        object.__setattr__(self, "time_in_force", TimeInForce(self.time_in_force))

    @property
    def legged(self) -> bool:
        """Whether it is more than one order."""
        return self.order_class is not OrderClass.SIMPLE


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What a replacement changes; None leaves it. ``trail`` is in the order's own unit."""

    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: TimeInForce | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders to list. ``after`` and ``until`` are submission times, nanoseconds since 1970, and exclusive.

    So are ``after_seq`` and ``before_seq``, an order's ``seq``. ``parents_only`` leaves out the legs.
    ``limit`` None: no limit.
    """

    status: Literal["open", "closed", "all"] = "open"
    after: int | None = None
    until: int | None = None
    symbols: Collection[str] | None = None
    side: Side | None = None
    limit: int | None = 50
    newest_first: bool = True
    after_seq: int | None = None
    before_seq: int | None = None
    parents_only: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An accepted order. Times are UTC; ``seq`` counts the orders of a ledger from 1, ``place`` those that
    were submitted at the same time of its clock.

    ``qty`` of an order by amount (``notional``) is what is filled so far. ``opens_at`` is when it
    starts to work: at once, or at the next session's open. ``expires_at`` is the close that ends a
    DAY order, or the end of a GTC order's days. ``hold_price`` is what each share of an open order that opens a position takes from
    the buying power. ``hwm`` is a trailing stop's best price so far, to which ``stop_price``
    keeps its distance. ``triggered_at`` is when a stop price was reached. A leg has a
    ``parent_id``. ``stall`` is what a fault does to it, up to ``stalled_until`` (None: for good).
    ``fees`` are what it was charged so far, US dollars.
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
    notional: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    triggered_at: datetime | None = None
    extended_hours: bool = False
    order_class: OrderClass = OrderClass.SIMPLE
    position_intent: PositionIntent = PositionIntent.BUY_TO_OPEN
    parent_id: UUID | None = None
    replaces: UUID | None = None
    replaced_by: UUID | None = None
    stall: StallReason | None = None
    stalled_until: datetime | None = None
    fees: Decimal = ZERO
    place: int = 1

    @property
    def submitted_ns(self) -> int:
        """When it was submitted, nanoseconds since 1970: each order at a time of its own, in order."""
        return nanoseconds(self.submitted_at) + self.place * BETWEEN_SUBMISSIONS

    @property
    def open(self) -> bool:
        return self.status in OPEN_STATUSES

    def not_before_submission(self, time: datetime) -> datetime:
        """Return when something happened to it: a minute, unless it was submitted later in that minute."""
        return max(time, self.submitted_at)

    @property
    def hidden(self) -> bool:
        """Whether status queries and lists don't show it."""
        return self.stall is StallReason.LOST

    @property
    def remaining(self) -> Decimal:
        """Shares not filled; of an order by amount those that its hold price would buy."""
        if self.notional is not None:
            left = (self.notional - self.filled_value) / self.hold_price
            return left.quantize(SMALLEST_FRACTION, ROUND_CEILING)
        return self.qty - self.filled_qty

    @property
    def filled_avg_price(self) -> Decimal | None:
        return average(self.filled_value, self.filled_qty) if self.filled_qty else None

    @property
    def closes(self) -> bool:
        """Whether it makes a position smaller."""
        return not self.position_intent.opens

    @property
    def group(self) -> UUID:
        """The id that an order shares with its legs."""
        return self.parent_id or self.id

    @property
    def canceled_at(self) -> datetime | None:
        return self.updated_at if self.status is OrderStatus.CANCELED else None

    @property
    def expired_at(self) -> datetime | None:
        return self.updated_at if self.status is OrderStatus.EXPIRED else None

    @property
    def failed_at(self) -> datetime | None:
        return self.updated_at if self.status is OrderStatus.REJECTED else None

    @property
    def replaced_at(self) -> datetime | None:
        return self.updated_at if self.status is OrderStatus.REPLACED else None

    def same_payload(self, request: OrderRequest) -> bool:
        """Whether this is what the request asks for."""
        return (
            self.symbol == request.symbol
            and self.side is request.side
            and (self.qty == request.qty if self.notional is None else request.qty is None)
            and self.notional == request.notional
            and self.type is request.type
            and self.limit_price == request.limit_price
            and self.time_in_force is request.time_in_force
            and self.order_class is request.order_class
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """Shares that changed hands at once; ``cumulative_qty`` is the order's, after it, ``fees`` its own.

    ``number`` counts the executions of a ledger from 1: a stable place in the list of activities.
    """

    id: UUID
    order_id: UUID
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    cumulative_qty: Decimal
    time: datetime
    number: int
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A change of an order: ``accepted new partial_fill fill canceled expired replaced``, and by faults
    ``pending_new pending_cancel rejected done_for_day calculated stopped suspended``.

    ``order`` is the order after it. A fill comes with its execution and with the shares of the
    symbol that the account holds after it.
    """

    event: str
    time: datetime
    order: ExchangeOrder
    execution: Execution | None = None
    position_qty: Decimal | None = None


class RequestRefused(Exception):
    """A request that the exchange refuses: HTTP status, Alpaca's code and message, and further fields."""

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
        """Return it as JSON shows it; a code of 0 is none."""
        code = {"code": self.code} if self.code else {}
        return {**code, "message": self.message, **self.extra}

    def __str__(self) -> str:
        extra = ", ".join(f"{name} {text}" for name, text in self.extra.items())
        return f"{self.status} {self.message}" + (f" ({extra})" if extra else "")


def good_till(now: datetime) -> datetime:
    """Return when a GTC order ends that is submitted at a time, UTC."""
    day = now.astimezone(EXCHANGE_ZONE).date() + LASTS
    return datetime.combine(day, LAST_MOMENT, EXCHANGE_ZONE).astimezone(UTC)


def nanoseconds(moment: datetime) -> int:
    """Return an instant as nanoseconds since 1970."""
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def average(value: Decimal, qty: Decimal) -> Decimal:
    """Return the average price of some shares, US dollars: a number that never ends, to twelve places."""
    return rounded(value / qty)


def rounded(value: Decimal) -> Decimal:
    """Return a number to twelve decimal places."""
    return round(value, _DIGITS)


def generated_client_id(seq: int) -> str:
    """Return the id of an order that came without one."""
    return str(uuid5(_IDS, f"order {seq}"))


def leg_client_id(leg: UUID) -> str:
    """Return the client order id of a leg, which no client gave."""
    return str(uuid5(leg, "client_order_id"))


def order_id(client_order_id: str) -> UUID:
    return uuid5(_IDS, client_order_id)


def execution_id(order: UUID, cumulative_qty: Decimal) -> UUID:
    """A fill's identity is its order and the cumulative quantity after it."""
    return uuid5(order, plain(cumulative_qty))


def asset_id(symbol: str) -> UUID:
    return uuid5(_IDS, f"asset {symbol}")


def plain(value: Decimal) -> str:
    """Return a decimal's digits, without exponent or trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
