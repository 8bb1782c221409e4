"""Questions to the broker: account, calendar, orders, positions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import Status
from smabot.errors import BrokerError, KeyRefused, NotSent, PartlyUnreadable
from smabot.hooks.ports import RemoteBroker

SINCE = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def test_core_calls_it_from_threads_and_trusts_no_miss(broker: Any) -> None:
    assert isinstance(broker, RemoteBroker)
    assert broker.visibility_delay is None
    assert not broker.stepped
    assert broker.name == "alpaca"


def test_the_account(script: Any, broker: Any) -> None:
    script.then(
        script.answer(
            200,
            {
                "id": "e6fe16f3-64a4-4921-8928-cadf02f92f98", "account_number": "PA3VS39Y5LE2",
                "status": "ACTIVE", "cash": "98765.4321", "equity": "100000.01",
                "buying_power": "395061.73", "unheard_of": {"x": [1]},
            },
        )
    )  # fmt: skip
    account = broker.account()
    assert account.account_id == "PA3VS39Y5LE2"
    assert account.cash == Decimal("98765.4321")
    assert (account.equity, account.buying_power) == (Decimal("100000.01"), Decimal("395061.73"))


@pytest.mark.parametrize("cash", [None, "", "NaN", "lots"])
def test_an_account_without_an_amount_is_an_error(script: Any, broker: Any, cash: Any) -> None:
    raw = {"account_number": "x", "cash": cash, "equity": "1", "buying_power": "1"}
    script.then(script.answer(200, raw))
    with pytest.raises(BrokerError, match="the account can't be read"):
        broker.account()


@pytest.mark.parametrize("block", ["account_blocked", "trading_blocked", "trade_suspended_by_user"])
def test_an_account_that_may_not_trade_says_why(script: Any, broker: Any, block: str) -> None:
    raw = {"account_number": "PA1", "cash": "1", "equity": "1", "buying_power": "1", block: True}
    script.then(script.answer(200, raw), script.answer(200, {**raw, block: False}))
    assert broker.account().blocked == block
    assert broker.account().blocked == ""


def test_positions_sold_short_are_negative(script: Any, broker: Any) -> None:
    script.then(
        script.answer(
            200,
            [
                {"symbol": "SPY", "qty": "10.5", "side": "long", "avg_entry_price": "500.123456"},
                {"symbol": "IBM", "qty": "-3", "side": "short", "avg_entry_price": "200"},
            ],
        )
    )
    spy, ibm = broker.positions()
    assert (spy.symbol, spy.qty, spy.avg_price) == ("SPY", Decimal("10.5"), Decimal("500.123456"))
    assert (ibm.symbol, ibm.qty) == ("IBM", -3)


def test_the_calendar_knows_half_days_and_summer_time(script: Any, broker: Any) -> None:
    script.then(
        script.answer(
            200,
            [
                {"date": "2026-03-06", "open": "09:30", "close": "16:00", "session_open": "0400"},
                {"date": "2026-03-09", "open": "09:30", "close": "16:00"},
                {"date": "2026-11-27", "open": "09:30", "close": "13:00"},
            ],
        )
    )
    winter, summer, half = broker.calendar().sessions
    assert winter.open == datetime(2026, 3, 6, 14, 30, tzinfo=UTC)
    assert summer.open == datetime(2026, 3, 9, 13, 30, tzinfo=UTC)
    assert half.close == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    assert half.date == date(2026, 11, 27)
    year = datetime.now(UTC).year
    assert script.requests[0].query == {"start": f"{year - 1}-01-01", "end": f"{year + 1}-12-31"}


def test_a_calendar_without_a_session_is_an_error(script: Any, broker: Any) -> None:
    script.then(script.answer(200, []))
    with pytest.raises(BrokerError, match="knows no session"):
        broker.calendar()


def test_an_order_that_is_not_known_is_none(script: Any, broker: Any) -> None:
    script.then(script.answer(404, {"code": 40410000, "message": "order not found"}))
    assert broker.order("smabot-sma-SPY-20260302T1700Z-1") is None


def test_an_id_is_encoded(script: Any, broker: Any, told: Any) -> None:
    name = "a&b=c/d e%2F+ü"
    script.then(script.answer(200, told(name)))
    assert broker.order(name).client_order_id == name
    assert script.requests[0].query == {"client_order_id": name}


def test_one_status_that_nobody_knows_loses_no_list(script: Any, broker: Any, told: Any) -> None:
    odd = told("b", id="2", status="teleported", order_class="mleg", type="quantum", side=None)
    script.then(
        script.answer(
            200, [told("a", id="1"), odd, told("c", id="3", order_class="mleg", symbol=None)]
        )
    )
    orders = broker.orders()
    assert [order.client_order_id for order in orders] == ["a", "b", "c"]
    assert not orders[1].status.terminal


def test_orders_are_the_open_ones_and_those_submitted_since(
    script: Any, broker: Any, told: Any
) -> None:
    old = told("old", id="1", status="new", submitted_at="2026-02-01T15:00:00Z")
    script.then(
        script.answer(200, [old, told("ends", id="2", status="new")]),
        script.answer(200, [told("ends", id="2", status="canceled"), told("done", id="3")]),
    )
    orders = broker.orders(SINCE)
    assert [order.client_order_id for order in orders] == ["old", "ends", "done"]
    assert orders[1].status is Status.CANCELED
    opened, recent = (request.query for request in script.requests)
    assert (opened["status"], recent["status"]) == ("open", "all")
    asked = datetime.fromisoformat(recent["after"])
    assert asked == SINCE - timedelta(microseconds=1), "Alpaca's `after` is exclusive"
    assert "after" not in opened


def test_orders_come_page_by_page_though_many_have_one_time(
    script: Any, broker: Any, told: Any
) -> None:
    everything = [told(f"n{n}", id=f"id{n}") for n in range(1203)]
    pages = [everything[at : at + 500] for at in (0, 500, 1000)]
    script.then(script.answer(200, []), *(script.answer(200, page) for page in pages))
    assert len(broker.orders(SINCE)) == 1203
    first, second, third = (request.query for request in script.requests[1:])
    assert "after_order_id" not in first
    assert second["after_order_id"] == "id499"
    assert third["after_order_id"] == "id999"
    assert "after" not in second, "Alpaca does not take both"


def test_a_page_that_comes_again_is_an_error(script: Any, broker: Any, told: Any) -> None:
    page = [told(f"n{n}", id=f"id{n}") for n in range(500)]
    script.then(script.answer(200, page), script.answer(200, page))
    with pytest.raises(BrokerError, match="again and again"):
        broker.orders()


def test_questions_leave_room_for_orders(
    script: Any, broker_at: Any, order: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_alpaca.rest.client.LONGEST_READ_WAIT", 0.0)
    broker = broker_at(script.url, requests_per_minute=20, request_timeout=1)
    script.then(*[script.answer(200, [])] * 15, *[script.answer(200, told())] * 5)
    for _ in range(15):
        broker.positions()
    with pytest.raises(NotSent):
        broker.positions()
    for _ in range(4):
        broker.submit(order())
    for no_entry in (broker.submit, lambda order: broker.order(order.client_order_id)):
        with pytest.raises(NotSent):
            no_entry(order())
    broker.submit(order(reduces=True))
    assert len(script.requests) == 20


def test_a_key_that_is_refused_says_which_and_why(script: Any, broker: Any) -> None:
    script.then(script.answer(401, {"message": "unauthorized."}))
    with pytest.raises(KeyRefused, match="did not accept the key of") as caught:
        broker.account()
    assert caught.value.exit_code == 4


def test_an_order_that_cant_be_read_costs_itself_alone(script: Any, broker: Any, told: Any) -> None:
    script.then(script.answer(200, [told("mine"), told("theirs", qty="lots"), 17]))
    with pytest.raises(PartlyUnreadable, match="order theirs: an order can't be read") as caught:
        broker.orders()
    assert [order.client_order_id for order in caught.value.readable] == ["mine"]
    assert caught.value.names == ("theirs", "")


@pytest.mark.parametrize("qty", [None, "", "NaN", "lots", {}])
def test_a_position_that_cant_be_read_is_never_flat(script: Any, broker: Any, qty: Any) -> None:
    good = {"symbol": "SPY", "side": "long", "qty": "5", "avg_entry_price": "100"}
    script.then(script.answer(200, [{**good, "symbol": "KO", "qty": qty}, good]))
    with pytest.raises(PartlyUnreadable, match="position KO") as caught:
        broker.positions()
    assert [position.symbol for position in caught.value.readable] == ["SPY"]
    assert caught.value.names == ("KO",)


def test_what_rest_told_is_kept_for_comparison_with_the_stream(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    script.then(script.answer(200, told()), script.answer(200, told(status="new")))
    broker.submit(order())
    broker.order(order().client_order_id)
    answers = broker._connection.order_answers
    assert [update.status for update in answers] == [Status.SUBMITTED, Status.ACCEPTED]
