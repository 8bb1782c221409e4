"""`/stream` as clients of Alpaca know it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from smabot.domain.order_terms import Side
from smabot_exchange.matching.orders import OrderRequest
from smabot_exchange.streams.stream_access import StreamLimits

LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


def test_alpacas_client_hears_of_an_order_from_birth_to_fill(
    alpaca_trading: Any, call: Any, step: Any, eventually: Any
) -> None:
    sent = call.buy(10, client_order_id="one")
    played = step()
    assert played["updates_sent"] == 2
    eventually(lambda: len(alpaca_trading.heard) == 2)
    new, fill = alpaca_trading.heard
    assert (new.event, new.order.status) == ("new", "new")
    assert new.execution_id is None
    assert (fill.event, fill.qty, fill.price, fill.position_qty) == ("fill", 10, 100, 10)
    assert fill.execution_id is not None
    assert fill.order.client_order_id == "one"
    assert str(fill.order.id) == sent["id"]
    assert fill.order.status == "filled"


def test_it_hears_of_changes_whoever_caused_them(
    place: Any, trade_socket: Any, call: Any, step: Any
) -> None:
    listener = trade_socket()
    place.exchange.submit(OrderRequest("SPY", Side.BUY, Decimal(1), client_order_id="foreign"))
    assert listener.said["data"]["order"]["client_order_id"] == "foreign"
    waiting = call.buy(1, "IBM", type="limit", limit_price=10, client_order_id="mine")
    assert listener.said["data"]["event"] == "new"
    call("DELETE", f"/v2/orders/{waiting['id']}")
    canceled = listener.said["data"]
    assert (canceled["event"], canceled["order"]["id"]) == ("canceled", waiting["id"])
    call.buy(1, "IBM", type="limit", limit_price=10, client_order_id="for the day")
    assert listener.said["data"]["event"] == "new"
    step()
    assert listener.said["data"]["event"] == "fill"
    while not step()["ended"]:
        pass
    assert listener.said["data"]["event"] == "expired"


def test_frames_are_binary_and_hold_json(trade_socket: Any, call: Any) -> None:
    listener = trade_socket()
    call.buy()
    assert isinstance(listener.socket.recv(timeout=60), bytes)


def test_an_order_in_an_update_is_shaped_as_by_rest(trade_socket: Any, call: Any) -> None:
    listener = trade_socket()
    sent = call.buy()
    update = listener.said["data"]
    assert update["order"] == call.get(f"/v2/orders/{sent['id']}")
    assert set(update) == {"event", "timestamp", "order"}


def test_listening_twice_changes_nothing(trade_socket: Any, call: Any, step: Any) -> None:
    listener = trade_socket()
    for _ in range(2):
        answer = listener.ask(LISTEN)
        assert answer == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
    call.buy()
    assert step()["updates_sent"] == 2
    assert [listener.said["data"]["event"] for _ in range(2)] == ["new", "fill"]


def test_unknown_streams_are_left_out_and_none_ends_the_listening(
    trade_socket: Any, call: Any, step: Any
) -> None:
    listener = trade_socket()
    answer = listener.ask({"action": "listen", "data": {"streams": ["trade_updates", "weather"]}})
    assert answer["data"]["streams"] == ["trade_updates"]
    assert listener.ask({"action": "listen", "data": {"streams": []}})["data"]["streams"] == []
    call.buy()
    assert step()["updates_sent"] == 0


def test_several_may_listen_and_the_newest_is_counted(
    trade_socket: Any, call: Any, step: Any
) -> None:
    first = trade_socket()
    call.buy()
    second = trade_socket()
    assert step()["updates_sent"] == 1
    assert [first.said["data"]["event"] for _ in range(2)] == ["new", "fill"]
    assert second.said["data"]["event"] == "fill"


@pytest.mark.parametrize(
    "message, action",
    [
        (
            {"action": "authenticate", "data": {"key_id": "PKTEST", "secret_key": "no"}},
            "authenticate",
        ),
        ({"action": "authenticate"}, "authenticate"),
        (LISTEN, "listen"),
    ],
)
def test_without_the_keys_it_is_unauthorized(trade_socket: Any, message: Any, action: str) -> None:
    answer = trade_socket(auth=False).ask(message)
    assert answer == {
        "stream": "authorization",
        "data": {"status": "unauthorized", "action": action},
    }


@pytest.mark.parametrize("frame", ["{", "[]", "7", '{"action": "dance"}', b"\xff", '{"action":[]}'])
def test_what_is_no_message_ends_the_connection(trade_socket: Any, frame: Any) -> None:
    client = trade_socket()
    client.socket.send(frame)
    with pytest.raises(ConnectionClosed):
        client.socket.recv(timeout=60)


def test_who_does_not_authenticate_in_time_is_shown_out(serve: Any, plain: Any) -> None:
    place = serve(stream_limits=StreamLimits(auth_seconds=0.05))
    client = plain(f"{place.socket_url}/stream")
    with pytest.raises(ConnectionClosed) as closed:
        client.socket.recv(timeout=60)
    assert closed.value.rcvd.reason == "auth timeout"


def test_who_does_stays(serve: Any, plain: Any, call_at: Any) -> None:
    place = serve(stream_limits=StreamLimits(auth_seconds=2))
    client = plain(f"{place.socket_url}/stream")
    client.ask({"action": "auth", "key": "PKTEST", "secret": "the secret"})
    with pytest.raises(TimeoutError):
        client.socket.recv(timeout=2.5)
    client.ask(LISTEN)
    call_at(place).buy()
    assert client.said["data"]["event"] == "new"


def test_a_slash_at_the_end_changes_nothing(place: Any, plain: Any) -> None:
    client = plain(f"{place.socket_url}/stream/")
    login = {"key_id": "PKTEST", "secret_key": "the secret"}
    assert client.ask({"action": "authenticate", "data": login})["data"]["status"] == "authorized"
    assert plain(f"{place.socket_url}/v2/iex/").said == [{"T": "success", "msg": "connected"}]


def test_msgpack_for_who_asks_for_it(
    place: Any, plain: Any, trade_socket: Any, call: Any, step: Any
) -> None:
    packed = plain(f"{place.socket_url}/stream", headers={"Content-Type": "application/msgpack"})
    login = {"key_id": "PKTEST", "secret_key": "the secret"}
    answer = packed.ask({"action": "authenticate", "data": login})
    assert answer == {
        "stream": "authorization",
        "data": {"status": "authorized", "action": "authenticate"},
    }
    assert packed.ask(LISTEN)["data"]["streams"] == ["trade_updates"]
    plain_one = trade_socket()
    call.buy(2)
    step()
    for _ in range(2):
        assert packed.said == plain_one.said


def test_unlisten_ends_the_updates_and_not_the_connection(
    trade_socket: Any, call: Any, step: Any
) -> None:
    listener = trade_socket()
    answer = listener.ask({"action": "unlisten", "data": {"streams": ["trade_updates"]}})
    assert answer == {"stream": "listening", "data": {"streams": []}}
    call.buy()
    assert step()["updates_sent"] == 0
    assert listener.ask(LISTEN)["data"]["streams"] == ["trade_updates"]
    other = listener.ask({"action": "unlisten", "data": {"streams": ["weather"]}})
    assert other["data"]["streams"] == ["trade_updates"]
