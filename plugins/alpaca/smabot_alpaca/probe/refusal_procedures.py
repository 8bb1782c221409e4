"""Procedures: orders, queries and replacements that are refused; and orders of both sides."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

from smabot_alpaca.probe.order_procedures import started_bracket, started_order
from smabot_alpaca.probe.probe_account import CENT, Json, ProbeAccount
from smabot_alpaca.probe.seen import Seen, seen_refusal

UNKNOWN_SYMBOL = "SMABOTX"
Place = Callable[[ProbeAccount], Json]


def same_id(at: ProbeAccount) -> Seen:
    name = at.submit()["client_order_id"]
    return seen_refusal(lambda: at.submit(client_order_id=name), "refusals.duplicate_id")


def id_of_an_ended_order(at: ProbeAccount) -> Seen:
    order = at.submit()
    at.clean_up()
    name = order["client_order_id"]
    return seen_refusal(lambda: at.submit(client_order_id=name), "refusals.duplicate_id")


def too_long_id(at: ProbeAccount) -> Seen:
    name = at.new_id().ljust(129, "x")
    return seen_refusal(lambda: at.submit(client_order_id=name), "refusals.long_id")


def sub_penny(at: ProbeAccount) -> Seen:
    price = at.prices.below + CENT / 2
    return seen_refusal(lambda: at.submit(limit_price=str(price)), "refusals.sub_penny")


def fractional_gtc(at: ProbeAccount) -> Seen:
    return seen_refusal(
        lambda: at.submit(qty="0.5", time_in_force="gtc"), "refusals.fractional_gtc"
    )


def extended_stop(at: ProbeAccount) -> Seen:
    return seen_refusal(
        lambda: at.submit_stop("buy", at.prices.above, extended_hours=True),
        "refusals.extended_stop",
    )


def bad_field(at: ProbeAccount) -> Seen:
    return seen_refusal(lambda: at.submit(time_in_force="sometimes"), "refusals.bad_field")


def unknown_asset(at: ProbeAccount) -> Seen:
    return seen_refusal(lambda: at.submit(symbol=UNKNOWN_SYMBOL), "refusals.unknown_asset")


def unknown_position(at: ProbeAccount) -> Seen:
    path = f"/v2/positions/{UNKNOWN_SYMBOL}"
    return seen_refusal(lambda: at.ask("GET", path), "refusals.unknown_position")


def unknown_order(at: ProbeAccount) -> Seen:
    path = f"/v2/orders/{uuid4()}"
    return seen_refusal(lambda: at.ask("DELETE", path), "refusals.unknown_order")


def unknown_client_id(at: ProbeAccount) -> Seen:
    return seen_refusal(lambda: at.order(at.new_id()), "refusals.unknown_client_id")


def canceled_twice(at: ProbeAccount) -> Seen:
    order = at.submit()
    at.clean_up()
    return seen_refusal(lambda: at.cancel(order), "refusals.already_ended")


def empty_intent(at: ProbeAccount) -> Seen:
    return seen_refusal(lambda: at.submit(position_intent=""), "refusals.bad_intent")


def wrong_intent(at: ProbeAccount) -> Seen:
    at.require_shorting()

    def attempt() -> Json:
        price = str(at.prices.above)
        return at.submit(side="sell", limit_price=price, position_intent="sell_to_close")

    return seen_refusal(attempt, "refusals.intent_mismatch")


def replaced_too_early(at: ProbeAccount) -> Seen:
    return _replaced(at, ProbeAccount.submit, "replaced_too_early", changed_price=True)


def replaced_unchanged(at: ProbeAccount) -> Seen:
    return _replaced(at, started_order, "replaced_unchanged", changed_price=False)


def _replaced(at: ProbeAccount, order: Place, kind: str, *, changed_price: bool) -> Seen:
    old = order(at)
    price = at.prices.below - (CENT if changed_price else 0)
    return seen_refusal(lambda: at.replace(old, limit_price=str(price)), f"refusals.{kind}")


def replaced_qty_with_legs(at: ProbeAccount) -> Seen:
    entry = started_bracket(at)
    return seen_refusal(lambda: at.replace(entry, qty="2"), "refusals.replaced_qty")


# -- orders of both sides --------------------------------------------------------------------------


def limit(side: str) -> Place:
    """A limit order that can't trade: a buy far below the market, a sell far above it."""

    def place(at: ProbeAccount) -> Json:
        price = at.prices.below if side == "buy" else at.prices.above
        return at.submit(side=side, limit_price=str(price))

    return place


def stop(side: str) -> Place:
    """A stop order whose price is not reached, a bit farther away than the limit orders."""

    def place(at: ProbeAccount) -> Json:
        farther = Decimal("1.1") if side == "buy" else Decimal("0.9")
        price = at.prices.above if side == "buy" else at.prices.below
        return at.submit_stop(side, (price * farther).quantize(CENT))

    return place


def beside(resting: Place, new: Place, pair: str, kind: str) -> Callable[[ProbeAccount], Seen]:
    """Return the procedure that sends an order beside a resting one of the other side."""

    def procedure(at: ProbeAccount) -> Seen:
        at.require_shorting()
        resting(at)
        return seen_refusal(lambda: new(at), f"refusals.{kind}", {f"opposite_allowed.{pair}": True})

    return procedure
