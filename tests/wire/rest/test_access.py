"""What every request passes: keys, quota, size; and what every answer carries."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.rate_limit import RequestQuota

PATHS = ["/v2/account", "/v2/orders", "/v2/stocks/bars", "/v2/nothing", "/_exchange"]


WRONG_KEYS = [
    {},
    {"APCA-API-KEY-ID": "PKTEST"},
    {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "another"},
    {"APCA-API-KEY-ID": "PKOTHER", "APCA-API-SECRET-KEY": "the secret"},
    {"APCA-API-KEY-ID": "PKOTHER", "APCA-API-SECRET-KEY": "no such key"},
    {"APCA-API-KEY-ID": "", "APCA-API-SECRET-KEY": ""},
]


@pytest.mark.parametrize("path", PATHS)
def test_without_the_right_keys(still: Any, path: str) -> None:
    for headers in WRONG_KEYS:
        response = requests.get(still.url + path, headers=headers, timeout=10)
        assert (response.status_code, response.json()) == (401, {"message": "unauthorized."})
        assert response.headers["X-Request-ID"]


def test_keys_do_not_show_their_secrets() -> None:
    keys = ApiKeys({"PKTEST": "the secret"})
    assert "the secret" not in repr(keys)
    assert keys.match("PKTEST", "the secret")
    assert not keys.match("PKTEST", "thé secret")


def test_each_request_has_an_id_of_its_own(ask: Any) -> None:
    ids = [ask("GET", path).headers["X-Request-ID"] for path in ("/v2/clock", "/v2/clock", "/no")]
    assert len(set(ids)) == 3


def test_without_a_quota_no_rate_is_told(ask: Any) -> None:
    assert not [name for name in ask("GET", "/v2/account").headers if "ratelimit" in name.lower()]


def test_the_quota_and_its_headers(serve: Any, call_at: Any) -> None:
    now = [1_000.0]
    call = call_at(serve(quota=RequestQuota(2, 60, lambda: now[0])))
    answers = [call("GET", "/v2/positions") for _ in range(3)]
    rates = [
        tuple(answer.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset"))
        for answer in answers
    ]
    assert rates == [("2", "1", "1060"), ("2", "0", "1060"), ("2", "0", "1060")]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"code": 42910000, "message": "rate limit exceeded"}
    data = call("GET", "/v2/stocks/bars/latest", params={"symbols": "SPY"})
    assert (data.status_code, data.json()) == (429, {"message": "too many requests."})
    now[0] += 60
    assert call("GET", "/v2/positions").headers["X-RateLimit-Remaining"] == "1"


def test_a_request_over_the_quota_does_nothing(serve: Any, call_at: Any) -> None:
    place = serve(quota=RequestQuota(1))
    call = call_at(place)
    call.buy(1)
    assert call.post("buy", 1).status_code == 429
    assert len(place.exchange.orders()) == 1


def test_the_quota_is_a_keys_own_and_wrong_keys_use_none_of_it() -> None:
    quota = RequestQuota(1)
    assert quota.take("A").granted
    assert not quota.take("A").granted
    assert quota.take("B").granted


def test_a_clock_that_goes_back_frees_the_quota() -> None:
    now = [1_000.0]
    quota = RequestQuota(1, 60, lambda: now[0])
    assert quota.take("A").granted
    now[0] -= 500
    assert quota.take("A").granted


def test_a_large_body_is_refused_before_it_is_read(ask: Any, still: Any) -> None:
    response = ask("POST", "/v2/orders", data=b" " * (still.venue.largest_body + 1))
    assert response.status_code == 413


def test_a_large_body_without_a_length_is_refused_while_it_is_read(ask: Any) -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b" " * 1024

    assert ask("POST", "/v2/orders", data=endless()).status_code == 413


def test_unknown_places(ask: Any) -> None:
    response = ask("GET", "/v2/no/such/place")
    assert response.status_code == 404
    assert response.json() == {"code": 40410000, "message": "endpoint not found."}
    assert ask("PUT", "/v2/orders").status_code == 405


def test_a_broken_exchange_is_an_internal_error(
    place: Any, call: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place.exchange.close()
    response = call("GET", "/v2/account")
    assert response.status_code == 500
    assert response.json() == {"code": 50010000, "message": "internal server error occurred"}
    assert caplog.messages == ["GET /v2/account: the exchange is closed"]
