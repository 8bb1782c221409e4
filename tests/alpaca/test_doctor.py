"""What `smabot doctor` finds between the bot and a real exchange over loopback."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.sync.client import connect

pytest.importorskip("smabot_exchange.http.server")

from smabot.cli.installation_checks import plugin_findings
from smabot.domain.calendar import Session
from smabot.hooks.findings import Finding
from smabot.hooks.plugins import Plugins
from smabot.settings.model import Config
from smabot.system.lock import FileLock
from smabot_alpaca.doctor import calendar_difference
from smabot_exchange.embedded import KEY_ID, SECRET_KEY, EmbeddedServer, start
from smabot_exchange.exchange import Exchange
from smabot_exchange.http.auth import ApiKeys
from smabot_exchange.http.server import ReplayPace, ServerThread, listen
from smabot_exchange.http.venue import Venue

OK = {"keys", "account", "clock", "calendar", "data", "order updates", "market data", "rate limit"}


@pytest.fixture
def served(in_tmp: Path, tape_writer: Callable[..., Path]) -> Iterator[EmbeddedServer]:
    """An exchange some minutes into its tape."""
    tape = tape_writer(in_tmp / "tape.csv", {"SPY": [100.0] * 40, "KO": [50.0] * 40})
    exchange = start(Config(data=str(tape), ledger=in_tmp / "served.db"))
    try:
        call(exchange, "POST", "/_exchange/play")
        yield exchange
    finally:
        exchange.close()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def call(exchange: EmbeddedServer, method: str, path: str, body: Any = None) -> None:
    with requests.Session() as session:
        session.trust_env = False
        headers = {"APCA-API-KEY-ID": exchange.key_id, "APCA-API-SECRET-KEY": exchange.secret_key}
        answer = session.request(
            method, exchange.url + path, json=body, headers=headers, timeout=20
        )
    assert answer.ok, answer.text


def diagnosed(**settings: Any) -> dict[str, Finding]:
    config = Config(broker="alpaca", **settings)
    return {each.name: each for each in plugin_findings(config, Plugins.load(config, ["alpaca"]))}


def there(exchange: EmbeddedServer, *faults: Any, **settings: Any) -> dict[str, Finding]:
    if faults:
        call(exchange, "POST", "/_exchange/faults", {"faults": list(faults)})
    return diagnosed(url=exchange.url, **settings)


def failures(found: dict[str, Finding]) -> dict[str, int]:
    return {name: each.exit_code for name, each in found.items() if each.exit_code}


def test_all_is_well_and_time_stands_still(served: EmbeddedServer) -> None:
    found = there(served, symbols=("SPY", "KO"))
    assert found.keys() == OK
    assert {each.level for each in found.values()} == {"ok"}
    assert "connected and subscribed to 2 symbols of feed iex" in found["market data"].text
    assert "2026-03-02 14:31 UTC" in there(served)["clock"].text


def test_a_clock_that_waits_for_the_first_client_goes_on_waiting(
    in_tmp: Path, tape_writer: Callable[..., Path]
) -> None:
    tape = tape_writer(in_tmp / "tape.csv", {"SPY": [100.0] * 40})
    with closing(Exchange(in_tmp / "paced.db", str(tape))) as exchange:
        venue = Venue(exchange, ApiKeys({KEY_ID: SECRET_KEY}), clock="paced")
        serving = ServerThread(venue, listen(), ReplayPace(None))
        serving.start()
        try:
            found = diagnosed(url=serving.url)
            assert not failures(found)
            assert found["market data"].text.startswith("not tried: the first to subscribe starts")
            assert not venue.broadcast.time_wanted.is_set()
        finally:
            serving.stop()
        assert exchange.minutes[0] == 0


def test_a_wall_clock_waits_for_nobody_and_the_stream_is_tried(
    in_tmp: Path, tape_writer: Callable[..., Path]
) -> None:
    tape = tape_writer(in_tmp / "tape.csv", {"SPY": [100.0] * 40})
    time = datetime(2026, 3, 2, 14, 45, tzinfo=UTC)
    with closing(Exchange(in_tmp / "wall.db", str(tape))) as exchange:
        venue = Venue(exchange, ApiKeys({KEY_ID: SECRET_KEY}), clock=lambda: time)
        serving = ServerThread(venue, listen())
        serving.start()
        try:
            found = diagnosed(url=serving.url)
        finally:
            serving.stop()
    assert not failures(found)
    assert found["market data"].text.startswith("connected and subscribed to")


def test_it_hangs_up_so_that_a_run_gets_the_one_connection(served: EmbeddedServer) -> None:
    assert not failures(there(served))
    assert not failures(there(served))


def test_a_wrong_key(served: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PKWRONGWRONG")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "wrong wrong".replace(" ", ""))
    (found,) = there(served).values()
    assert found.exit_code == 4
    assert "did not accept the key of APCA_API_KEY_ID" in found.text
    assert "wrongwrong" not in found.text


def test_a_live_key_for_paper_trading(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "AKLIVELIVE")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "secretsecret")
    (found,) = diagnosed().values()
    assert found.exit_code == 3
    assert "is a live key" in found.text
    assert "secretsecret" not in found.text


def test_half_a_key(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PKHALFHALF")
    (found,) = diagnosed().values()
    assert (found.exit_code, "APCA_API_SECRET_KEY is not" in found.text) == (3, True)


def test_nobody_there(in_tmp: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (found,) = diagnosed(url=f"http://127.0.0.1:{port}").values()
    assert (found.exit_code, "can't be reached" in found.text) == (4, True)


def test_without_a_key_the_embedded_exchange_is_not_started(in_tmp: Path) -> None:
    (found,) = diagnosed().values()
    assert found.level == "ok"
    assert "plugin alpaca trades at the built-in exchange" in found.text
    assert list(in_tmp.iterdir()) == []


def test_an_unknown_symbol(served: EmbeddedServer) -> None:
    found = there(served, symbols=("SPI",))
    assert failures(found) == {"data": 3, "streams": 3}
    assert "did you mean 'SPY'?" in found["data"].text


@pytest.mark.parametrize(
    ("fault", "failed"),
    [
        ({"kind": "error", "path": "/v2/account", "times": 9}, {"account": 4}),
        ({"kind": "error", "path": "/v2/clock", "times": 9}, {"clock": 4}),
        ({"kind": "error", "path": "/v2/stocks/bars/latest", "times": 9}, {"data": 4}),
    ],
    ids=["account", "clock", "data"],
)
def test_each_part_is_blamed_alone(
    served: EmbeddedServer, fault: dict[str, Any], failed: dict[str, int]
) -> None:
    assert failures(there(served, fault)) == failed


def test_a_data_stream_that_another_program_has(served: EmbeddedServer) -> None:
    auth = {"action": "auth", "key": served.key_id, "secret": served.secret_key}
    address = served.url.replace("http", "ws") + "/v2/iex"
    with connect(address, proxy=None) as other:
        other.send(json.dumps(auth))
        while "authenticated" not in str(other.recv(timeout=60)):
            pass
        found = there(served)
    assert failures(found) == {"market data": 4}
    assert "connection limit exceeded" in found["market data"].text


SESSION = Session(
    date(2026, 11, 25),
    datetime(2026, 11, 25, 14, 30, tzinfo=UTC),
    datetime(2026, 11, 25, 21, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, ""),
        (1, "2026-11-26: Alpaca has a session, the exchange's calendar none"),
        (2, "2026-11-27: Alpaca closes at 21:00, the exchange's calendar at 18:00 UTC"),
        (36_525, ""),
    ],
    ids=["alike", "holiday", "half day", "after the calendar's end"],
)
def test_the_sessions_are_compared_with_the_exchanges_calendar(days: int, words: str) -> None:
    later = timedelta(days=days)
    session = Session(SESSION.date + later, SESSION.open + later, SESSION.close + later)
    assert calendar_difference([SESSION, session]) == words


def test_beside_a_running_bot_its_data_stream_is_left_alone(
    served: EmbeddedServer, in_tmp: Path
) -> None:
    db = in_tmp / "trades.db"
    lock = FileLock(db, "it", "wait")
    try:
        found = there(served, db=db)
    finally:
        lock.release()
    assert not failures(found)
    assert "not tried: a bot runs" in found["market data"].text
