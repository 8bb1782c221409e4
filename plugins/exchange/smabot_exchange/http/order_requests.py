"""An order, or a change of one, as a client's body asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from smabot.provider import Side
from smabot_exchange.http.answers import bad_parameter
from smabot_exchange.http.query import decimal
from smabot_exchange.matching.orders import (
    OrderChange,
    OrderClass,
    OrderRequest,
    OrderType,
    PositionIntent,
    StopLoss,
    TakeProfit,
    TimeInForce,
)

E = TypeVar("E", bound=StrEnum)

Body = Mapping[str, Any]


def order_request(body: Body, symbol: str) -> OrderRequest:
    """Read an order for a symbol; fields unknown here are ignored, as at Alpaca.

    Raises RequestRefused for what can't be understood; whether it makes sense the exchange decides.
    """
    kind = _required(body, "type", OrderType)
    side = _required(body, "side", Side)
    force = _required(body, "time_in_force", TimeInForce)
    if body.get("order_class") == "mleg":
        raise bad_parameter("symbol is not allowed for mleg order")
    return OrderRequest(
        symbol=symbol,
        side=side,
        qty=_amount(body, "qty"),
        type=kind,
        limit_price=_amount(body, "limit_price"),
        time_in_force=force,
        client_order_id=_text(body, "client_order_id"),
        notional=_amount(body, "notional"),
        stop_price=_amount(body, "stop_price"),
        trail_price=_amount(body, "trail_price"),
        trail_percent=_amount(body, "trail_percent"),
        extended_hours=_flag(body, "extended_hours"),
        order_class=_choice(body, "order_class", OrderClass) or OrderClass.SIMPLE,
        take_profit=_take_profit(body),
        stop_loss=_stop_loss(body),
        position_intent=_position_intent(body),
    )


def order_change(body: Body) -> OrderChange:
    """Read what a replacement changes. Raises RequestRefused for what can't be understood."""
    return OrderChange(
        qty=_amount(body, "qty"),
        limit_price=_amount(body, "limit_price"),
        stop_price=_amount(body, "stop_price"),
        trail=_amount(body, "trail"),
        time_in_force=_choice(body, "time_in_force", TimeInForce),
        client_order_id=_text(body, "client_order_id"),
    )


def _take_profit(body: Body) -> TakeProfit | None:
    part = _part(body, "take_profit")
    return None if part is None else TakeProfit(_amount(part, "limit_price", "take_profit."))


def _stop_loss(body: Body) -> StopLoss | None:
    part = _part(body, "stop_loss")
    if part is None:
        return None
    return StopLoss(
        _amount(part, "stop_price", "stop_loss."), _amount(part, "limit_price", "stop_loss.")
    )


def _position_intent(body: Body) -> PositionIntent | None:
    """Return the intent, which may be left out; an empty one is an error, unlike other empty fields."""
    value = body.get("position_intent")
    if value is None:
        return None
    try:
        return PositionIntent(value)
    except ValueError:
        raise bad_parameter("invalid position_intent specified") from None


def _part(body: Body, name: str) -> Body | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise bad_parameter(f"invalid {name}")
    return value


def _required(body: Body, name: str, kind: type[E]) -> E:
    value = _choice(body, name, kind)
    if value is None:
        raise bad_parameter(f"{name} is required")
    return value


def _choice(body: Body, name: str, kind: type[E]) -> E | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        return kind(value)
    except ValueError:
        raise bad_parameter(f"invalid {name}") from None


def _amount(body: Body, name: str, prefix: str = "") -> Decimal | None:
    value = body.get(name)
    return None if value is None or value == "" else decimal(value, prefix + name)


def _text(body: Body, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_parameter(f"invalid {name}")
    return value or None


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad_parameter(f"invalid {name}")
    return bool(value)
