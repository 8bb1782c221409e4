"""`/v2/{feed}` as clients of Alpaca know it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed

from smabot_exchange.matching.account import AccountTerms
from smabot_exchange.streams.frames import JSON, LARGEST_FRAME, MSGPACK
from smabot_exchange.streams.stream_access import StreamLimits

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def test_alpacas_client_gets_every_channel(
    alpaca_data: Any, place: Any, step: Any, eventually: Any
) -> None:
    everything = ("*",)
    client = alpaca_data(
        bars=everything, updated_bars=everything, daily_bars=everything, trades=everything,
        quotes=("SPY",), trading_statuses=("IBM",),
    )  # fmt: skip
    assert step()["bars_sent"] == 2
    eventually(lambda: len(client.heard) == 8)
    kinds = [type(item).__name__ for item in client.heard]
    assert kinds == ["TradingStatus", "Trade", "Trade", "Quote", "Bar", "Bar", "Bar", "Bar"]
    ibm, spy = client.heard[4:6]
    assert (ibm.symbol, spy.symbol, spy.timestamp, spy.close) == ("IBM", "SPY", OPEN, 100)
    assert client.heard[6].timestamp == datetime(2026, 3, 2, 5, tzinfo=UTC)
    assert step()["bars_sent"] == 4


@pytest.mark.parametrize("packed", [True, False])
def test_a_minute_is_one_frame_of_the_bars_asked_for(
    data_socket: Any, step: Any, packed: bool
) -> None:
    client = data_socket(packed=packed)
    client.subscribe(bars=["SPY"])
    assert step()["bars_sent"] == 1
    (bar,) = client.said
    start = OPEN if packed else "2026-03-02T14:30:00Z"
    assert bar == {
        "T": "b", "S": "SPY", "t": start, "o": 100, "h": 100, "l": 100, "c": 100, "v": 100_000,
        "n": None, "vw": None,
    }  # fmt: skip


class TestWithASpread:
    @pytest.fixture
    def place(self, serve: Any) -> Any:
        return serve(terms=AccountTerms(half_spread=Decimal("0.05")))

    def test_quotes_show_it(self, data_socket: Any, call: Any) -> None:
        client = data_socket()
        client.subscribe(quotes=["SPY"])
        assert call("POST", "/_exchange/play").status_code == 200
        (quote,) = client.said
        assert (quote["T"], quote["bp"], quote["ap"]) == ("q", 99.95, 100.05)


def test_a_fragmented_message_is_read(place: Any, data_socket: Any, step: Any) -> None:
    client = data_socket(packed=True)
    message = msgpack.packb({"action": "subscribe", "bars": ["SPY", "IBM"]})
    client.socket.send([message[:5], message[5:], b""])
    assert client.said[0]["bars"] == ["IBM", "SPY"]


def test_acknowledgements_list_everything(data_socket: Any) -> None:
    client = data_socket()
    assert client.subscribe(trades=["SPY"], bars=["*"]) == {
        "T": "subscription", "trades": ["SPY"], "quotes": [], "bars": ["*"], "updatedBars": [],
        "dailyBars": [], "statuses": [], "lulds": [], "corrections": ["SPY"],
        "cancelErrors": ["SPY"],
    }  # fmt: skip
    more = client.subscribe(bars=["IBM"], quotes=["IBM"])
    assert (more["trades"], more["bars"], more["quotes"]) == (["SPY"], ["*", "IBM"], ["IBM"])
    (less,) = client.ask({"action": "unsubscribe", "bars": ["*"], "trades": ["SPY"]})
    assert (less["trades"], less["bars"]) == ([], ["IBM"])


@pytest.mark.parametrize("packed", [True, False])
def test_channels_that_are_not_there_are_empty_and_the_rest_works(
    data_socket: Any, step: Any, packed: bool
) -> None:
    client = data_socket(packed=packed)
    answer = client.subscribe(bars=["SPY"], imbalances=["SPY"], orderbooks=["*"])
    assert answer["T"] == "subscription"
    assert (answer["bars"], answer["imbalances"], answer["orderbooks"]) == (["SPY"], [], [])
    step()
    assert [bar["S"] for bar in client.said] == ["SPY"]


def test_what_was_unsubscribed_is_not_sent(data_socket: Any, step: Any) -> None:
    client = data_socket()
    client.subscribe(bars=["SPY", "IBM"])
    client.ask({"action": "unsubscribe", "bars": ["SPY"]})
    assert step()["bars_sent"] == 1
    assert [bar["S"] for bar in client.said] == ["IBM"]


def test_the_days_bar_adds_up_its_minutes(serve: Any, plain: Any, call_at: Any) -> None:
    place = serve({"SPY": [100.0, 101.0, 99.0]})
    call = call_at(place)
    call("POST", "/_exchange/play")
    keys = {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "the secret"}
    client = plain(f"{place.socket_url}/v2/sip", headers=keys)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    client.subscribe(dailyBars=["SPY"])
    call("POST", "/_exchange/play")
    assert client.said[0]["v"] == 200_000
    call("POST", "/_exchange/play")
    (day,) = client.said
    assert (day["T"], day["t"]) == ("d", "2026-03-02T05:00:00Z")
    assert (day["o"], day["h"], day["l"], day["c"], day["v"]) == (100, 101, 99, 99, 300_000)


def test_statuses_tell_of_open_and_close(serve: Any, plain: Any, call_at: Any) -> None:
    place = serve({"SPY": [100.0] * 3}, start=datetime(2026, 3, 2, 20, 57, tzinfo=UTC))
    call = call_at(place)
    keys = {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "the secret"}
    client = plain(f"{place.socket_url}/v2/iex", headers=keys)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    client.subscribe(statuses=["*"])
    while not call("POST", "/_exchange/play").json()["ended"]:
        pass
    opened, closed = client.said, client.said
    assert [(s["sc"], s["t"]) for s in opened] == [("T", "2026-03-02T20:57:00Z")]
    assert [(s["sc"], s["t"]) for s in closed] == [("H", "2026-03-02T21:00:00Z")]


def test_one_connection_a_key(data_socket: Any, eventually: Any, place: Any) -> None:
    first = data_socket()
    second = data_socket(auth=False, feed="sip")
    refusal = second.ask({"action": "auth", "key": "PKTEST", "secret": "the secret"})
    assert refusal == [{"T": "error", "code": 406, "msg": "connection limit exceeded"}]
    with pytest.raises(ConnectionClosed):
        second.socket.recv(timeout=60)
    first.socket.close()
    eventually(lambda: not place.venue.broadcast.clients.data)
    data_socket()


@pytest.mark.parametrize(
    "frame, code",
    [
        ("{", 400),
        ("7", 400),
        ('{"action": "dance"}', 400),
        ('{"action": "subscribe", "bars": "SPY"}', 400),
        ('{"action": "subscribe", "bars": [7]}', 400),
        ('{"action": "auth", "key": "PKTEST", "secret": "the secret"}', 403),
    ],
)
def test_errors_that_leave_the_connection(
    data_socket: Any, step: Any, frame: str, code: int
) -> None:
    client = data_socket()
    client.subscribe(bars=["SPY"])
    client.socket.send(frame)
    (error,) = client.said
    assert (error["T"], error["code"]) == ("error", code)
    step()
    assert client.said[0]["T"] == "b"


def test_errors_before_the_keys(data_socket: Any, serve: Any) -> None:
    client = data_socket(auth=False)
    assert client.ask({"action": "subscribe", "bars": ["SPY"]})[0]["code"] == 401
    assert client.ask({"action": "auth", "key": "PKTEST", "secret": "no"})[0]["code"] == 402
    with pytest.raises(ConnectionClosed):
        client.socket.recv(timeout=60)


def test_who_does_not_authenticate_in_time_is_shown_out(serve: Any, plain: Any) -> None:
    place = serve(stream_limits=StreamLimits(auth_seconds=0.05))
    client = plain(f"{place.socket_url}/v2/iex")
    assert client.said[0]["msg"] == "connected"
    assert client.said == [{"T": "error", "code": 404, "msg": "auth timeout"}]
    with pytest.raises(ConnectionClosed):
        client.socket.recv(timeout=60)


def test_limits_of_a_subscription(serve: Any, plain: Any) -> None:
    place = serve(stream_limits=StreamLimits(feeds=("iex",), symbols=2))
    keys = {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "the secret"}
    refused = plain(f"{place.socket_url}/v2/sip", headers=keys)
    assert refused.said[0]["msg"] == "connected"
    assert refused.said == [{"T": "error", "code": 409, "msg": "insufficient subscription"}]
    client = plain(f"{place.socket_url}/v2/iex", headers=keys)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    assert client.subscribe(bars=["SPY"], trades=["IBM"])["bars"] == ["SPY"]
    assert client.subscribe(bars=["MSFT"])["code"] == 405
    assert client.subscribe(bars=["*"])["bars"] == ["*", "SPY"]


def test_an_unknown_feed_is_no_stream(place: Any, plain: Any) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus):
        plain(f"{place.socket_url}/v2/orders")


def test_a_client_that_does_not_read_is_dropped(
    serve: Any, plain: Any, call_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_exchange.streams.connected_clients.SLOW_GRACE", 0.1)
    place = serve("simulated:symbols=400,sessions=1")
    call = call_at(place)
    keys = {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "the secret"}
    client = plain(f"{place.socket_url}/v2/iex", headers=keys, max_queue=1)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    client.subscribe(bars=["*"], trades=["*"], quotes=["*"])
    place.venue.broadcast.clients.data["PKTEST"]._most_queued_bytes = 1_000_000
    for _ in range(200):
        if call("POST", "/_exchange/play").json()["bars_sent"] is None:
            break
    assert place.venue.broadcast.clients.data == {}
    with pytest.raises(ConnectionClosed):
        list(client.socket)


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_frames_stay_below_what_clients_take(codec: Any) -> None:
    from smabot.domain.records import Bar
    from smabot_exchange.streams import frames

    bars = [
        Bar(
            f"SYM{n}",
            OPEN + timedelta(minutes=1),
            123.4567,
            130.0,
            110.1,
            125.55,
            1e6,
            12345,
            121.1,
        )
        for n in range(20_000)
    ]
    made = list(frames.frames(codec, ((frames.bar(codec, "b", bar), True) for bar in bars)))
    assert max(len(frame) for frame, _ in made) <= LARGEST_FRAME + 64
    assert sum(count for _, count in made) == len(bars)
    read = msgpack.unpackb if codec is MSGPACK else json.loads
    symbols = [bar["S"] for frame, _ in made for bar in read(frame)]
    assert symbols == [bar.symbol for bar in bars]
