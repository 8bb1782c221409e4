"""Procedures: orders that are accepted, shown, canceled and replaced."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from smabot.provider import EXCHANGE_ZONE
from smabot_alpaca.order_json import parse_time
from smabot_alpaca.probe.probe_account import CENT, LOOKS, Json, ProbeAccount, look_for
from smabot_alpaca.probe.seen import NotTried, Seen, played_refusal, refusal_words
from smabot_alpaca.rest.client import RequestRefused

AT_ONCE = "at once"
NULL = "null"


def first_status(at: ProbeAccount) -> Seen:
    status = str(at.submit()["status"])
    return Seen(status, {"first_status": status} if at.market_is_open else {})


def visible_by_id(at: ProbeAccount) -> Seen:
    name = at.submit()["client_order_id"]
    return _seen_after(lambda: at.find(name), "visible_after_seconds")


def visible_in_list(at: ProbeAccount) -> Seen:
    name = at.submit()["client_order_id"]

    def look() -> bool | None:
        return True if name in {each["client_order_id"] for each in at.open_orders()} else None

    return _seen_after(look, "listed_after_seconds")


def _seen_after(look: Callable[[], Any], behaviour: str) -> Seen:
    found, after, before = look_for(look)
    if found is None:
        return Seen(f"not within {LOOKS[-1]:g} s", {behaviour: 2 * LOOKS[-1]})
    if before < 0:
        return Seen(AT_ONCE)
    return Seen(f"within {after:g} s", {behaviour: (before + after) / 2})


def amounts(at: ProbeAccount) -> Seen:
    order = at.submit()
    texts = all(isinstance(order[name], str) for name in ("qty", "filled_qty", "limit_price"))
    return Seen("text" if texts else "numbers")


def order_of_stamps(at: ProbeAccount) -> Seen:
    order = at.submit()
    created, submitted = order["created_at"], order["submitted_at"]
    if _finer(submitted) < _finer(created):
        return Seen("submitted_at before created_at", {"stamps": "submitted first"})
    if _finer(order["updated_at"]) < _finer(submitted):
        return Seen("updated_at before submitted_at")
    return Seen("created_at, submitted_at, updated_at")


def stamps_of_two(at: ProbeAccount) -> Seen:
    first, second = at.submit(), at.submit()
    ascending = _finer(first["submitted_at"]) < _finer(second["submitted_at"])
    return Seen("ascending" if ascending else "not ascending")


def after_of_a_list(at: ProbeAccount) -> Seen:
    order = at.submit()
    look_for(lambda: any(each["id"] == order["id"] for each in at.open_orders()) or None)
    params = {"status": "all", "symbols": at.symbol, "after": order["submitted_at"], "limit": 500}
    listed = {each["id"] for each in at.ask("GET", "/v2/orders", params)}
    if order["id"] in listed:
        return Seen("included", {"after_includes": True})
    return Seen("left out")


def gtc_expiry(at: ProbeAccount) -> Seen:
    order = at.submit(time_in_force="gtc")
    if (expires := order.get("expires_at")) is None:
        return Seen(NULL, {"gtc_expires_at": NULL})
    end = parse_time(expires).astimezone(EXCHANGE_ZONE)
    begin = parse_time(order["submitted_at"]).astimezone(EXCHANGE_ZONE)
    return Seen(f"{(end.date() - begin.date()).days} days later at {end:%H:%M} New York")


def day_expiry(at: ProbeAccount) -> Seen:
    expires = at.submit().get("expires_at")
    if expires is None:
        return Seen(NULL, {"day_expires_at": NULL})
    end = parse_time(expires)
    if end == at.session_close:
        return Seen("the session's close")
    return Seen(f"{end.astimezone(EXCHANGE_ZONE):%H:%M} New York")


def intent_shown(at: ProbeAccount) -> Seen:
    order = at.submit()
    if "position_intent" not in order:
        return Seen("absent", {"position_intent": "absent"})
    intent = order["position_intent"]
    return Seen(NULL, {"position_intent": NULL}) if intent is None else Seen(str(intent))


def intent_accepted(at: ProbeAccount) -> Seen:
    return _accepted(lambda: at.submit(position_intent="buy_to_open"), "position_intent_refused")


def unusual_id(at: ProbeAccount) -> Seen:
    order = at.submit(client_order_id=f"{at.new_id()} a/b+c:d")
    found, *_ = look_for(lambda: at.find(order["client_order_id"]))
    return Seen("found" if found and found["id"] == order["id"] else "not found")


def longest_id(at: ProbeAccount) -> Seen:
    return _accepted(lambda: at.submit(client_order_id=at.new_id().ljust(128, "x")), "")


def legs_shown(at: ProbeAccount) -> Seen:
    entry = at.submit_bracket()
    legs = entry.get("legs") or []
    statuses = {str(leg["status"]) for leg in legs}
    ids = {leg["client_order_id"] for leg in legs} - {entry["client_order_id"], None, ""}
    own = "with ids of their own" if len(ids) == len(legs) else "without ids of their own"
    return Seen(f"{len(legs)} legs, {' and '.join(sorted(statuses))}, {own}")


def legs_canceled(at: ProbeAccount) -> Seen:
    entry = at.submit_bracket()
    at.cancel(entry)

    def statuses() -> list[str] | None:
        shown = at.ask("GET", f"/v2/orders/{entry['id']}", {"nested": "true"})
        found = [str(leg["status"]) for leg in shown.get("legs") or []]
        return found if found and all(status == "canceled" for status in found) else None

    found, after, _ = look_for(statuses)
    if found is None:
        return Seen(f"not canceled within {after:g} s")
    return Seen(" and ".join(found))


def cancel_takes(at: ProbeAccount) -> Seen:
    order = at.submit()
    at.cancel(order)
    statuses: list[str] = []

    def look() -> bool | None:
        status = str(at.ask("GET", f"/v2/orders/{order['id']}")["status"])
        if status not in statuses:
            statuses.append(status)
        return True if status == "canceled" else None

    _, after, before = look_for(look)
    words = ", then ".join(statuses)
    return Seen(f"{words} at once" if before < 0 else f"{words} within {after:g} s")


def replaced(at: ProbeAccount) -> Seen:
    old = _started(at, at.submit())
    new = at.replace(old, limit_price=str(at.prices.below - CENT))
    links, *_ = look_for(lambda: _links(at, old, new))
    kind = "a new order" if new["id"] != old["id"] else "the same order"
    return Seen(f"{kind}, {'linked both ways' if links else 'not linked'}")


def _links(at: ProbeAccount, old: Json, new: Json) -> bool | None:
    then = at.ask("GET", f"/v2/orders/{old['id']}")
    both = then.get("replaced_by") == new["id"] and new.get("replaces") == old["id"]
    return True if both and then["status"] == "replaced" else None


def leg_replaced(at: ProbeAccount) -> Seen:
    profit = take_profit(at)
    price = Decimal(str(profit["limit_price"])) - CENT
    return _accepted(lambda: at.replace(profit, limit_price=str(price)), "leg_replacement_refused")


def take_profit(at: ProbeAccount) -> Json:
    """Return the exit with a gain of a new order with legs, whose entry has not filled."""
    entry = _started(at, at.submit_bracket())
    legs: list[Json] = [leg for leg in entry.get("legs") or [] if leg["type"] == "limit"]
    if not legs:
        raise NotTried("the answer to an order with legs shows none")
    return legs[0]


def _started(at: ProbeAccount, order: Json) -> Json:
    """Return an order when it is with the market, so that it can be replaced. Raises NotTried."""

    def look() -> Json | None:
        shown = at.ask("GET", f"/v2/orders/{order['id']}", {"nested": "true"})
        return shown if shown["status"] == "new" else None

    found, after, _ = look_for(look)
    if found is None:
        raise NotTried(f"the order was not new within {after:g} s")
    return found


def started_order(at: ProbeAccount) -> Json:
    """Return a new order when it is with the market."""
    return _started(at, at.submit())


def started_bracket(at: ProbeAccount) -> Json:
    """Return a new order with legs when it is with the market."""
    return _started(at, at.submit_bracket())


def _accepted(attempt: Callable[[], object], behaviour: str) -> Seen:
    try:
        attempt()
    except RequestRefused as refusal:
        return Seen(
            refusal_words(refusal), {behaviour: played_refusal(refusal)} if behaviour else {}
        )
    return Seen("accepted")


def _finer(stamp: str) -> tuple[str, str]:
    """Return a time of up to nine decimals so that it can be compared."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")
