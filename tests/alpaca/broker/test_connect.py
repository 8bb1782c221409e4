"""Where the bot trades, as settings and keys decide it."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from smabot.errors import BrokerError, ConfigError
from smabot.settings.model import Config
from smabot.system.redaction import Redactor
from smabot_alpaca import endpoints
from smabot_alpaca.broker import AlpacaBroker
from smabot_alpaca.connection import AlpacaConnection, connect
from smabot_alpaca.plugin import AlpacaPlugin
from smabot_alpaca.settings import AlpacaSettings

PAPER = {"APCA_API_KEY_ID": "PKTEST", "APCA_API_SECRET_KEY": "secret"}
LIVE = {"APCA_API_KEY_ID": "AKTEST", "APCA_API_SECRET_KEY": "secret"}
NONE = AlpacaSettings()
STEPPED = {
    "name": "smabot exchange", "clock": "stepped", "time": "2026-03-02T14:30:00Z",
    "account_id": "x", "progress": [0, 780], "ended": False, "notes": [], "faults": {},
}  # fmt: skip


def config_of(**values: Any) -> Config:
    return Config(broker="alpaca", **values)


def open_up(config: Config, environ: dict[str, str]) -> AlpacaConnection:
    connection = connect(config, NONE, environ)
    connection.add_user("test")
    connection.remove_user("test")
    return connection


def test_a_paper_key_trades_on_paper() -> None:
    connection = open_up(config_of(), PAPER)
    assert connection.endpoints == endpoints.Endpoints(
        trading="https://paper-api.alpaca.markets",
        data="https://data.alpaca.markets",
        trading_stream="wss://paper-api.alpaca.markets/stream",
        data_stream="wss://stream.data.alpaca.markets/v2/iex",
    )
    assert (connection.name, connection.stepped) == ("alpaca", False)
    assert AlpacaBroker(connection).lookups == (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)


def test_a_live_key_trades_live() -> None:
    connection = open_up(config_of(live=True), LIVE)
    assert connection.endpoints.trading == "https://api.alpaca.markets"
    assert connection.endpoints.trading_stream == "wss://api.alpaca.markets/stream"
    assert connection.endpoints.data == "https://data.alpaca.markets"


def test_a_key_without_a_known_kind_is_left_to_alpaca() -> None:
    environ = {"APCA_API_KEY_ID": "CKTEST", "APCA_API_SECRET_KEY": "secret"}
    assert "paper" in open_up(config_of(), environ).endpoints.trading


@pytest.mark.parametrize(
    ("values", "environ", "said"),
    [
        ({"live": True}, {}, "--live needs a live account's API key: set APCA_API_KEY_ID"),
        ({"live": True, "url": "http://127.0.0.1:1"}, LIVE, "leave out --url"),
        ({"live": True, "data": "simulated"}, LIVE, "leave out --data"),
        ({"url": "http://127.0.0.1:1", "data": "simulated"}, {}, "--url and --data"),
        ({"url": "https://broker.example"}, {}, "needs an API key"),
        ({"url": "http://broker.example"}, PAPER, "unencrypted: use https"),
        ({"url": "http://192.168.1.7:80"}, PAPER, "unencrypted: use https"),
        ({"url": "ftp://127.0.0.1"}, PAPER, "is not an address"),
        ({"url": "127.0.0.1:8100"}, PAPER, "is not an address"),
        ({"url": "http://127.0.0.1:8100/v2"}, PAPER, "has extra parts"),
        ({"url": "http://127.0.0.1:port"}, PAPER, "127.0.0.1:port"),
        ({"url": "http://[::1"}, PAPER, "::1"),
        ({"url": ""}, PAPER, "is not an address"),
    ],
)
def test_what_contradicts_itself_is_one_clear_error(
    values: dict[str, Any], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(config_of(**values), NONE, environ)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_url_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="holds a name or password") as caught:
        connect(config_of(url="http://me:hunter22@127.0.0.1:1"), NONE, {})
    assert "hunter22" not in str(caught.value)
    assert Redactor()(str(caught.value)) == str(caught.value)


def test_nobody_at_the_address_is_told_with_what_to_look_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BrokerError, match=r"can't be reached: .*is `smabot exchange serve` run"):
        connect(config_of(url=f"http://127.0.0.1:{port}"), NONE, {})


def test_a_server_of_something_else_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    files = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with pytest.raises(BrokerError, match=r": 404 .*is `smabot exchange serve` running"):
                connect(config_of(url=f"http://127.0.0.1:{server.server_port}"), NONE, {})
        finally:
            server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1:81", "localhost:81", "[::1]:81", "127.9.9.9"])
def test_all_apis_are_at_a_given_address(host: str) -> None:
    found = endpoints.at(f"http://{host}/", "sip")
    assert found == endpoints.Endpoints(
        f"http://{host}", f"http://{host}", f"ws://{host}/stream", f"ws://{host}/v2/sip",
        loopback=True,
    )  # fmt: skip


def test_an_encrypted_address_may_be_anywhere() -> None:
    found = endpoints.at("https://broker.example", "iex")
    assert found.data_stream == "wss://broker.example/v2/iex"
    assert not found.loopback


def test_an_exchange_of_smabot_tells_its_clock(script: Any) -> None:
    script.exchange = STEPPED
    connection = open_up(config_of(url=script.url), {})
    assert (connection.name, connection.stepped) == ("exchange", True)
    assert AlpacaBroker(connection).lookups[-1] <= 1
    assert f"{connection.clock.now():%Y-%m-%dT%H:%M}" == "2026-03-02T14:30"
    script.exchange = {**STEPPED, "clock": "paced"}
    assert not open_up(config_of(url=script.url), {}).stepped


def test_a_server_of_somebody_else_is_taken_for_alpaca(script: Any) -> None:
    connection = open_up(config_of(url=script.url), {})
    assert (connection.name, connection.stepped, connection.exchange) == ("alpaca", False, None)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"clock": "stepped"},
        {"clock": "stepped", "time": "noon"},
        {"clock": "stepped", "time": 17},
        {"hello": "world"},
    ],
)
def test_an_exchange_that_makes_no_sense_is_an_error(script: Any, told: dict[str, str]) -> None:
    script.exchange = {**told, "more": 1}
    with pytest.raises(BrokerError, match="does not answer as an exchange"):
        connect(config_of(url=script.url), NONE, {})


def test_nobody_there_is_one_clear_error(script: Any) -> None:
    script.close()
    with pytest.raises(BrokerError, match=r"can't be reached: .*refused") as caught:
        connect(config_of(url=script.url), NONE, {})
    assert caught.value.exit_code == 4


def test_loopback_needs_no_key_of_ones_own(script: Any) -> None:
    script.exchange = None
    broker = AlpacaBroker(connect(config_of(url=script.url), NONE, {}))
    script.then(script.answer(200, []))
    broker.positions()
    broker.close()
    assert script.requests[0].headers["apca-api-key-id"] == "PKSMABOT"


# -- the embedded exchange -------------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[AlpacaConnection]:
    pytest.importorskip("smabot_exchange")
    config = config_of(db=tmp_path / "trades.db", data="simulated:symbols=1,sessions=1")
    connection = connect(config, NONE, PAPER)
    yield connection
    connection.remove_user(None)


def test_a_tape_is_played_by_an_exchange_of_its_own_though_there_is_a_key(
    embedded: AlpacaConnection,
) -> None:
    assert embedded.endpoints.loopback
    assert (embedded.name, embedded.stepped) == ("exchange", True)


def test_the_embedded_exchange_ends_with_the_last_of_its_users(embedded: AlpacaConnection) -> None:
    broker, feed = AlpacaBroker(embedded), object()
    embedded.add_user(feed)
    broker.close()
    assert not embedded.closed
    assert embedded.rest.trading("GET", "/_exchange")["clock"] == "stepped"
    embedded.remove_user(feed)
    assert embedded.closed
    with pytest.raises(BrokerError):
        embedded.rest.trading("GET", "/_exchange")


def test_without_the_exchange_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smabot_exchange.embedded", None)
    with pytest.raises(ConfigError, match=r"install smabot-exchange, or.*APCA_API_KEY_ID"):
        connect(config_of(), NONE, {})


# -- the plugin ------------------------------------------------------------------------------------


def test_the_plugin_steps_aside_for_another_broker() -> None:
    plugin = AlpacaPlugin(NONE)
    assert plugin.open_broker(Config(broker="exchange")) is None
    assert plugin.open_feed(Config(broker="exchange")) is None


@pytest.mark.parametrize(
    "lookups", [(), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0)], ids=["none", "zero", "twice", "falling"]
)
def test_lookups_ascend(lookups: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        AlpacaSettings(lookups=lookups)


def test_lookups_can_be_set(script: Any) -> None:
    settings = AlpacaSettings(lookups=(1.0, 2.0))
    broker = AlpacaBroker(connect(config_of(url=script.url), settings, {}))
    assert broker.lookups == (1.0, 2.0)
    broker.close()
