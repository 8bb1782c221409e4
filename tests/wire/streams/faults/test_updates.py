"""Faults of the trading stream, seen from a client."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus


def events(listener: Any, number: int) -> list[str]:
    return [listener.said["data"]["event"] for _ in range(number)]


def test_a_dropped_update(call: Any, fault: Any, trade_socket: Any, step: Any, count: Any) -> None:
    listener = trade_socket()
    fault("update_dropped", event="new")
    call.buy()
    assert step()["updates_sent"] == 1
    assert events(listener, 1) == ["fill"]
    assert count("update_dropped") == 1


def test_a_doubled_update(call: Any, fault: Any, trade_socket: Any, step: Any) -> None:
    listener = trade_socket()
    fault("update_doubled", event="fill")
    call.buy()
    assert step()["updates_sent"] == 3
    assert events(listener, 3) == ["new", "fill", "fill"]


def test_a_late_update(call: Any, fault: Any, trade_socket: Any, step: Any) -> None:
    listener = trade_socket()
    fault("update_late", event="fill", minutes=2)
    call.buy()
    assert [step()["updates_sent"] for _ in range(3)] == [1, 1, 2]
    assert events(listener, 2) == ["new", "fill"]


def test_updates_out_of_order(call: Any, fault: Any, trade_socket: Any, step: Any) -> None:
    listener = trade_socket()
    fault("update_swapped", event="new")
    call.buy()
    assert step()["updates_sent"] == 2
    assert events(listener, 2) == ["fill", "new"]


def test_an_update_that_nothing_overtakes_comes_a_minute_later(
    call: Any, fault: Any, trade_socket: Any, step: Any
) -> None:
    listener = trade_socket()
    fault("update_swapped", event="fill")
    call.buy()
    assert [step()["updates_sent"] for _ in range(2)] == [1, 2]
    assert events(listener, 2) == ["new", "fill"]


def test_a_fill_told_again_to_a_later_connection(
    call: Any, fault: Any, trade_socket: Any, step: Any
) -> None:
    first = trade_socket()
    fault("update_replayed", event="fill", minutes=2)
    call.buy()
    step()
    told = [first.said for _ in range(2)][1]
    second = trade_socket()
    assert step(2)["updates_sent"] == 1
    assert second.said == told
    assert told["data"]["execution_id"]


def test_an_event_that_nobody_knows(call: Any, fault: Any, trade_socket: Any) -> None:
    listener = trade_socket()
    fault("update_unknown", value="pondered")
    call.buy()
    update = listener.said["data"]
    assert (update["event"], update["order"]["status"]) == ("pondered", "new")


def test_a_mute_stream_comes_back_with_the_time_or_a_new_connection(
    call: Any, fault: Any, trade_socket: Any, step: Any
) -> None:
    listener = trade_socket()
    fault("mute", stream="trade", minutes=2, times=1)
    step()
    call.buy(client_order_id="swallowed")
    assert step()["updates_sent"] == 0
    listener.socket.ping().wait(60)
    step()
    call.buy(client_order_id="heard")
    assert listener.said["data"]["order"]["client_order_id"] == "heard"
    fault("mute", stream="trade", times=1)
    step()
    call.buy()
    other = trade_socket()
    assert step()["updates_sent"] == 1
    assert events(other, 1) == ["fill"]


def test_a_connection_lost_right_before_an_update(
    call: Any, fault: Any, trade_socket: Any, step: Any
) -> None:
    listener = trade_socket()
    fault("disconnect", stream="trade", at="update", nth=2)
    call.buy()
    assert step()["updates_sent"] is None
    assert events(listener, 1) == ["new"]
    with pytest.raises(ConnectionClosed) as closed:
        listener.socket.recv(timeout=60)
    assert closed.value.rcvd is None


def test_a_clean_end(fault: Any, trade_socket: Any, step: Any) -> None:
    listener = trade_socket()
    fault("disconnect", stream="trade", clean=True, code=1001)
    step()
    with pytest.raises(ConnectionClosed) as closed:
        listener.socket.recv(timeout=60)
    assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize("form", ["bytes", "text", "cut", "empty"])
def test_garbage_is_not_counted(
    call: Any, fault: Any, trade_socket: Any, step: Any, form: str
) -> None:
    listener = trade_socket()
    fault("garbage", stream="trade", form=form, times=1)
    assert step()["updates_sent"] == 0
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(listener.socket.recv(timeout=60))
    call.buy()
    assert events(listener, 1) == ["new"]


def test_an_unclean_drop_is_followed_by_too_many_connections(
    fault: Any, trade_socket: Any, step: Any, eventually: Any, place: Any
) -> None:
    listener = trade_socket()
    fault("refuse", stream="trade", seconds=0.5)
    listener.socket.close()
    eventually(lambda: not place.venue.broadcast.clients.trading)
    listener = trade_socket()
    listener.socket.socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: not place.venue.broadcast.clients.trading)
    with pytest.raises(InvalidStatus) as refused:
        trade_socket()
    assert refused.value.response.status_code == 429

    def connected() -> bool:
        try:
            trade_socket()
        except InvalidStatus:
            return False
        return True

    eventually(connected)


def test_faults_choose_by_symbol_id_time_and_number(
    call: Any, fault: Any, trade_socket: Any, step: Any, count: Any
) -> None:
    trade_socket()
    fault("update_dropped", name="by symbol", symbol="I*")
    fault("update_dropped", name="by id", client_order_id="x?")
    fault(
        "update_dropped", name="by time", since="2026-03-02T14:33:00Z", until="2026-03-02T14:34:00Z"
    )
    fault("update_dropped", name="third", event="fill", nth=3)
    call.buy(1, "IBM")
    call.buy(1, client_order_id="x1")
    assert step()["updates_sent"] == 0
    for name in "abcd":
        call.buy(1, client_order_id=name)
    step()
    call.buy(1, client_order_id="in time")
    step()
    struck = {name: count(name) for name in ("by symbol", "by id", "by time", "third")}
    assert struck == {"by symbol": 2, "by id": 2, "by time": 1, "third": 1}
