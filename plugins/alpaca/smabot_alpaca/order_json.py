"""Alpaca's orders as JSON, and core's.

Statuses and fields: https://docs.alpaca.markets/docs/orders-at-alpaca. Read from the raw JSON, so
that one unknown value does not lose a whole list.
"""

from __future__ import annotations

import re
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
SIDES = {
    "buy": Side.BUY,
    "buy_minus": Side.BUY,
    "sell": Side.SELL,
    "sell_plus": Side.SELL,
    "sell_short": Side.SELL,
    "sell_short_exempt": Side.SELL,
}
MULTI_LEG = "mleg"
"""Orders of this class, spreads of options, have no symbol, side or quantity of their own."""
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 30
"""Before or after the point: beyond is nonsense, and costs memory to write out."""


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
        found = parse_decimal(value)
    except (TypeError, ValueError):
        return None
    return None if found is None or found < 0 else found


def broker_order(raw: Any, *, by_minutes: bool = False) -> BrokerOrder:
    """Read an order, of an answer or of ``trade_updates``.

    ``by_minutes``: of an exchange whose clock moves in whole minutes; what is finer there only tells its
    orders apart, and is cut off.

    Kinds that this bot never sends (stops, ioc, an amount instead of a quantity, several legs of no one
    symbol or side) become the nearest that core has. Raises UnreadableAnswer when what every order has is
    missing, or its parts contradict each other.
    """
    try:
        legs = raw.get("order_class") == MULTI_LEG
        qty = _ordered_qty(raw, legs=legs)
        filled_qty = _required_decimal(raw, "filled_qty")
        limit_price = parse_decimal(raw.get("limit_price"))
        word, force = required_text(raw, "status"), required_text(raw, "time_in_force")
        read_time = _parse_minute if by_minutes else parse_time
        submitted = raw.get("submitted_at")
        filled = raw.get("filled_at")
        return BrokerOrder(
            client_order_id=required_text(raw, "client_order_id"),
            broker_order_id=required_text(raw, "id"),
            symbol="" if legs and not raw.get("symbol") else required_text(raw, "symbol"),
            side=Side.BUY if legs and not raw.get("side") else _side(raw["side"]),
            qty=qty or ZERO,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            time_in_force=TimeInForce.GTC if force == "gtc" else TimeInForce.DAY,
            status=_status(word, qty, filled_qty),
            filled_qty=filled_qty,
            filled_avg_price=parse_decimal(raw.get("filled_avg_price")) if filled_qty else None,
            submitted_at=read_time(raw["created_at"] if submitted is None else submitted),
            updated_at=read_time(raw["updated_at"]),
            reason=_reason(word, raw),
            filled_at=None if filled is None else read_time(filled),
            fees=_commission(raw),
            replaces=text_field(raw, "replaces"),
        )
    except UNREADABLE as error:
        raise UnreadableAnswer(f"an order can't be read: {type(error).__name__} {error}") from None


def broker_position(raw: Any) -> BrokerPosition:
    """Read a position; shares sold short are negative, also the available ones.

    Raises UnreadableAnswer.
    """
    try:
        sign = {"long": 1, "short": -1}[raw["side"]]
        qty, price = _required_decimal(raw, "qty"), _required_decimal(raw, "avg_entry_price")
        free = parse_decimal(raw.get("qty_available"))
        if sign > 0 > qty:
            raise ValueError(f"a long position of {qty} shares")
        return BrokerPosition(
            symbol=required_text(raw, "symbol"),
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


def required_text(raw: Mapping[str, Any], field: str) -> str:
    """Return a field that must be there as text. Raises KeyError, ValueError."""
    value = raw[field]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{field} is no text")
    return value


def parse_decimal(value: object) -> Decimal | None:
    """Return a number that came as text or number, exactly as written; None for none.

    Raises TypeError, ValueError.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float | Decimal) or isinstance(value, bool):
        raise TypeError(f"a {type(value).__name__} is no number")
    text = str(value)
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    found = Decimal(text)
    if not found.is_finite() or (found and abs(found.adjusted()) > _MOST_DIGITS):
        raise ValueError(f"{text[:40]} is no number of a market")
    return found


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time as UTC; what is finer than a microsecond is cut off.

    Raises TypeError, ValueError, OverflowError.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)


def _parse_minute(text: str) -> datetime:
    return parse_time(text).replace(second=0, microsecond=0)


def _side(word: str) -> Side:
    if word not in SIDES:
        raise ValueError(f"the side {word!r} is unknown")
    return SIDES[word]


def _required_decimal(raw: Mapping[str, Any], field: str) -> Decimal:
    found = parse_decimal(raw[field])
    if found is None:
        raise ValueError(f"{field} is missing")
    return found


def _ordered_qty(raw: Mapping[str, Any], *, legs: bool) -> Decimal | None:
    """Return the shares that were ordered; None for an amount of dollars, or several legs."""
    qty = parse_decimal(raw.get("qty"))
    if qty is None and not legs and parse_decimal(raw.get("notional")) is None:
        raise ValueError("qty is missing")
    if qty is not None and qty <= 0:
        raise ValueError(f"an order of {qty} shares")
    return qty


def _status(word: str, qty: Decimal | None, filled_qty: Decimal) -> Status:
    """Return the status. Raises ValueError where it contradicts the shares that were filled."""
    if filled_qty < 0 or (qty is not None and filled_qty > qty):
        raise ValueError(f"{filled_qty} of {qty} shares are filled")
    status = STATUSES.get(word)
    if status is None:
        _log_unknown_status(word)
        status = Status.SUBMITTED
    if status is Status.FILLED and (not filled_qty or filled_qty != (qty or filled_qty)):
        raise ValueError(f"it is filled with {filled_qty} of {qty} shares")
    if status.terminal or not filled_qty:
        return status
    return Status.FILLED if filled_qty == qty else Status.PARTIALLY_FILLED


def _commission(raw: Mapping[str, Any]) -> Decimal:
    """Return the dollars that an order was charged; 0 where it does not say so, or names a rate."""
    if raw.get("commission_type") not in (None, "", "notional"):
        return ZERO
    return parse_decimal(raw.get("commission")) or ZERO


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
