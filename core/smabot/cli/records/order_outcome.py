"""What became of an order, in the words that all screens share.

Texts have UTC times; screens show them in their own zone.
"""

from __future__ import annotations

from smabot.cli.output import number
from smabot.domain.order_terms import Status
from smabot.domain.records import Order
from smabot.domain.risk_answers import Check, read_checks

GATE = "may_leave"
"""The check whose reason says all; others are named where their reason does not name them."""
GONE = "; the shares are gone since"
"""What is added to a filled order's words where its shares are not held any more."""
WAITS = {
    Status.PENDING: "waits to be sent",
    Status.UNKNOWN: "may or may not have reached the broker, which the bot queries",
}
ENDS = {
    Status.BLOCKED: "was blocked",
    Status.ABANDONED: "expired unsent",
    Status.REJECTED: "was rejected by the broker",
    Status.CANCELED: "was canceled",
    Status.EXPIRED: "expired",
}


def order_words(order: Order) -> str:
    """Return what became of an order, and why, as a clause that begins with ``its entry`` or ``its exit``."""
    return f"its {'exit' if order.reduces else 'entry'} {_end(order) or where_it_is(order)}"


def where_it_is(order: Order) -> str:
    """Return where an order is that may still fill."""
    where = WAITS.get(order.status, "is open at the broker")
    if order.filled_qty:
        where += f", {_filled_part(order)}"
    if order.cancel_requested_at is not None:
        why = f" ({order.cancel_reason})" if order.cancel_reason else ""
        where += f", cancel unanswered since {order.cancel_requested_at:%Y-%m-%d %H:%M} UTC{why}"
    return where + _reason(order)


def failed_checks(order: Order) -> list[Check]:
    """Return the risk checks that blocked an order."""
    return [check for check in read_checks(order.checks) if not check.passed]


def _end(order: Order) -> str:
    """Return how an order ended; empty while it is open."""
    if order.status is Status.FILLED:
        price = order.filled_avg_price
        return f"filled: {number(order.qty)}" + ("" if price is None else f" at {price:,.2f}")
    if order.status not in ENDS:
        return ""
    some = f" after {_filled_part(order)}" if order.filled_qty else ""
    return f"{ENDS[order.status]}{_by_check(order)}{some}{_reason(order)}"


def _filled_part(order: Order) -> str:
    return f"{number(order.filled_qty)} of {number(order.qty)} filled"


def _reason(order: Order) -> str:
    return f": {order.reason}" if order.reason else ""


def _by_check(order: Order) -> str:
    names = [check.name for check in failed_checks(order) if check.name != GATE]
    unnamed = [name for name in names if name not in order.reason]
    return f" by {', '.join(unnamed)}" if unnamed else ""
