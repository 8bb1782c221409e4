"""Faults of market data, and what others do to the account."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed


def bars(client: Any) -> list[tuple[str, str, str]]:
    """A frame's bars: kind, symbol, minute."""
    return [(bar["T"], bar["S"], bar["t"][11:16]) for bar in client.said]


@pytest.fixture
def listener(data_socket: Any) -> Any:
    client = data_socket()
    client.subscribe(bars=["*"], updatedBars=["*"])
    return client


def test_a_bar_that_is_not_sent_is_there_by_rest(
    call: Any, fault: Any, listener: Any, step: Any
) -> None:
    fault("bar_missing", symbol="IBM", times=1)
    assert [step()["bars_sent"] for _ in range(2)] == [1, 3]
    assert bars(listener) == [("b", "SPY", "14:30")]
    found = call.get("/v2/stocks/bars", symbols="IBM", timeframe="1Min", start="2026-03-02")
    assert [bar["t"][11:16] for bar in found["bars"]["IBM"]] == ["14:30", "14:31"]


def test_a_missing_minute(fault: Any, listener: Any, step: Any, count: Any) -> None:
    fault("minute_missing", nth=2)
    assert [step()["bars_sent"] for _ in range(3)] == [2, 2, 4]
    assert [bars(listener)[0][2] for _ in range(2)] == ["14:30", "14:32"]
    assert count("minute_missing") == 1


def test_a_late_bar(fault: Any, listener: Any, step: Any) -> None:
    fault("bar_late", symbol="SPY", minutes=1, times=1)
    assert [step()["bars_sent"] for _ in range(2)] == [1, 4]
    assert bars(listener) == [("b", "IBM", "14:30")]
    assert bars(listener) == [("b", "SPY", "14:30"), ("b", "IBM", "14:31"), ("b", "SPY", "14:31")]


def test_a_revised_bar(fault: Any, listener: Any, step: Any) -> None:
    fault("bar_revised", symbol="SPY", change=0.01, times=1)
    assert [step()["bars_sent"] for _ in range(2)] == [2, 4]
    assert len(bars(listener)) == 2
    revised = listener.said[0]
    assert (revised["T"], revised["S"], revised["t"]) == ("u", "SPY", "2026-03-02T14:30:00Z")
    assert (revised["c"], revised["h"], revised["l"], revised["v"]) == (101, 101, 100, 101_000)


def test_a_mute_socket(fault: Any, listener: Any, step: Any) -> None:
    fault("mute", minutes=2, nth=2)
    assert [step()["bars_sent"] for _ in range(4)] == [2, 2, 2, 4]
    listener.socket.ping().wait(60)
    assert [bars(listener)[0][2] for _ in range(2)] == ["14:30", "14:33"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_lost_connection(fault: Any, listener: Any, step: Any, clean: bool) -> None:
    fault("disconnect", clean=clean)
    assert step()["bars_sent"] is None
    with pytest.raises(ConnectionClosed) as closed:
        listener.socket.recv(timeout=60)
    assert (closed.value.rcvd is not None) is clean


@pytest.mark.parametrize("form", ["bytes", "text", "cut", "empty"])
def test_garbage(fault: Any, data_socket: Any, step: Any, form: str) -> None:
    client = data_socket(packed=True)
    client.subscribe(bars=["SPY"])
    fault("garbage", form=form, times=1)
    assert step()["bars_sent"] == 1
    frame = client.socket.recv(timeout=60)
    with pytest.raises((ValueError, msgpack.UnpackException)):
        msgpack.unpackb(frame if isinstance(frame, bytes) else frame.encode())
    assert client.said[0]["S"] == "SPY"


def test_an_unclean_drop_is_followed_by_406(
    fault: Any, data_socket: Any, listener: Any, step: Any, eventually: Any, place: Any
) -> None:
    fault("refuse", seconds=0.5)
    fault("disconnect", nth=1)
    step()
    answer = {"action": "auth", "key": "PKTEST", "secret": "the secret"}
    assert data_socket(auth=False).ask(answer)[0]["code"] == 406
    eventually(lambda: data_socket(auth=False).ask(answer)[0].get("msg") == "authenticated")


def test_somebody_elses_order_and_shares(
    call: Any, fault: Any, step: Any, client_order_ids: Any
) -> None:
    fault("foreign_order", symbol="SPY", qty=3, client_order_id="other-1", nth=2)
    fault("foreign_position", symbol="IBM", qty=7, price=50)
    step()
    assert client_order_ids() == []
    assert [(p["symbol"], p["qty"]) for p in call.get("/v2/positions")] == [("IBM", "7")]
    step()
    assert client_order_ids() == ["other-1"]
    step()
    held = {p["symbol"]: p["qty"] for p in call.get("/v2/positions")}
    assert held == {"IBM": "7", "SPY": "3"}


def test_the_same_by_call(call: Any, step: Any) -> None:
    order = call("POST", "/_exchange/orders", json={"symbol": "SPY", "qty": "2"}).json()
    assert order["status"] == "pending_new"
    shares = call("POST", "/_exchange/positions", json={"symbol": "IBM", "qty": 4}).json()
    assert shares == {"symbol": "IBM", "qty": "4"}
    for path in ("orders", "positions"):
        for body in ({"symbol": "NONE", "qty": 1}, {"symbol": "SPY"}, {"smbol": "SPY"}, []):
            refused = call("POST", f"/_exchange/{path}", json=body)
            assert refused.status_code in (404, 422) or (path, body) == (
                "orders",
                {"symbol": "SPY"},
            )
