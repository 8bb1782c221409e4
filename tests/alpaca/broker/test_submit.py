"""What becomes of an order that is sent: every outcome by its name, and never a second order."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from smabot.domain.order_terms import OrderType, Side, Status, TimeInForce
from smabot.errors import (
    AccountBlocked,
    BrokerError,
    ConflictError,
    KeyRefused,
    NotSent,
    UnknownOutcome,
)

DUPLICATE = {"code": 40010001, "message": "client_order_id must be unique"}


def test_an_accepted_order_is_the_brokers(script: Any, broker: Any, order: Any, told: Any) -> None:
    script.then(script.answer(200, told()))
    update = broker.submit(order())
    assert update.status is Status.SUBMITTED
    assert update.broker_order_id == "61e69015-8549-4bfd-b9c3-01e75843f47d"
    assert update.submitted_at.microsecond == 123456
    (sent,) = script.requests
    assert (sent.method, sent.path) == ("POST", "/v2/orders")
    assert sent.body == {
        "symbol": "SPY", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day",
        "client_order_id": "smabot-sma-SPY-20260302T1700Z-1",
    }  # fmt: skip


def test_amounts_travel_exactly(script: Any, broker: Any, order: Any, told: Any) -> None:
    limit = Decimal("1234567.89")
    script.then(
        script.answer(
            200,
            told(qty="0.123456789", limit_price="1234567.89", side="sell", time_in_force="gtc"),
        )
    )
    broker.submit(
        order(
            side=Side.SELL, qty=Decimal("0.123456789"), type=OrderType.LIMIT, limit_price=limit,
            time_in_force=TimeInForce.GTC,
        )
    )  # fmt: skip
    body = script.requests[0].body
    assert (body["qty"], body["limit_price"]) == ("0.123456789", "1234567.89")
    assert (body["type"], body["side"], body["time_in_force"]) == ("limit", "sell", "gtc")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (
            403,
            {"code": 40310000, "message": "insufficient buying power", "buying_power": "12.5"},
            "403 insufficient buying power (buying_power 12.5)",
        ),
        (
            422,
            {"code": 42210000, "message": "sub-penny increment does not fulfill minimum"},
            "422 sub-penny increment does not fulfill minimum",
        ),
        (404, {"code": 40410000, "message": "asset not found"}, "404 asset not found"),
    ],
)
def test_a_clear_no_is_a_rejection_with_its_reason(
    script: Any, broker: Any, order: Any, status: int, body: Any, reason: str
) -> None:
    script.then(script.answer(status, body))
    update = broker.submit(order())
    assert (update.status, update.reason) == (Status.REJECTED, reason)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "unauthorized."),
        (401, "request is not authorized"),
        (403, "forbidden."),
        (403, "request is not authorized"),
    ],
)
def test_a_key_that_is_void_says_which_and_nothing_of_the_order(
    script: Any, broker: Any, order: Any, status: int, message: str
) -> None:
    script.otherwise = lambda _: script.answer(status, {"message": message})
    known = order(broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d")
    for ask in (broker.submit, broker.cancel, lambda o: broker.order(o.client_order_id)):
        with pytest.raises(KeyRefused, match="did not accept the key of"):
            ask(known)


@pytest.mark.parametrize(
    "words", ["account is not authorized to trade", "new orders are rejected by user request"]
)
def test_a_refusal_that_is_about_the_account(
    script: Any, broker: Any, order: Any, words: str
) -> None:
    """The account's flags decide: without one it is the order that was refused."""
    no = script.answer(403, {"code": 40310000, "message": words})
    raw = {"account_number": "PA1", "cash": "1", "equity": "1", "buying_power": "1"}
    script.then(no, script.answer(200, {**raw, "trade_suspended_by_user": True}))
    with pytest.raises(AccountBlocked, match=f"403 {words}.*trade_suspended_by_user"):
        broker.submit(order())
    script.then(no, script.answer(200, raw))
    assert broker.submit(order()).status is Status.REJECTED


def test_a_refusal_that_may_be_about_the_account_says_nothing_of_the_order(
    script: Any, broker: Any, order: Any
) -> None:
    """Its flags can't be read: the order is not refused, and is sent again."""
    no = script.answer(403, {"code": 40310000, "message": "account is not authorized to trade"})
    script.then(
        no, script.answer(500, {"message": "later"}), script.answer(500, {"message": "later"})
    )
    with pytest.raises(AccountBlocked, match=r"403 account is not authorized.*can't be read.*500"):
        broker.submit(order())


@pytest.mark.parametrize("shown", [True, False])
def test_a_refusal_that_is_about_the_account_counts_at_once_where_the_order_was_sent_before(
    script: Any, broker: Any, order: Any, told: Any, shown: bool
) -> None:
    """Whether the order has arrived is another question."""
    no = script.answer(403, {"code": 40310000, "message": "account is not authorized to trade"})
    raw = {"account_number": "PA1", "cash": "1", "equity": "1", "buying_power": "1"}
    blocked = script.answer(200, {**raw, "trading_blocked": True})
    there = script.answer(200, told()) if shown else script.answer(404, {"message": "not found"})
    answers = {"/v2/orders": no, "/v2/account": blocked}
    script.otherwise = lambda request: answers.get(request.path, there)
    with pytest.raises(AccountBlocked, match="trading_blocked"):
        broker.submit(order(status=Status.UNKNOWN))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408, 302])
def test_an_answer_that_says_nothing_of_the_order_leaves_it_unknown(
    script: Any, broker: Any, order: Any, status: int
) -> None:
    script.then(script.answer(status, {"message": "later"} if status != 408 else None))
    with pytest.raises(UnknownOutcome, match=r"/v2/orders|can't be read"):
        broker.submit(order())
    assert len(script.sent("POST")) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>Bad gateway</html>", b"", b"null", b'{"id": 1}', b"[]", b'{"id": "\xff"}', b"17"],
)
def test_a_success_that_cant_be_read_leaves_it_unknown(
    script: Any, broker: Any, order: Any, body: bytes
) -> None:
    script.then(script.answer(200, body))
    with pytest.raises(UnknownOutcome):
        broker.submit(order())
    assert len(script.sent("POST")) == 1


def test_a_refusal_in_html_is_not_the_brokers(script: Any, broker: Any, order: Any) -> None:
    script.then(script.answer(403, b"<html>Forbidden by your company's proxy</html>"))
    with pytest.raises(UnknownOutcome, match="403"):
        broker.submit(order())


@pytest.mark.parametrize("end", ["reset", "hang_up", "half", "hang"])
def test_a_connection_that_ends_without_an_answer_leaves_it_unknown(
    script: Any, impatient: Any, order: Any, end: str
) -> None:
    script.then(getattr(script, end))
    with pytest.raises(UnknownOutcome):
        impatient.submit(order())
    assert len(script.sent("POST")) == 1


def test_an_order_that_reached_nobody_was_not_sent(script: Any, broker: Any, order: Any) -> None:
    script.close()
    with pytest.raises(NotSent, match="can't be reached") as caught:
        broker.submit(order())
    assert caught.value.wait > 0


def test_an_answer_about_another_order_settles_nothing(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    script.then(script.answer(200, told("somebody-elses")))
    with pytest.raises(UnknownOutcome, match="somebody-elses"):
        broker.submit(order())


# -- sent again ------------------------------------------------------------------------------------


def test_a_duplicate_of_the_same_order_is_the_order(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    seen = told(status="filled", filled_qty="10", filled_avg_price="500.25", qty="10")
    script.then(script.answer(422, DUPLICATE), script.answer(200, seen))
    update = broker.submit(order())
    assert (update.status, update.filled_qty) == (Status.FILLED, 10)
    assert script.requests[1].path == "/v2/orders:by_client_order_id"
    assert script.requests[1].query == {"client_order_id": order().client_order_id}


@pytest.mark.parametrize(
    "other", [{"qty": "11"}, {"side": "sell"}, {"symbol": "IBM"}, {"limit_price": "9"}]
)
def test_a_duplicate_of_another_order_is_a_conflict(
    script: Any, broker: Any, order: Any, told: Any, other: dict[str, str]
) -> None:
    script.then(script.answer(422, DUPLICATE), script.answer(200, told(**other)))
    with pytest.raises(ConflictError, match="another order under this id"):
        broker.submit(order())


def test_a_duplicate_that_is_not_shown_is_unknown_and_says_that_it_landed(
    script: Any, broker: Any, order: Any
) -> None:
    missing = script.answer(404, {"code": 40410000, "message": "order not found"})
    script.then(script.answer(422, DUPLICATE), missing)
    with pytest.raises(UnknownOutcome, match="has arrived before, and is not shown yet"):
        broker.submit(order())


def test_a_duplicate_that_cant_be_looked_up_is_unknown(
    script: Any, impatient: Any, order: Any
) -> None:
    script.then(script.answer(422, DUPLICATE), script.hang)
    with pytest.raises(UnknownOutcome, match="has arrived before, and can't be looked up"):
        impatient.submit(order())


def test_a_refusal_of_what_was_sent_before_proves_nothing(
    script: Any, broker: Any, order: Any
) -> None:
    """The shares may be held, or the money spent, by the first request of the two."""
    no = script.answer(403, {"code": 40310000, "message": "insufficient qty", "available": "0"})
    missing = script.answer(404, {"code": 40410000, "message": "order not found"})
    script.then(script.reset, no, missing)
    with pytest.raises(UnknownOutcome):
        broker.submit(order())
    with pytest.raises(UnknownOutcome, match=r"insufficient qty.*not shown yet"):
        broker.submit(order())


def test_a_second_refusal_of_what_never_showed_counts(
    script: Any, impatient: Any, order: Any
) -> None:
    """An order that a killed process had not sent yet must not stay frozen for a mere refusal."""
    no = script.answer(403, {"code": 40310000, "message": "insufficient buying power"})
    missing = script.answer(404, {"code": 40410000, "message": "order not found"})
    script.then(no, missing, no, script.hang, no, missing)
    for reason in ("not shown yet", "can't be looked up"):
        with pytest.raises(UnknownOutcome, match=reason):
            impatient.submit(order(status=Status.UNKNOWN))
    update = impatient.submit(order(status=Status.UNKNOWN))
    assert (update.status, "insufficient buying power" in update.reason) == (Status.REJECTED, True)


def test_a_refusal_of_what_is_there_is_the_order_that_is_there(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    no = script.answer(403, {"code": 40310000, "message": "insufficient qty", "available": "0"})
    script.then(no, script.answer(200, told(status="new")))
    update = broker.submit(order(status=Status.UNKNOWN))
    assert update.status is Status.ACCEPTED


def test_an_order_is_free_again_once_it_is_settled(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    no = script.answer(403, {"code": 40310000, "message": "insufficient qty"})
    script.then(script.reset, script.answer(200, told()), no)
    with pytest.raises(UnknownOutcome):
        broker.submit(order())
    assert broker.submit(order()).status is Status.SUBMITTED
    assert broker.submit(order()).status is Status.REJECTED


# -- room ------------------------------------------------------------------------------------------


def test_an_order_without_room_is_not_sent_and_does_not_wait(
    script: Any, broker_at: Any, order: Any, told: Any
) -> None:
    broker = broker_at(script.url, requests_per_minute=1)
    script.then(script.answer(200, told()))
    broker.submit(order())
    with pytest.raises(NotSent) as caught:
        broker.submit(order("smabot-sma-SPY-20260302T1701Z-1"))
    assert 50 < caught.value.wait <= 61
    assert len(script.requests) == 1


def test_after_too_many_requests_nothing_leaves_until_the_header_says_so(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    script.then(
        script.answer(
            429, {"code": 42910000, "message": "rate limit exceeded"}, {"Retry-After": "7"}
        ),
        script.answer(200, told()),
    )
    with pytest.raises(UnknownOutcome, match="429"):
        broker.submit(order())
    with pytest.raises(NotSent) as caught:
        broker.submit(order())
    assert 6 < caught.value.wait <= 7
    assert len(script.requests) == 1


# -- cancel ----------------------------------------------------------------------------------------


def test_a_cancel_goes_by_the_brokers_id(script: Any, broker: Any, order: Any) -> None:
    script.then(script.answer(204))
    broker.cancel(order(broker_order_id="abc"))
    assert [(r.method, r.path) for r in script.requests] == [("DELETE", "/v2/orders/abc")]


def test_a_cancel_finds_the_brokers_id(script: Any, broker: Any, order: Any, told: Any) -> None:
    script.then(script.answer(200, told(id="abc")), script.answer(204))
    broker.cancel(order())
    assert script.requests[1].path == "/v2/orders/abc"


def test_a_cancel_that_comes_too_late_is_no_error(script: Any, broker: Any, order: Any) -> None:
    late = {"code": 42210000, "message": 'order is already in "filled" state'}
    script.then(script.answer(422, late))
    broker.cancel(order(broker_order_id="abc"))
    assert len(script.requests) == 1


@pytest.mark.parametrize("known", ["abc", None])
def test_a_cancel_of_an_order_that_is_not_known_is_one(
    script: Any, broker: Any, order: Any, known: str | None
) -> None:
    script.then(script.answer(404, {"code": 40410000, "message": "order not found"}))
    with pytest.raises(BrokerError, match="smabot-sma-SPY"):
        broker.cancel(order(broker_order_id=known))


def test_a_cancel_finds_room_though_its_order_must_be_looked_up(
    script: Any, broker_at: Any, order: Any, told: Any
) -> None:
    """Its id at the broker was in an answer that was lost; the last requests are kept for exits and cancels."""
    broker = broker_at(script.url, requests_per_minute=200)
    used_up = {
        "X-RateLimit-Limit": "200",
        "X-RateLimit-Remaining": "5",
        "X-RateLimit-Reset": str(int(time.time()) + 60),
    }
    script.then(script.answer(200, told(), used_up), script.answer(200, told(), used_up))
    script.then(script.answer(204))
    broker.order("smabot-sma-SPY-20260302T1700Z-1")
    with pytest.raises(NotSent):
        broker.order("smabot-sma-SPY-20260302T1700Z-1")
    broker.cancel(order())
    assert [sent.method for sent in script.requests] == ["GET", "GET", "DELETE"]
