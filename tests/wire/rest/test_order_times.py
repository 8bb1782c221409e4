"""Each order has a time of its own, though the exchange's clock moves in minutes."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

ORDERS = 25


def sent(call: Any, count: int = ORDERS) -> list[Any]:
    return [call.buy(1, "IBM", type="limit", limit_price=10) for _ in range(count)]


def test_orders_of_a_minute_have_ascending_times_to_the_nanosecond(call: Any, place: Any) -> None:
    first = sent(call, 3)
    place.play(1)
    orders = first + sent(call, 3)
    times = [order["submitted_at"] for order in orders]
    assert times[0] == "2026-03-02T14:30:00.000100003Z"
    assert times[3] == "2026-03-02T14:31:00.000100003Z"
    assert all(earlier < later for earlier, later in pairwise(times))
    assert [order["created_at"] for order in orders] == times
    assert call.get(f"/v2/orders/{orders[4]['id']}")["submitted_at"] == times[4]


@pytest.mark.parametrize("page", [1, 7, 10])
@pytest.mark.parametrize("digits", [None, 6])
def test_paging_by_time_loses_none(call: Any, page: int, digits: int | None) -> None:
    """Some clients keep microseconds only: they get orders twice, as at Alpaca, and lose none."""
    ids = [order["id"] for order in sent(call)]
    found: dict[str, None] = {}
    after = "2026-03-02T14:30:00Z"
    for _ in range(3 * ORDERS):
        page_limit = page if digits is None else page + 1
        orders = call.get("/v2/orders", after=after, direction="asc", limit=page_limit)
        found |= dict.fromkeys(order["id"] for order in orders)
        if len(orders) < page_limit:
            break
        after = orders[-1]["submitted_at"]
        if digits is not None:
            after = datetime.fromisoformat(after).isoformat()
    assert list(found) == ids


def test_paging_backwards_loses_none(call: Any) -> None:
    ids = [order["id"] for order in sent(call)]
    found: list[str] = []
    until = "2026-03-02T14:31:00Z"
    while orders := call.get("/v2/orders", until=until, limit=4):
        found += [order["id"] for order in orders]
        until = orders[-1]["submitted_at"]
    assert found == ids[::-1]


def test_after_and_until_are_exclusive_to_the_nanosecond(call: Any) -> None:
    first, second, third = sent(call, 3)
    exactly = second["submitted_at"]
    before, later = (f"{exactly[:-2]}{int(exactly[-2]) + by}Z" for by in (-1, 1))

    def listed(**wanted: str) -> list[str]:
        found = call.get("/v2/orders", direction="asc", **wanted)
        return [order["id"] for order in found]

    assert listed(after=exactly) == listed(after=later) == [third["id"]]
    assert listed(after=before) == [second["id"], third["id"]]
    assert listed(until=exactly) == listed(until=before) == [first["id"]]
    assert listed(until=later) == [first["id"], second["id"]]


def test_legs_and_replacements_have_their_own_times_too(call: Any) -> None:
    legs = {"take_profit": {"limit_price": 110}, "stop_loss": {"stop_price": 90}}
    parent = call.buy(1, order_class="bracket", **legs)
    other = call.buy(1, "IBM", type="limit", limit_price=10)
    replaced = call("PATCH", f"/v2/orders/{other['id']}", json={"limit_price": 11}).json()
    times = [order["submitted_at"] for order in (parent, *parent["legs"], other, replaced)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_nothing_happens_to_an_order_before_it_is_submitted(call: Any, place: Any) -> None:
    filled, canceled = call.buy(1), call.buy(1, "IBM", type="limit", limit_price=10)
    call("DELETE", f"/v2/orders/{canceled['id']}")
    place.play(1)
    order = call.get(f"/v2/orders/{filled['id']}")
    assert order["submitted_at"] == order["filled_at"] <= order["updated_at"]
    order = call.get(f"/v2/orders/{canceled['id']}")
    assert order["submitted_at"] == order["canceled_at"]


def test_times_outlive_the_process(lab_reopen: Any) -> None:
    call, reopened = lab_reopen
    before = [order["submitted_at"] for order in sent(call, 3)]
    again = reopened()
    listed = again.get("/v2/orders", direction="asc")
    assert [order["submitted_at"] for order in listed] == before
    assert sent(again, 1)[0]["submitted_at"] > before[-1]


@pytest.fixture
def lab_reopen(serve: Any, call_at: Any) -> Any:
    """A served exchange, a client of it, and a way to serve the same ledger again."""
    place = serve()

    def reopened() -> Any:
        serve.close()
        return call_at(serve())

    return call_at(place), reopened


def test_what_the_documents_say_of_fields(call: Any, place: Any) -> None:
    lasting = call.buy(1, "IBM", type="limit", limit_price=10, time_in_force="gtc")
    assert lasting["expires_at"] == "2026-05-31T20:15:00Z"
    legs = {"take_profit": {"limit_price": 110}, "stop_loss": {"stop_price": 90}}
    parent = call.buy(1, order_class="bracket", **legs)
    for leg in parent["legs"]:
        assert leg["client_order_id"] != leg["id"]
    assert len({leg["client_order_id"] for leg in parent["legs"]}) == 2
    assert call.get("/v2/account/configurations")["max_options_trading_level"] == 0


def test_averages_have_digits_that_can_be_read(serve: Any, call_at: Any) -> None:
    place = serve({"SPY": [100.0, 100.01, 100.01, 100.01]}, volume=10)
    call = call_at(place)
    order = call.buy(3)
    place.play(3)
    assert call.get(f"/v2/orders/{order['id']}")["filled_avg_price"] == "100.003333333333"
    position = call.get("/v2/positions/SPY")
    assert position["avg_entry_price"] == "100.003333333333"
    call.sell(1)
    place.play(1)
    position = call.get("/v2/positions/SPY")
    assert (position["cost_basis"], position["unrealized_pl"]) == (
        "200.006666666667", "0.013333333333",
    )  # fmt: skip
