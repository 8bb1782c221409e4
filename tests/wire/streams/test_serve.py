"""`smabot exchange serve` as a process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from smabot_exchange.exchange import Exchange

SMABOT = str(Path(sys.executable).with_name("smabot"))
TAPE = "simulated:symbols=2,sessions=1"
KEYS = {"APCA-API-KEY-ID": "PKSMABOT", "APCA-API-SECRET-KEY": "smabot"}
DEADLINE = 60

pytestmark = pytest.mark.plugins


class Process:
    """The command, and what it has said so far."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        own = {name: v for name, v in os.environ.items() if not name.startswith(("APCA", "SMABOT"))}
        self.popen = subprocess.Popen(
            [SMABOT, "exchange", "serve", "--port", "0", "--data", TAPE, "--json", *arguments],
            cwd=folder,
            env={**own, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""

    def ready(self) -> Process:
        """Wait until it says where it listens."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate()[1]
        self.url = json.loads(line)["url"]
        return self

    def ask(self, method: str = "GET", path: str = "/_exchange", **more: Any) -> requests.Response:
        more.setdefault("headers", KEYS)
        return requests.request(method, self.url + path, timeout=DEADLINE, **more)

    def end(self, number: int | None = None) -> tuple[int, str]:
        """End it by a signal, or wait for its end; returns exit code and stderr."""
        if number is not None:
            self.popen.send_signal(number)
        _, err = self.popen.communicate(timeout=DEADLINE)
        return self.popen.returncode, err


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with the tape in it: to import one takes longer than all the rest."""
    path = tmp_path_factory.mktemp("ledger") / "l.db"
    Exchange(path, TAPE).close()
    return path


@pytest.fixture
def serving(tmp_path: Path, ledger: Path) -> Iterator[Callable[..., Process]]:
    shutil.copy(ledger, tmp_path / "l.db")
    started: list[Process] = []

    def serving(*arguments: str, **env: str) -> Process:
        process = Process(tmp_path, "--ledger", "l.db", *arguments, **env)
        started.append(process)
        return process

    yield serving
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def refused(in_tmp: Path, ledger: Path, fork: Any) -> Callable[..., tuple[int, str]]:
    """Start the command where it does not serve; returns exit code and stderr."""
    shutil.copy(ledger, in_tmp / "l.db")

    def refused(*arguments: str, **env: str) -> tuple[int, str]:
        command = ("exchange", "serve", "--port", "0", "--data", TAPE, "--json", "--ledger", "l.db")
        code, _, err = fork((*command, *arguments), env, in_tmp)
        return code, err

    return refused


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_says_what_a_client_needs_and_ends_in_peace(
    serving: Any, number: int, code: int
) -> None:
    process = serving("--speed", "step").ready()
    assert process.ask().json()["clock"] == "stepped"
    ended, err = process.end(number)
    assert ended == code
    for line in (
        f"{KEYS['APCA-API-KEY-ID']}, secret {KEYS['APCA-API-SECRET-KEY']}, for other clients",
        f"smabot run --url {process.url} --db l-bot.db",
    ):
        assert line in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_several_keys_have_a_line_of_their_own(serving: Any) -> None:
    _, err = serving("--speed", "step", "--keys", "3").ready().end(signal.SIGTERM)
    lines = err.splitlines()
    place = lines.index("  key      PKSMABOT, secret smabot, for other clients")
    assert lines[place + 1] == "           PKSMABOT2, secret smabot2, and so on: 3 in all"
    assert max(map(len, lines[place:])) <= 80


@pytest.mark.slow
def test_a_paced_clock_waits_for_the_first_listener(
    serving: Any, plain: Any, eventually: Any
) -> None:
    process = serving("--speed", "max").ready()
    told = process.ask().json()
    assert (told["clock"], told["progress"]) == ("paced", [0, 390])
    assert process.ask("POST", "/_exchange/play").status_code == 409
    client = plain(process.url.replace("http", "ws") + "/v2/iex", headers=KEYS)
    assert [client.said[0]["msg"] for _ in range(2)] == ["connected", "authenticated"]
    client.subscribe(bars=["*"])
    minutes = [client.said for _ in range(390)]
    assert sum(len(bars) for bars in minutes) == 780
    assert eventually(lambda: process.ask().json()["ended"])


@pytest.mark.slow
def test_a_paced_clock_runs_for_who_waits_for_open_orders(
    serving: Any, plain: Any, eventually: Any
) -> None:
    process = serving("--speed", "max").ready()
    listener = plain(process.url.replace("http", "ws") + "/stream")
    login = {"key_id": KEYS["APCA-API-KEY-ID"], "secret_key": KEYS["APCA-API-SECRET-KEY"]}
    assert listener.ask({"action": "authenticate", "data": login})["data"]["status"] == "authorized"
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    listener.ask(listen)
    symbol = process.ask(path="/v2/assets").json()[0]["symbol"]
    order = {"symbol": symbol, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
    process.ask("POST", "/v2/orders", json=order)
    assert process.ask().json()["progress"][0] == 0
    listener.say(listen)
    eventually(lambda: process.ask().json()["ended"])


@pytest.mark.slow
def test_it_starts_at_once_when_asked_to(serving: Any, eventually: Any) -> None:
    process = serving("--speed", "max", "--at-once").ready()
    eventually(lambda: process.ask().json()["ended"])


@pytest.mark.slow
def test_it_is_never_ahead_of_its_pace(serving: Any) -> None:
    begun = time.monotonic()
    process = serving("--speed", "20", "--at-once", "--requests-per-minute", "0").ready()
    minutes = 0
    while minutes < 30:
        minutes = process.ask().json()["progress"][0]
        assert minutes <= 20 * (time.monotonic() - begun) + 1
        assert time.monotonic() - begun < DEADLINE


@pytest.mark.slow
def test_killed_it_comes_back_on_its_port_with_its_orders(serving: Any) -> None:
    first = serving("--speed", "step").ready()
    symbol = first.ask(path="/v2/assets").json()[0]["symbol"]
    order = {"symbol": symbol, "side": "buy", "qty": 1, "type": "market", "time_in_force": "day"}
    sent = first.ask("POST", "/v2/orders", json={**order, "client_order_id": "x"}).json()
    first.popen.kill()
    first.end()
    port = first.url.rpartition(":")[2]
    second = serving("--speed", "step", "--port", port).ready()
    assert second.url == first.url
    assert second.ask(path=f"/v2/orders/{sent['id']}").json()["client_order_id"] == "x"


@pytest.mark.slow
def test_faults_come_by_a_file(serving: Any, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text('[[faults]]\nkind = "rate_limit"\npath = "/v2/clock"\n')
    process = serving("--speed", "step", "--faults", "f.toml").ready()
    assert process.ask(path="/v2/clock").status_code == 429
    assert process.ask().json()["faults"] == {"rate_limit": 1}
    assert "faults   f.toml: rate_limit" in process.end(signal.SIGTERM)[1]


@pytest.mark.slow
def test_the_quota_is_settable(serving: Any) -> None:
    process = serving("--speed", "step", "--requests-per-minute", "2").ready()
    assert [process.ask(path="/v2/clock").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.slow
def test_other_hosts_need_keys_that_somebody_chose(serving: Any) -> None:
    code, err = serving("--host", "0.0.0.0").end()
    assert (code, err.count("\n")) == (2, 1)
    assert "APCA_API_KEY_ID" in err
    own = {"APCA_API_KEY_ID": "PKOWN", "APCA_API_SECRET_KEY": "hush-hush"}
    process = serving("--host", "0.0.0.0", "--speed", "step", **own).ready()
    process.url = process.url.replace("0.0.0.0", "127.0.0.1")
    assert process.ask().status_code == 401
    headers = {"APCA-API-KEY-ID": "PKOWN", "APCA-API-SECRET-KEY": "hush-hush"}
    assert process.ask(headers=headers).status_code == 200
    assert "hush-hush" not in process.end(signal.SIGTERM)[1]


def asked(process: Process, key_id: str, secret: str) -> requests.Response:
    headers = {"APCA-API-KEY-ID": key_id, "APCA-API-SECRET-KEY": secret}
    return process.ask(path="/v2/account", headers=headers)


@pytest.mark.slow
def test_many_keys_are_of_one_account_and_each_has_its_quota(serving: Any) -> None:
    process = serving("--speed", "step", "--keys", "3", "--requests-per-minute", "2").ready()
    pairs = [("PKSMABOT", "smabot"), ("PKSMABOT2", "smabot2"), ("PKSMABOT3", "smabot3")]
    answers = [asked(process, *pair) for pair in pairs for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429] * 3
    assert len({answer.json()["id"] for answer in answers if answer.ok}) == 1
    assert asked(process, "PKSMABOT4", "smabot4").status_code == 401
    assert asked(process, "PKSMABOT2", "smabot3").status_code == 401


@pytest.mark.slow
def test_keys_of_a_file_are_the_only_ones(serving: Any, tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("# ours\nPKA secret-of-a\n\nPKB secret-of-b  # the other\n")
    process = serving("--speed", "step", "--keys", "keys.txt", "--host", "0.0.0.0").ready()
    process.url = process.url.replace("0.0.0.0", "127.0.0.1")
    assert asked(process, "PKA", "secret-of-a").status_code == 200
    assert asked(process, "PKB", "secret-of-b").status_code == 200
    assert asked(process, "PKSMABOT", "smabot").status_code == 401
    said = process.end(signal.SIGTERM)[1]
    assert "2 of keys.txt" in said
    assert "secret-of" not in said


@pytest.mark.parametrize(
    "text, code, words",
    [
        (None, 3, "keys keys.txt: can't be read: No such file or directory"),
        ("", 3, "keys keys.txt: has no keys"),
        ("PKA\n", 3, "keys keys.txt, line 1: write a key id, a space and its secret"),
        ("PKA secret-1\nPKA secret-2\n", 3, "keys keys.txt, line 2: its key id is there twice"),
    ],
)
def test_a_bad_file_of_keys_is_one_line(
    refused: Any, tmp_path: Path, text: str | None, code: int, words: str
) -> None:
    if text is not None:
        (tmp_path / "keys.txt").write_text(text)
    ended, err = refused("--keys", "keys.txt")
    assert (ended, err.count("\n")) == (code, 1), err
    assert words in err


@pytest.mark.slow
def test_the_wall_clock_is_followed_with_data_of_today(tmp_path: Path) -> None:
    process = Process(
        tmp_path,
        "--clock",
        "wall",
        "--history",
        "3",
        "--ledger",
        "w.db",
        "--data",
        "simulated:symbols=2",
    ).ready()
    try:
        assert process.ask().json()["clock"] == "wall"
        clock = process.ask(path="/v2/clock").json()
        shown = datetime.fromisoformat(clock["timestamp"])
        assert abs(datetime.now(UTC) - shown) < timedelta(seconds=DEADLINE)
        today = shown.date().isoformat()
        days = process.ask(path=f"/v2/calendar?start={today}").json()
        opens = datetime.fromisoformat(clock["next_open"]).date().isoformat()
        assert clock["is_open"] or opens == days[0]["date"] or opens == days[1]["date"]
        bars = process.ask(path="/v2/stocks/SPY/bars?timeframe=1Day&start=2020-01-01&limit=99")
        assert len(bars.json()["bars"]) in (3, 4)
    finally:
        assert process.end(signal.SIGTERM)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zone", "shown"), [((), "2026-03-02 09:30 ET"), (("--utc",), "2026-03-02 14:30 UTC")]
)
def test_its_screen_has_times_as_other_screens_and_an_address_to_call(
    serving: Any, zone: tuple[str, ...], shown: str
) -> None:
    own = {"APCA_API_KEY_ID": "PKOWN", "APCA_API_SECRET_KEY": "own-secret"}
    process = serving("--host", "0.0.0.0", *zone, **own).ready()
    time.sleep(0.5)
    code, err = process.end(signal.SIGTERM)
    assert code == 0
    port = process.url.rpartition(":")[2]
    assert f"listens  http://0.0.0.0:{port}" in err
    assert f"smabot run --url http://127.0.0.1:{port} --db" in err
    assert f"resumes at {shown}\n" in err
    assert f"\n{shown}  0 of 390 minutes\n" in err


def test_a_taken_port_is_one_line(refused: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, err = refused("--port", str(taken.getsockname()[1]))
    assert (code, err.count("\n")) == (3, 1)
    assert "is taken: give another --port" in err


@pytest.mark.slow
def test_a_held_ledger_is_one_line(serving: Any) -> None:
    serving("--speed", "step").ready()
    code, err = serving("--speed", "step").end()
    assert (code, err.count("\n")) == (7, 1)


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["--data", "nowhere.csv"], 3, "no such file"),
        (["--faults", "nowhere.toml"], 3, "can't be read"),
        (["--speed", "fast"], 2, "--speed fast"),
        (["--speed", "0"], 2, "--speed 0"),
        (["--speed", "nan"], 2, "--speed nan"),
        (["--requests-per-minute", "-1"], 2, "-1"),
        (["--port", "70000"], 2, "70000"),
        (["--clock", "wall", "--speed", "5"], 2, "--clock wall and --speed 5"),
        (["--clock", "wall", "--at-once"], 2, "--clock wall and --at-once"),
        (["--history", "-1"], 2, "-1"),
        (["--history", "1"], 3, "was opened with history 0, the settings say 1"),
        (["--keys", "0"], 2, "--keys 0: give 1 to 1000 pairs"),
        (["--keys", "1001"], 2, "--keys 1001"),
        (["--keys", "2", "--host", "0.0.0.0"], 2, "give --keys a file"),
        (["--host", "no.such.host.invalid"], 2, "not loopback"),
    ],
)
def test_a_slip_is_one_line(refused: Any, arguments: list[str], code: int, words: str) -> None:
    ended, err = refused(*arguments)
    assert (ended, err.count("\n")) == (code, 1), err
    assert words in err


def test_half_a_pair_of_keys_is_one_line(refused: Any) -> None:
    code, err = refused(APCA_API_KEY_ID="PKOWN")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.slow
def test_calls_of_its_own_can_be_hidden(serving: Any) -> None:
    process = serving("--hide-admin", "--speed", "1").ready()
    assert process.ask().status_code == 404
    assert process.ask("POST", "/_exchange/play").json()["message"] == "endpoint not found."
    assert process.ask(path="/v2/account").status_code == 200
    assert process.end(signal.SIGTERM)[0] == 0
    code, err = serving("--hide-admin", "--speed", "step").end()
    assert code == 2
    assert "no client could move the clock" in err
