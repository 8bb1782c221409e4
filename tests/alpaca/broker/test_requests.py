"""How requests travel: once, with a timeout, past no proxy that is not meant, from many threads."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import BrokerError, NotSent, UnknownOutcome


def test_a_kept_connection_serves_many_requests(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    names = [f"smabot-sma-SPY-20260302T170{minute}Z-1" for minute in range(5)]
    script.then(*(script.answer(200, told(name)) for name in names))
    for name in names:
        broker.submit(order(name))
    assert script.connections == 1


def test_an_order_is_sent_once_though_the_server_dropped_the_kept_connection(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    """The server closes it without a word after each answer; the next order finds out."""
    names = [f"smabot-sma-SPY-20260302T170{minute}Z-1" for minute in range(6)]
    script.then(*(script.answer(200, told(name), keep=False) for name in names))
    for number, name in enumerate(names, start=1):
        broker.submit(order(name))
        deadline = time.monotonic() + 60
        while script.ended < number and time.monotonic() < deadline:
            time.sleep(0.001)
    assert script.connections == len(names)
    assert [request.body["client_order_id"] for request in script.sent("POST")] == names


def test_an_order_is_sent_once_though_the_kept_connection_dies_under_it(
    script: Any, broker: Any, order: Any, told: Any
) -> None:
    """The server reads the request on a kept connection and closes it instead of answering."""
    first, second = "smabot-sma-SPY-20260302T1700Z-1", "smabot-sma-SPY-20260302T1701Z-1"
    script.then(script.answer(200, told(first)), script.hang_up, script.answer(200, told(second)))
    broker.submit(order(first))
    with pytest.raises(UnknownOutcome):
        broker.submit(order(second))
    time.sleep(0.1)  # nothing to wait for: a second request must not come
    assert [r.body["client_order_id"] for r in script.sent("POST")] == [first, second]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_alpacas_own_client_would_repeat_what_is_sent_once_here(
    script: Any, broker: Any, order: Any, told: Any, status: int
) -> None:
    script.then(script.answer(status, {"message": "later"}), script.answer(200, told()))
    with pytest.raises(UnknownOutcome):
        broker.submit(order())
    assert len(script.requests) == 1


def test_a_question_that_broke_is_asked_once_more(script: Any, broker: Any) -> None:
    script.then(script.reset, script.answer(200, []), script.answer(502), script.answer(200, []))
    assert broker.positions() == []
    assert broker.positions() == []
    assert len(script.requests) == 4


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "1"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}, {}]
)
def test_a_question_waits_as_long_as_a_429_says(
    script: Any, broker: Any, warnings: list[str], headers: dict[str, str]
) -> None:
    script.then(script.answer(429, {"message": "slow down"}, headers), script.answer(200, []))
    begun = time.monotonic()
    assert broker.positions() == []
    assert 0.9 < time.monotonic() - begun < 30
    assert [text for text in warnings if "the rate limit is used up: waiting 1 s" in text]


def test_a_question_does_not_wait_for_ever(
    script: Any, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_alpaca.rest.client.LONGEST_READ_WAIT", 10.0)
    script.otherwise = lambda _: script.answer(429, {"message": "no"}, {"Retry-After": "3600"})
    with pytest.raises(BrokerError, match="429"):
        broker.positions()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("play", "asked"), [("reset", 2), ("hang_up", 2), ("half", 2), ("hang", 1)]
)
def test_a_question_without_an_answer_is_an_error_and_never_nothing(
    script: Any, impatient: Any, play: str, asked: int
) -> None:
    script.then(*[getattr(script, play)] * 2)
    with pytest.raises(BrokerError):
        impatient.positions()
    assert len(script.requests) == asked


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"null", b"", b'[{"symbol": "SPY"}]', b"[17]"])
def test_an_answer_that_cant_be_read_is_an_error_and_never_nothing(
    script: Any, broker: Any, body: bytes
) -> None:
    script.then(*[script.answer(200, body)] * 6)
    for question in (broker.positions, broker.orders, broker.account, broker.calendar):
        with pytest.raises(BrokerError):
            question()


def test_a_timeout_ends_what_hangs(script: Any, impatient: Any) -> None:
    script.then(script.hang)
    begun = time.monotonic()
    with pytest.raises(BrokerError, match="no answer within 1 s"):
        impatient.account()
    assert time.monotonic() - begun < 20  # it hangs for 30


def test_loopback_passes_no_proxy(
    script: Any, broker_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    script.then(script.answer(200, []))
    assert broker_at(script.url).positions() == []


def test_alpaca_is_reached_through_the_proxy(
    broker_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter22@127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        asked: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        broker = broker_at(
            "https://broker.invalid", key_id="PKTEST", secret_key="s3cret-s3cret",
            request_timeout=2,
        )  # fmt: skip
        with pytest.raises(NotSent, match="the proxy refuses the connection") as caught:
            broker.order("x")
    assert asked[0].startswith(b"CONNECT broker.invalid:443")
    assert "s3cret" not in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_many_threads_share_a_broker(script: Any, broker: Any, order: Any, told: Any) -> None:
    """Each answer reaches the one who asked."""
    names = [f"smabot-sma-SPY-20260302T17{minute:02}Z-1" for minute in range(60)]

    script.otherwise = lambda request: script.answer(200, told(request.body["client_order_id"]))
    with ThreadPoolExecutor(8) as pool:
        updates = list(pool.map(lambda name: broker.submit(order(name)), names))
    assert [update.client_order_id for update in updates] == names
    assert len(script.requests) == len(names)


def test_connecting_imports_neither_pandas_nor_alpacas_models() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import smabot_alpaca.broker, smabot_alpaca.connection, sys;"
            "print(*{'pandas', 'numpy', 'alpaca.trading', 'alpaca.data'} & set(sys.modules))",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == ""


def test_the_plugin_costs_nothing_until_it_connects() -> None:
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import smabot_alpaca.plugin, sys; print(*{'alpaca', 'requests'} & set(sys.modules))",
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.strip() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's table of connections")
def test_a_kept_connection_is_kept_alive(script: Any, broker: Any) -> None:
    """Routers forget idle connections in silence; the next order would wait for its timeout."""
    script.then(script.answer(404, {"message": "order not found"}))
    assert broker.order("smabot-sma-SPY-20260302T1700Z-1") is None
    port = f":{int(script.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (timer,) = [row[5] for row in rows if row[2].endswith(port) and row[3] == "01"]
    kind, jiffies = timer.split(":")
    assert kind == "02"  # keepalive
    assert int(jiffies, 16) <= 60 * 100
