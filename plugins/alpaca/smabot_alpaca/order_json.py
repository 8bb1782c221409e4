"""Alpaca's orders as JSON, and core's.

Statuses and fields: https://docs.alpaca.markets/docs/orders-at-alpaca. Read from the raw JSON, so
that one unknown value does not lose a whole list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from loguru import logger

from smabot.provider import (
    ZERO,
    BrokerError,
    BrokerOrder,
    BrokerPosition,
    Order,
    OrderType,
    RefusalCause,
    Side,
    Status,
    TimeInForce,
)

STATUSES = {
    "pending_new": Status.SUBMITTED,
    "pending_review": Status.SUBMITTED,
    "held": Status.SUBMITTED,
    "accepted": Status.ACCEPTED,
    "accepted_for_bidding": Status.ACCEPTED,
    "new": Status.ACCEPTED,
    "partially_filled": Status.PARTIALLY_FILLED,
    "pending_cancel": Status.ACCEPTED,  # it may still fill
    "pending_replace": Status.ACCEPTED,
    "stopped": Status.ACCEPTED,  # a trade is guaranteed and has not occurred
    "suspended": Status.ACCEPTED,
    "done_for_day": Status.ACCEPTED,  # of the day; its end has another status
    "calculated": Status.ACCEPTED,
    "filled": Status.FILLED,
    "canceled": Status.CANCELED,
    "replaced": Status.CANCELED,  # what took its place is another order
    "expired": Status.EXPIRED,
    "rejected": Status.REJECTED,
}


INTENT_MISMATCH = "position intent mismatch"
TOO_FEW_SHARES = "insufficient qty available"
WASH_TRADE = "wash trade"
"""What the messages of refusals say that decide what comes next. Codes are used for several causes."""
FORBIDDEN, UNPROCESSABLE = 403, 422


UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, InvalidOperation)


class UnreadableAnswer(BrokerError):
    """An answer lacks what it must have."""


def order_body(order: Order, *, intent: bool = True) -> dict[str, str]:
    """Return the body of ``POST /v2/orders``; with ``intent`` an order that reduces says so."""
    body = {
        "symbol": order.symbol,
        "qty": f"{order.qty:f}",
        "side": order.side.value,
        "type": order.type.value,
        "time_in_force": order.time_in_force.value,
        "client_order_id": order.client_order_id,
    }
    if order.limit_price is not None:
        body["limit_price"] = f"{order.limit_price:f}"
    if intent and order.reduces:
        body["position_intent"] = f"{order.side}_to_close"
    return body


def refusal_cause(
    status: int, message: str, body: Mapping[str, Any]
) -> tuple[RefusalCause, Decimal | None]:
    """Return why an order was refused, and how many shares are free where the broker says it."""
    text = message.lower()
    if status == UNPROCESSABLE and INTENT_MISMATCH in text:
        return RefusalCause.POSITION, None
    if status == FORBIDDEN and (TOO_FEW_SHARES in text or "available" in body):
        return RefusalCause.AVAILABLE, _available(body.get("available"))
    if status == FORBIDDEN and WASH_TRADE in text:
        return RefusalCause.WASH, None
    return RefusalCause.OTHER, None


def _available(value: Any) -> Decimal | None:
    """Return a number of shares; one that can't be read is as good as none."""
    try:
        return parse_decimal(value)
    except (ValueError, InvalidOperation):
        return None


def broker_order(raw: Any, *, by_minutes: bool = False) -> BrokerOrder:
    """Read an order, of an answer or of ``trade_updates``.

    ``by_minutes``: of an exchange whose clock moves in whole minutes; what is finer there only tells its
    orders apart, and is cut off.

    Kinds that this bot never sends (stops, ioc, an amount instead of a quantity, several legs of no one
    symbol or side) become the nearest that core has. Raises Unreadable when what every order has is missing.
    """
    try:
        qty = parse_decimal(raw.get("qty")) or ZERO
        filled_qty = parse_decimal(raw.get("filled_qty")) or ZERO
        limit_price = parse_decimal(raw.get("limit_price"))
        word = str(raw["status"])
        read_time = _parse_minute if by_minutes else parse_time
        submitted_at = read_time(raw.get("submitted_at") or raw["created_at"])
        return BrokerOrder(
            client_order_id=str(raw["client_order_id"]),
            broker_order_id=str(raw["id"]),
            symbol=str(raw.get("symbol") or ""),
            side=Side.SELL if str(raw.get("side")).startswith("sell") else Side.BUY,
            qty=qty,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            time_in_force=TimeInForce.GTC if raw["time_in_force"] == "gtc" else TimeInForce.DAY,
            status=_status(word, qty, filled_qty),
            filled_qty=filled_qty,
            filled_avg_price=parse_decimal(raw.get("filled_avg_price")) if filled_qty else None,
            submitted_at=submitted_at,
            updated_at=read_time(raw["updated_at"]) if raw.get("updated_at") else submitted_at,
            reason=_reason(word, raw),
            filled_at=read_time(raw["filled_at"]) if raw.get("filled_at") else None,
        )
    except UNREADABLE as error:
        raise UnreadableAnswer(f"an order can't be read: {type(error).__name__} {error}") from None


def broker_position(raw: Any) -> BrokerPosition:
    """Read a position; shares sold short are negative, also the available ones. Raises Unreadable."""
    try:
        sign = -1 if raw["side"] == "short" else 1
        qty, price = parse_decimal(raw["qty"]), parse_decimal(raw["avg_entry_price"])
        free = parse_decimal(raw.get("qty_available"))
        if qty is None or price is None:
            raise ValueError("a number is missing")
        return BrokerPosition(
            symbol=str(raw["symbol"]),
            qty=sign * abs(qty),
            avg_price=price,
            available=None if free is None else sign * abs(free),
            price=parse_decimal(raw.get("current_price")),
        )
    except UNREADABLE as error:
        raise UnreadableAnswer(
            f"a position can't be read: {type(error).__name__} {error}"
        ) from None


def text_field(raw: Any, field: str) -> str:
    """Return what an order or position is called by, where even that much can be read."""
    name = raw.get(field) if isinstance(raw, Mapping) else None
    return name if isinstance(name, str) else ""


def parse_decimal(value: object) -> Decimal | None:
    """Return a number that came as text or number, exactly as written; None for none."""
    if value is None or value == "":
        return None
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(f"{value} is no number")
    return found


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time as UTC; what is finer than a microsecond is cut off."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)


def _parse_minute(text: str) -> datetime:
    return parse_time(text).replace(second=0, microsecond=0)


def _status(word: str, qty: Decimal, filled_qty: Decimal) -> Status:
    status = STATUSES.get(word)
    if status is None:
        _log_unknown_status(word)
        status = Status.SUBMITTED
    if status.terminal or not filled_qty:
        return status
    return Status.FILLED if filled_qty == qty else Status.PARTIALLY_FILLED


def _reason(word: str, raw: Mapping[str, Any]) -> str:
    if word == "rejected":
        return str(raw.get("reject_reason") or "rejected by the broker")
    if word == "replaced":
        return f"replaced by order {raw.get('replaced_by') or 'of another client'}"
    return ""


@lru_cache(maxsize=64)
def _log_unknown_status(word: str) -> None:
    logger.warning(
        "an order has the status {!r}, which this version does not know: treated as open", word
    )
