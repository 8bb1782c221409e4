"""Orders as JSON, changed into what was seen at Alpaca."""

from __future__ import annotations

from typing import Any

from smabot_exchange.as_seen.behaviours import AsSeen
from smabot_exchange.json_forms.trading_json import PENDING_NEW

Json = dict[str, Any]


def changes_orders(as_seen: AsSeen) -> bool:
    """Whether an order looks otherwise than the exchange's own."""
    return (
        as_seen.stamps != "created first"
        or as_seen.gtc_expires_at != "shown"
        or as_seen.day_expires_at != "shown"
        or as_seen.position_intent != "shown"
    )


def order_as_seen(as_seen: AsSeen, order: Json) -> Json:
    """Return an order, and its legs, as they look."""
    shown = dict(order)
    if as_seen.stamps == "submitted first":
        shown["created_at"] = _a_moment_after(order["submitted_at"])
        shown["updated_at"] = max(shown["created_at"], order["updated_at"], key=_in_order)
    force = order["time_in_force"]
    hides = {"gtc": as_seen.gtc_expires_at, "day": as_seen.day_expires_at}
    if hides.get(force) == "null":
        shown["expires_at"] = None
    if as_seen.position_intent == "null":
        shown["position_intent"] = None
    elif as_seen.position_intent == "absent":
        del shown["position_intent"]
    if order["legs"]:
        shown["legs"] = [order_as_seen(as_seen, leg) for leg in order["legs"]]
    return shown


def answer_as_seen(as_seen: AsSeen, order: Json) -> Json:
    """Return the answer to a new order, with the status that such answers have."""
    if order["status"] != PENDING_NEW:
        return order
    return {**order, "status": as_seen.first_status}


def _a_moment_after(stamp: str) -> str:
    """Return a time of nine decimals at most, a nanosecond later. An order's own never ends in nines."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{whole}.{int(fraction.ljust(9, '0') or 0) + 1:09d}Z"


def _in_order(stamp: str) -> tuple[str, str]:
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")
