"""The supervision of the streams, against a server that does exactly what a script says."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import msgpack
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from smabot.domain.calendar import Calendar
from smabot.domain.order_terms import Status
from smabot.domain.records import Bar
from smabot.errors import BrokerError, ConfigError
from smabot_alpaca.bar_json import BarDecoder
from smabot_alpaca.credentials import Credentials
from smabot_alpaca.endpoints import StreamAddress
from smabot_alpaca.streams.event_queue import (
    DATA,
    TRADE,
    BarsReceived,
    EventQueue,
    QueuedEvent,
    StreamDown,
    StreamFailed,
    StreamOpened,
    StreamUp,
    UpdateReceived,
)
from smabot_alpaca.streams.supervision import StreamSupervisor
from smabot_alpaca.streams.websockets import DataStream, TradeStream

DEADLINE = 60.0
SYMBOLS = ("KO", "SPY")
KEY = Credentials(SecretStr("key"), SecretStr("secret"), "the test")
Script = Callable[["Talk"], None]


class Talk:
    """One connection, as the server sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.heard: list[Any] = []

    def say(self, *messages: dict[str, Any]) -> None:
        self.connection.send(msgpack.packb(list(messages)))

    def hear(self) -> Any:
        data = self.connection.recv(timeout=DEADLINE)
        self.heard.append(json.loads(data) if isinstance(data, str) else msgpack.unpackb(data))
        return self.heard[-1]

    def error(self, code: int, words: str) -> None:
        self.say({"T": "error", "code": code, "msg": words})

    def welcome(self) -> None:
        self.say({"T": "success", "msg": "connected"})
        self.hear()

    def subscribe(self, leave_out: Sequence[str] = ()) -> None:
        self.welcome()
        self.say({"T": "success", "msg": "authenticated"})
        wanted = self.hear()
        bars = [symbol for symbol in wanted["bars"] if symbol not in leave_out]
        self.say({"T": "subscription", "bars": bars, "updatedBars": bars})

    def trade(self) -> None:
        self.hear()
        self.tell("authorization", {"status": "authorized", "action": "authenticate"})
        self.hear()
        self.tell("listening", {"streams": ["trade_updates"]})

    def tell(self, stream: str, data: dict[str, Any]) -> None:
        self.connection.send(json.dumps({"stream": stream, "data": data}).encode())

    def linger(self) -> None:
        with suppress(ConnectionClosed, TimeoutError):
            self.connection.recv(timeout=DEADLINE)


class Server:
    """Plays a script for each connection, the last one again and again."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.scripts = scripts
        self.talks: list[Talk] = []
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None)
        port = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _serve(self, connection: ServerConnection) -> None:
        talk = Talk(connection)
        self.talks.append(talk)
        script = self.scripts[min(len(self.talks), len(self.scripts)) - 1]
        with suppress(ConnectionClosed, TimeoutError):
            script(talk)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(DEADLINE)


class Client:
    """The streams under test, and what they left in the event queue."""

    def __init__(self, streams: Callable[[EventQueue], Sequence[Any]]) -> None:
        self.queue = EventQueue()
        self.streams = StreamSupervisor(streams(self.queue))
        self.events: list[QueuedEvent] = []
        self.streams.start()

    def wait(self, enough: Callable[[list[QueuedEvent]], object]) -> list[QueuedEvent]:
        deadline = time.monotonic() + DEADLINE
        while not enough(self.events):
            assert time.monotonic() < deadline, self.events
            self.queue.wait_for_events(0.1)
            self.events += self.queue.drain()
        return self.events

    def wait_for(self, kind: type, times: int = 1) -> Any:
        self.wait(lambda events: sum(type(event) is kind for event in events) >= times)
        return [event for event in self.events if type(event) is kind][times - 1]


@pytest.fixture
def data(calendar: Calendar) -> Iterator[Callable[..., tuple[Server, Client]]]:
    """A data stream and its server."""
    with ExitStack() as stack:

        def data(
            *scripts: Script,
            symbols: Sequence[str] = SYMBOLS,
            url: str = "",
            loopback: bool = True,
        ) -> tuple[Server, Client]:
            server = Server(scripts)
            stack.callback(server.close)

            def stream(events: EventQueue) -> list[DataStream]:
                address = StreamAddress(url or server.url, KEY, loopback)
                return [DataStream(events, address, symbols, BarDecoder(calendar))]

            client = Client(stream)
            stack.callback(client.streams.close)
            return server, client

        yield data


@pytest.fixture
def trade() -> Iterator[Callable[..., tuple[Server, Client]]]:
    """A trade stream and its server."""
    with ExitStack() as stack:

        def trade(*scripts: Script) -> tuple[Server, Client]:
            server = Server(scripts)
            stack.callback(server.close)
            address = StreamAddress(server.url, KEY, True)
            client = Client(lambda events: [TradeStream(events, address)])
            stack.callback(client.streams.close)
            return server, client

        yield trade


def good(talk: Talk) -> None:
    talk.subscribe()
    talk.linger()


def test_everything_is_subscribed_in_one_message(data: Any) -> None:
    symbols = [f"SYMBOL{number}" for number in range(5000)]
    server, client = data(good, symbols=symbols)
    assert client.wait_for(StreamUp) == StreamUp(DATA)
    auth, subscription = server.talks[0].heard
    assert auth == {"action": "auth", "key": "key", "secret": "secret"}
    assert subscription == {"action": "subscribe", "bars": symbols, "updatedBars": symbols}


def test_bars_are_counted_as_they_came(
    data: Any, make_bar: Callable[..., Bar], on_the_wire: Callable[..., dict[str, Any]]
) -> None:
    spy, ko = make_bar("SPY", "2026-11-25 09:30"), make_bar("KO", "2026-11-25 09:30")
    late = make_bar("KO", "2026-11-25 16:00")

    def send(talk: Talk) -> None:
        talk.subscribe()
        talk.say(on_the_wire(spy), on_the_wire(ko), on_the_wire(late), on_the_wire(spy, "u"))
        talk.linger()

    _, client = data(send)
    came = client.wait_for(BarsReceived)
    assert (came.bars, came.revisions) == ([spy, ko], [spy])
    assert came.counted == 3


@pytest.mark.parametrize("code, words", [(402, "auth failed"), (401, "not authenticated")])
def test_a_refused_key_ends_it(data: Any, code: int, words: str) -> None:
    def refuse(talk: Talk) -> None:
        talk.welcome()
        talk.error(code, words)
        talk.linger()

    server, client = data(refuse)
    broken = client.wait_for(StreamFailed)
    assert isinstance(broken.error, BrokerError)
    assert words in str(broken.error)
    assert "secret" not in str(broken.error)
    assert len(server.talks) == 1


def test_a_key_that_was_good_before_is_tried_again_and_told_of(data: Any) -> None:
    """How long is core's to say: who checks keys may be out of order, as any part of it."""

    def drop(talk: Talk) -> None:
        talk.subscribe()

    def refuse(talk: Talk) -> None:
        talk.welcome()
        talk.error(402, "auth failed")
        talk.linger()

    server, client = data(drop, *[refuse] * 4, good)
    client.wait_for(StreamUp, 2)
    refused = [e for e in client.events if isinstance(e, StreamDown) and e.key_refused]
    assert len(refused) == 4
    assert len(server.talks) == 6


@pytest.mark.parametrize(
    "code, words",
    [(406, "connection limit exceeded"), (404, "auth timeout"), (500, "internal error")],
)
def test_other_refusals_are_tried_again(data: Any, code: int, words: str) -> None:
    def refuse(talk: Talk) -> None:
        talk.welcome()
        talk.error(code, words)

    server, client = data(refuse, refuse, refuse, good)
    client.wait_for(StreamUp)
    downs = [event for event in client.events if isinstance(event, StreamDown)]
    assert downs == [StreamDown(DATA, words)] * 3
    assert len(server.talks) == 4


def test_symbols_that_are_refused_are_named_at_the_start(data: Any) -> None:
    def limit(talk: Talk) -> None:
        talk.welcome()
        talk.say({"T": "success", "msg": "authenticated"})
        talk.hear()
        talk.error(405, "symbol limit exceeded")
        talk.linger()

    error = data(limit)[1].wait_for(StreamFailed).error
    assert isinstance(error, ConfigError)
    assert "405 symbol limit exceeded" in str(error)


def test_a_symbol_that_is_left_out_is_named(data: Any) -> None:
    error = (
        data(lambda talk: (talk.subscribe(["SPY"]), talk.linger()))[1].wait_for(StreamFailed).error
    )
    assert isinstance(error, ConfigError)
    assert "takes 1 of 2 symbols and leaves out SPY" in str(error)


def test_a_plan_that_does_not_allow_the_feed_ends_it(data: Any) -> None:
    def refuse(talk: Talk) -> None:
        talk.welcome()
        talk.error(409, "insufficient subscription")
        talk.linger()

    broken = data(refuse)[1].wait_for(StreamFailed)
    assert "refuses this feed" in str(broken.error)


def test_garbage_replaces_the_connection(data: Any) -> None:
    def garbage(talk: Talk) -> None:
        talk.subscribe()
        talk.connection.send(b"\xc1 garbage")
        talk.linger()

    server, client = data(garbage, good)
    client.wait_for(StreamUp, 2)
    assert "malformed data" in client.wait_for(StreamDown).why
    assert len(server.talks) == 2


def test_events_follow_the_states_of_the_stream(data: Any) -> None:
    def malformed(talk: Talk) -> None:
        talk.subscribe()
        talk.connection.send(b"\xc1")
        talk.linger()

    def refuse(talk: Talk) -> None:
        talk.welcome()
        talk.error(406, "connection limit exceeded")

    def limit(talk: Talk) -> None:
        talk.welcome()
        talk.error(409, "insufficient subscription")

    _, client = data(refuse, malformed, good, limit)
    client.wait_for(StreamUp, 2)
    client.streams.reconnect(DATA, "it is stale")
    client.wait_for(StreamFailed)
    assert [type(event) for event in client.events] == [
        StreamOpened, StreamDown, StreamOpened, StreamUp, StreamDown, StreamOpened, StreamUp,
        StreamDown, StreamOpened, StreamFailed,
    ]  # fmt: skip


def test_a_server_that_drops_everybody_is_not_stormed(data: Any) -> None:
    server, client = data(Talk.subscribe)
    client.wait_for(StreamDown, 3)
    before, begun = len(server.talks), time.monotonic()
    client.wait(lambda _: time.monotonic() - begun > 2)
    more, seconds = len(server.talks) - before, time.monotonic() - begun
    assert more < 12.5 * seconds


def test_a_connection_that_is_not_trusted_is_replaced(data: Any) -> None:
    server, client = data(good)
    client.wait_for(StreamUp)
    client.streams.reconnect(DATA, "it is stale")
    client.wait_for(StreamUp, 2)
    assert client.wait_for(StreamDown) == StreamDown(DATA, "it is stale")
    assert len(server.talks) == 2


def test_nobody_listens_there(data: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"
    _, client = data(good, url=url)
    client.wait_for(StreamDown, 2)
    begun = time.monotonic()
    client.streams.close()
    assert time.monotonic() - begun < DEADLINE


def test_it_ends_quickly_whatever_it_is_at(data: Any) -> None:
    _, client = data(Talk.linger)  # a server that never says a word
    client.queue.wait_for_events(0.2)
    begun = time.monotonic()
    client.streams.close()
    assert time.monotonic() - begun < DEADLINE
    assert not any(thread.name == "alpaca-streams" for thread in threading.enumerate())


def test_the_key_is_in_no_log(
    data: Any, trade: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "alpaca"):
        caplog.set_level(logging.DEBUG, logger=name)
    _, client = data(good)
    client.wait_for(StreamUp)
    _, client = trade(lambda talk: (talk.trade(), talk.linger()))
    client.wait_for(StreamUp)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets.server")]
    assert ours
    assert not any("secret" in line.replace("secret_key", "") for line in ours)


def test_a_bug_does_not_end_it_in_silence(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: DataStream, error: BaseException) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(DataStream, "_final_error", broken)
    broken_stream = data(Talk.subscribe)[1].wait_for(StreamFailed)
    assert "a bug" in str(broken_stream.error)


ORDER = {
    "id": "b1", "client_order_id": "smabot-1", "symbol": "SPY", "qty": "5", "filled_qty": "5",
    "filled_avg_price": "660.1", "side": "buy", "type": "market", "order_type": "market",
    "time_in_force": "day", "status": "filled", "created_at": "2026-11-25T15:00:00Z",
    "submitted_at": "2026-11-25T15:00:00Z", "updated_at": "2026-11-25T15:00:01.123456789Z",
    "filled_at": "2026-11-25T15:00:01.123456789Z",
}  # fmt: skip


def test_updates_of_orders(trade: Any) -> None:
    def send(talk: Talk) -> None:
        talk.trade()
        talk.tell("trade_updates", {"event": "fill", "order": ORDER})
        odd = {**ORDER, "status": "odd", "filled_qty": "0"}
        talk.tell("trade_updates", {"event": "who knows", "order": odd})
        talk.linger()

    _, client = trade(send)
    assert client.wait_for(StreamUp) == StreamUp(TRADE)
    assert client.wait_for(UpdateReceived).update.status is Status.FILLED
    assert not client.wait_for(UpdateReceived, 2).update.status.terminal


def test_a_refused_key_of_the_trade_stream(trade: Any) -> None:
    def refuse(talk: Talk) -> None:
        talk.hear()
        talk.tell("authorization", {"status": "unauthorized", "action": "authenticate"})
        talk.linger()

    server, client = trade(refuse)
    assert isinstance(client.wait_for(StreamFailed).error, BrokerError)
    assert len(server.talks) == 1


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b'"x"', b'{"stream":"trade_updates"}', b'{"stream":"trade_updates","data":{}}',
     b'{"stream":"trade_updates","data":{"order":{}}}', b"\xff\xfe"],
)  # fmt: skip
def test_garbage_on_the_trade_stream(trade: Any, frame: bytes) -> None:
    def garbage(talk: Talk) -> None:
        talk.trade()
        talk.connection.send(frame)
        talk.linger()

    def well(talk: Talk) -> None:
        talk.trade()
        talk.linger()

    server, client = trade(garbage, well)
    client.wait_for(StreamUp, 2)
    assert client.wait_for(StreamDown).why.startswith("malformed data")
    assert len(server.talks) == 2


class Pipe:
    """Passes bytes on; where a connection is blocked it stays, and nothing passes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.blocks: list[threading.Event] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                block = threading.Event()
                self.blocks.append(block)
                self._sockets += [near, far]
                for way in ((near, far, block), (far, near, block)):
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, block: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if not block.is_set():
                    sink.sendall(data)

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()


@pytest.mark.slow
def test_a_peer_that_went_mute_is_noticed_by_pings(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smabot_alpaca.streams.supervision.LOOPBACK_PING_SECONDS", 1)
    monkeypatch.setattr("smabot_alpaca.streams.supervision.LOOPBACK_PONG_SECONDS", 3)
    server, _ = data(good)
    pipe = Pipe(int(server.url.rpartition(":")[2]))
    try:
        _, client = data(good, url=pipe.url)
        client.wait_for(StreamUp)
        pipe.blocks[0].set()
        client.wait_for(StreamDown)
        client.wait_for(StreamUp, 2)
    finally:
        pipe.close()
